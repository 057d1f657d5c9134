package socket

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
)

// sized is a frame of n bytes on the wire, named.
func sized(name string, n int) *Frame {
	return textFrame(name + strings.Repeat(".", n-len(name)-2))
}

// names of what is queued, in order.
func (q *queue) names() (names []string) {
	for _, e := range q.entries[q.head:] {
		if e.frame != nil {
			names = append(names, strings.TrimRight(string(e.frame.Payload()), "."))
		}
	}
	return names
}

func (q *queue) checkNames(t *testing.T, want ...string) {
	t.Helper()
	if got := q.names(); !slices.Equal(got, want) {
		t.Errorf("queued is %q, want %q", got, want)
	}
}

// filled has a1 x1 a2 b1 a3, of 10 bytes each; x1 has no tag.
func filled() *queue {
	q := &queue{}
	for _, name := range []string{"a1", "x1", "a2", "b1", "a3"} {
		e := entry{frame: sized(name, 10)}
		if name[0] != 'x' {
			e.tag = name[:1]
		}
		q.push(e)
	}
	return q
}

func (q *queue) put(name string, n int, p Policy, gap *Frame, limit int) int {
	dropped, _ := q.overflow(&Item{Frame: sized(name, n), Tag: name[:1], Policy: p}, gap, limit)
	return dropped
}

func TestDropOldestDropsAsManyOfItsTagAsNeededAndLeavesAGapInTheFirstOnesPlace(t *testing.T) {
	q := filled()
	if n := q.put("a4", 10, DropOldest, sized("gap1", 6), 50); n != 2 {
		t.Errorf("%d dropped, want 2: one for the frame and one for the gap", n)
	}
	q.checkNames(t, "gap1", "x1", "b1", "a3", "a4")
	if q.bytes != 46 || q.live != 5 {
		t.Errorf("%d bytes in %d frames are counted, want 46 in 5", q.bytes, q.live)
	}
}

func TestALaterDropRenewsTheGapInsteadOfAddingAnother(t *testing.T) {
	q := filled()
	q.put("a4", 10, DropOldest, sized("gap1", 6), 50)
	q.put("a5", 10, DropOldest, sized("gap2", 6), 50)
	q.checkNames(t, "gap2", "x1", "b1", "a4", "a5")
}

func TestAGapThatIsBeingWrittenIsFollowedByAnother(t *testing.T) {
	q := filled()
	q.put("a4", 10, DropOldest, sized("gap1", 6), 50)
	q.take(nil, 6)
	q.put("a5", 10, DropOldest, sized("gap2", 6), 50)
	q.checkNames(t, "gap1", "x1", "b1", "gap2", "a5")
}

func TestFramesThatAreBeingWrittenAreNotDropped(t *testing.T) {
	q := filled()
	q.take(nil, 30)
	if n := q.put("a4", 10, DropOldest, nil, 50); n != 1 {
		t.Errorf("%d dropped, want 1", n)
	}
	q.checkNames(t, "a1", "x1", "a2", "b1", "a4")
}

func TestKeepLatestDropsAllOfItsTag(t *testing.T) {
	q := filled()
	if n := q.put("a4", 10, KeepLatest, sized("gap", 6), 50); n != 3 {
		t.Errorf("%d dropped, want 3", n)
	}
	q.checkNames(t, "gap", "x1", "b1", "a4")
}

func TestAFrameWhoseTagCannotMakeRoomIsItselfDroppedAndNoted(t *testing.T) {
	for _, p := range []Policy{DropOldest, KeepLatest} {
		q := filled()
		if n := q.put("b2", 30, p, sized("gap", 6), 50); n != 1 {
			t.Errorf("%d dropped, want 1", n)
		}
		q.checkNames(t, "a1", "x1", "a2", "b1", "a3", "gap")
		if n := q.put("c1", 10, p, nil, 50); n != 1 {
			t.Errorf("%d dropped, want 1", n)
		}
		q.checkNames(t, "a1", "x1", "a2", "b1", "a3", "gap")
	}
}

func TestAnEmptyQueueHoldsNoMemory(t *testing.T) {
	q := &queue{}
	for i := range 1000 {
		q.push(entry{frame: sized(fmt.Sprint(i), 10), tag: 1})
	}
	q.put("a", 10, DropOldest, nil, 50)
	taken, done := q.take(nil, 1<<20)
	if !done {
		t.Error("not all was taken")
	}
	for range taken {
		q.pop()
	}
	q.settle()
	if q.entries != nil || q.tags != nil || q.pooled != nil || q.bytes != 0 {
		t.Errorf("left is %+v", q)
	}
}

// model is the queue's contract in its plainest form.
type model struct {
	entries []entry
	taken   int
}

func (m *model) bytes() (n int) {
	for _, e := range m.entries {
		n += len(e.frame.wire)
	}
	return n
}

func (m *model) overflow(it *Item, gap *Frame, limit int) int {
	mine, gapAt := []int(nil), -1
	sum := 0
	for i := m.taken; i < len(m.entries); i++ {
		switch e := m.entries[i]; {
		case e.tag == it.Tag && e.gap:
			gapAt = i
		case e.tag == it.Tag:
			mine = append(mine, i)
			sum += len(e.frame.wire)
		}
	}
	over := m.bytes() + len(it.Frame.wire) - limit
	if gap != nil {
		over += len(gap.wire)
		if gapAt >= 0 {
			over -= len(m.entries[gapAt].frame.wire)
			m.entries[gapAt].frame = gap
		}
	}
	if len(mine) == 0 || over > sum {
		if gap != nil && gapAt < 0 {
			m.entries = append(m.entries, entry{gap, it.Tag, true})
		}
		return 1
	}
	dropped := map[int]bool{}
	for _, i := range mine {
		if over > 0 || len(dropped) == 0 || it.Policy == KeepLatest {
			over -= len(m.entries[i].frame.wire)
			dropped[i] = true
		}
	}
	var kept []entry
	for i, e := range m.entries {
		switch {
		case !dropped[i]:
			kept = append(kept, e)
		case i == mine[0] && gap != nil && gapAt < 0:
			kept = append(kept, entry{gap, it.Tag, true})
		}
	}
	m.entries = append(kept, entry{frame: it.Frame, tag: it.Tag})
	return len(dropped)
}

func (m *model) discard() (n int) {
	for _, e := range m.entries[m.taken:] {
		if !e.gap {
			n++
		}
	}
	m.entries = m.entries[:m.taken]
	return n
}

func TestTheQueueBehavesAsItsModelInWhateverOrderItIsUsed(t *testing.T) {
	for seed := range uint64(400) {
		r := rand.New(rand.NewPCG(seed, 1))
		q, m := &queue{}, &model{}
		limit := 100 + r.IntN(5000)
		frame := 0
		for step := range 400 {
			frame++
			it := Item{Frame: sized(fmt.Sprint(frame), 8+r.IntN(60)), Policy: DropOldest + Policy(r.IntN(2))}
			if tag := r.IntN(4); tag > 0 {
				it.Tag = tag
			}
			size := len(it.Frame.wire)
			what := ""
			switch op := r.IntN(20); {
			case op < 16 && (q.live == 0 || q.bytes+size <= limit):
				what = "push"
				q.push(entry{frame: it.Frame, tag: it.Tag})
				m.entries = append(m.entries, entry{frame: it.Frame, tag: it.Tag})
			case op < 16 && it.Tag != nil:
				what = "overflow"
				var gap *Frame
				if r.IntN(4) > 0 {
					gap = sized(fmt.Sprint("g", frame), 8+r.IntN(20))
				}
				got, queued := q.overflow(&it, gap, limit)
				if want := m.overflow(&it, gap, limit); got != want {
					t.Fatalf("seed %d, step %d: %d dropped, want %d", seed, step, got, want)
				}
				if there := m.entries[len(m.entries)-1].frame == it.Frame; queued != there {
					t.Fatalf("seed %d, step %d: the frame is queued: %v, reported is %v", seed, step, there, queued)
				}
			case op < 18 && m.taken == 0:
				what = "take"
				taken, _ := q.take(nil, r.IntN(limit))
				m.taken = len(taken)
				for i, fl := range taken {
					if fl.frame != m.entries[i].frame {
						t.Fatalf("seed %d, step %d: another frame is taken", seed, step)
					}
				}
			case op < 19:
				what = "write"
				n := 0
				if m.taken > 0 {
					n = r.IntN(m.taken + 1)
				}
				for range n {
					q.pop()
				}
				q.settle()
				m.entries, m.taken = m.entries[n:], 0
			case r.IntN(5) == 0:
				what = "discard"
				if got, want := q.discard(), m.discard(); got != want {
					t.Fatalf("seed %d, step %d: %d discarded, want %d", seed, step, got, want)
				}
			}
			compareToModel(t, fmt.Sprintf("seed %d, step %d, after %s", seed, step, what), q, m)
		}
	}
}

func compareToModel(t *testing.T, where string, q *queue, m *model) {
	t.Helper()
	var got []entry
	for _, e := range q.entries[q.head:] {
		if e.frame != nil {
			got = append(got, e)
		}
	}
	if !slices.Equal(got, m.entries) || q.bytes != m.bytes() || q.live != len(got) {
		t.Fatalf("%s: queued is %q (%d bytes, %d frames), want %d entries, %d bytes",
			where, q.names(), q.bytes, q.live, len(m.entries), m.bytes())
	}
	// Places of dropped frames must not pile up.
	if len(q.entries)-q.head > 4*q.live+2*pooledEntries {
		t.Fatalf("%s: %d places for %d frames", where, len(q.entries)-q.head, q.live)
	}
}
