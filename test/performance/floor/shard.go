package main

import "sync"

// job is a frame for a shard's share of a room.
type job struct {
	room  *room
	frame []byte
}

// shard is one writer, which has a share of the members of each room.
type shard struct {
	index int
	wake  chan struct{} // sent to by add, at most one at a time; never closed

	// Guarded by mu.
	mu   sync.Mutex
	jobs []job
}

func (s *shard) add(j job) {
	s.mu.Lock()
	s.jobs = append(s.jobs, j)
	s.mu.Unlock()
	select {
	case s.wake <- struct{}{}:
	default:
	}
}

// run writes what is added until done is closed.
func (s *shard) run(done <-chan struct{}) {
	var jobs []job
	var together []byte
	var members []*client
	for {
		select {
		case <-s.wake:
		case <-done:
			return
		}
		s.mu.Lock()
		jobs, s.jobs = s.jobs, jobs[:0]
		s.mu.Unlock()
		for left := jobs; len(left) > 0; {
			var b []byte
			r := left[0].room
			b, together, left = gather(left, together)
			r.mu.RLock()
			members = append(members[:0], r.shares[s.index]...)
			r.mu.RUnlock()
			for _, c := range members {
				c.out.send(b)
			}
		}
		clear(jobs)
		clear(members)
	}
}

// gather takes the frames of the first job's room from the front of jobs: one
// as it is, several put together in the buffer.
func gather(jobs []job, buffer []byte) (b, grown []byte, left []job) {
	n, size := 1, len(jobs[0].frame)
	for n < len(jobs) && jobs[n].room == jobs[0].room && size < atOnce {
		size += len(jobs[n].frame)
		n++
	}
	if n == 1 {
		return jobs[0].frame, buffer, jobs[1:]
	}
	buffer = buffer[:0]
	for _, j := range jobs[:n] {
		buffer = append(buffer, j.frame...)
	}
	return buffer, buffer, jobs[n:]
}
