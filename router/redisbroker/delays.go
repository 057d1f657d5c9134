package redisbroker

import "time"

// redirectDelay is before another attempt to subscribe to a topic whose slot moves;
// topicsPerDelay is how many of them a Cluster is asked about within that time.
const (
	redirectDelay  = 100 * time.Millisecond
	topicsPerDelay = 1000
)

// redirectWait is the delay where so many topics wait: a Cluster that is down moves all
// of them, and is not to be flooded when it comes back.
func redirectWait(topics int, most time.Duration) time.Duration {
	return max(redirectDelay, min(most, redirectDelay*time.Duration(topics/topicsPerDelay)))
}

// delayedTopic is a topic and the time since which something waits.
type delayedTopic struct {
	topic *topic
	since time.Time
}

// delays are topics in the order of their times.
type delays []delayedTopic

// due calls do for each topic that has waited for the delay, and returns the time
// until the next one will have.
func (d *delays) due(now time.Time, delay time.Duration, do func(delayedTopic)) time.Duration {
	for len(*d) > 0 {
		first := (*d)[0]
		if left := first.since.Add(delay).Sub(now); left > 0 {
			return left
		}
		(*d)[0] = delayedTopic{}
		*d = (*d)[1:]
		do(first)
	}
	*d = nil
	return time.Hour
}

// addLocked has a topic wait.
func (s *subscriptions) addLocked(d *delays, t *topic, now time.Time) {
	*d = append(*d, delayedTopic{t, now})
	if len(*d) == 1 {
		notify(s.delayed)
	}
}

// keepTime does what was delayed.
func (s *subscriptions) keepTime() {
	timer := time.NewTimer(time.Hour)
	defer timer.Stop()
	for {
		timer.Reset(s.due(time.Now()))
		select {
		case <-s.ctx.Done():
			return
		case <-s.delayed:
		case <-timer.C:
		}
	}
}

// due does what is due, and returns the time until something else will be.
func (s *subscriptions) due(now time.Time) time.Duration {
	s.mu.Lock()
	defer s.mu.Unlock()
	next := s.idle.due(now, s.b.options.UnsubscribeDelay, func(d delayedTopic) {
		if d.topic.refs.Load() == 0 && d.topic.idleSince.Equal(d.since) {
			s.leaveLocked(d.topic)
		}
	})
	again := func(d delayedTopic) {
		if d.topic.refs.Load() > 0 && d.topic.state == topicOff {
			s.enqueueLocked(d.topic)
		}
	}
	next = min(next, s.redirected.due(now, redirectWait(len(s.redirected), s.b.options.MaxReconnect), again))
	return min(next, s.refused.due(now, s.b.options.MaxReconnect, again))
}

// leaveLocked ends the subscription to a topic that is not wanted any more.
func (s *subscriptions) leaveLocked(t *topic) {
	if s.topics[t.channel] != t {
		return
	}
	l := t.link
	if l == nil || l.conn == nil || t.state != topicOn && t.state != topicSent {
		if t.state != topicLeaving && t.state != topicLeft {
			t.state = topicOff
			delete(s.topics, t.channel)
		}
		return
	}
	t.state = topicLeaving
	l.leaving = append(l.leaving, t)
	notify(l.wake)
}

// retryLocked has a topic subscribed to again after a while, if it is wanted then.
func (s *subscriptions) retryLocked(t *topic, err error) {
	if redirected(err) {
		s.addLocked(&s.redirected, t, time.Now())
	} else {
		s.addLocked(&s.refused, t, time.Now())
	}
}
