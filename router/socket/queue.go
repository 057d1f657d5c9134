package socket

import "sync"

// entry is a place in a queue. A place whose frame was dropped has none.
type entry struct {
	frame *Frame
	tag   any
	gap   bool // stands in for dropped frames of tag
}

const (
	inlineEntries = 2  // in the socket itself: enough for one that keeps up
	pooledEntries = 32 // the next step, borrowed while it is needed
)

var entryPool = sync.Pool{New: func() any { return new([pooledEntries]entry) }}

// queue holds the data frames of one socket in order. Entries before free are
// being written; they are counted but cannot be dropped. Guarded by Socket.mu.
type queue struct {
	entries []entry // entries[head:] are queued
	head    int
	free    int // entries[free:] may be dropped; head <= free <= len(entries)
	bytes   int // of all frames queued
	live    int // entries with a frame

	// Which entries of a tag may be dropped: built when a frame does not fit,
	// kept up to date by push and overflow, and out of date once frames were
	// taken. With it, a socket that does not drain costs the same for each
	// frame, however long its queue is.
	tags    map[any]tagged
	indexed bool

	inline [inlineEntries]entry
	pooled *[pooledEntries]entry
}

// tagged says where a tag's frames are. Places are indices of entries, plus 1; 0 means none.
type tagged struct {
	bytes int // of the frames that may be dropped
	first int // no frame of the tag that may be dropped is before it
	gap   int // its gap frame
}

func (q *queue) push(e entry) {
	if len(q.entries) == cap(q.entries) {
		q.grow()
	}
	q.entries = append(q.entries, e)
	q.bytes += len(e.frame.wire)
	q.live++
	if q.indexed {
		q.indexEntry(len(q.entries) - 1)
	}
}

// grow makes room for one more entry at least.
func (q *queue) grow() {
	switch {
	case q.entries == nil:
		q.entries = q.inline[:0]
	case q.head > len(q.entries)/2 || q.live < (len(q.entries)-q.head)/2:
		q.compact(q.entries[:0])
	case cap(q.entries) == inlineEntries:
		q.pooled = entryPool.Get().(*[pooledEntries]entry)
		q.compact(q.pooled[:0])
	default:
		old := q.pooled
		q.compact(make([]entry, 0, 2*cap(q.entries)))
		q.pooled = nil
		q.recycle(old)
	}
}

// compact moves the entries that have a frame to dst, which may be the same array.
func (q *queue) compact(dst []entry) {
	from, free := q.entries, 0
	for i := q.head; i < len(from); i++ {
		if i == q.free {
			free = len(dst)
		}
		if from[i].frame != nil {
			dst = append(dst, from[i])
		}
	}
	if q.free == len(from) {
		free = len(dst)
	}
	if cap(dst) == cap(from) {
		clear(from[len(dst):])
	} else {
		clear(from)
	}
	q.entries, q.head, q.free = dst, 0, free
	q.indexed = false
}

// take appends the frames that may be written next to dst: as many whole
// frames as fit into budget, one at least if dst is empty. They stay queued
// until pop; done says that all are taken.
func (q *queue) take(dst []flight, budget int) (_ []flight, done bool) {
	i := q.head
	for ; i < len(q.entries); i++ {
		f := q.entries[i].frame
		if f == nil {
			continue
		}
		if budget -= len(f.wire); budget < 0 && len(dst) > 0 {
			break
		}
		dst = append(dst, flight{f, kindData})
	}
	q.free = i
	q.indexed = false
	return dst, i == len(q.entries)
}

// pop removes the first frame: it is written, or partly and now in Socket.partial.
func (q *queue) pop() {
	for q.entries[q.head].frame == nil {
		q.head++
	}
	e := &q.entries[q.head]
	q.bytes -= len(e.frame.wire)
	q.live--
	*e = entry{}
	q.head++
	q.free = max(q.free, q.head)
}

// settle ends a take: what was not popped may be dropped again. An empty queue
// gives its memory back.
func (q *queue) settle() {
	q.free = q.head
	q.indexed = false
	if q.live == 0 {
		q.reset()
	}
}

// discard drops all that is not being written and returns how many data frames that were.
func (q *queue) discard() (n int) {
	for i := q.free; i < len(q.entries); i++ {
		e := &q.entries[i]
		if e.frame != nil {
			q.bytes -= len(e.frame.wire)
			q.live--
			if !e.gap {
				n++
			}
		}
		*e = entry{}
	}
	q.entries = q.entries[:q.free]
	q.indexed = false
	if q.live == 0 {
		q.reset()
	}
	return n
}

func (q *queue) reset() {
	clear(q.entries)
	q.recycle(q.pooled)
	*q = queue{}
}

func (q *queue) recycle(p *[pooledEntries]entry) {
	if p != nil {
		clear(p[:])
		entryPool.Put(p)
	}
}

// overflow makes room for a tagged frame in a queue of limit bytes that is
// full, by its policy, and queues it. gap, if not nil, stands in for what was
// dropped. If the tag has too little to drop, the frame itself is dropped, and
// not queued.
func (q *queue) overflow(it *Item, gap *Frame, limit int) (dropped int, queued bool) {
	q.index()
	t := q.tags[it.Tag]
	size := len(it.Frame.wire)
	grows := 0 // by the gap frame
	if gap != nil {
		grows = len(gap.wire)
		if t.gap > 0 {
			grows -= len(q.entries[t.gap-1].frame.wire)
		}
	}
	over := q.bytes + grows + size - limit // to be dropped
	if t.bytes == 0 || over > t.bytes {
		q.noteGap(it.Tag, gap)
		return 1, false
	}
	for i := t.first - 1; i < len(q.entries); i++ {
		if over <= 0 && dropped > 0 && it.Policy != KeepLatest {
			break
		}
		e := &q.entries[i]
		if e.frame == nil || e.gap || e.tag != it.Tag {
			continue
		}
		n := len(e.frame.wire)
		over -= n
		t.bytes -= n
		t.first = i + 2
		q.bytes -= n
		q.live--
		dropped++
		*e = entry{}
		if gap != nil && t.gap == 0 {
			*e = entry{gap, it.Tag, true}
			t.gap = i + 1
			q.bytes += len(gap.wire)
			q.live++
		}
	}
	q.tags[it.Tag] = t
	if t.gap > 0 {
		q.noteGap(it.Tag, gap)
	}
	q.push(entry{frame: it.Frame, tag: it.Tag})
	return dropped, true
}

// noteGap refreshes the tag's gap frame, or appends it if none is queued.
func (q *queue) noteGap(tag any, gap *Frame) {
	if gap == nil {
		return
	}
	if i := q.tags[tag].gap; i > 0 {
		e := &q.entries[i-1]
		q.bytes += len(gap.wire) - len(e.frame.wire)
		e.frame = gap
		return
	}
	q.push(entry{gap, tag, true})
}

// index finds what may be dropped, by tag.
func (q *queue) index() {
	if q.indexed {
		return
	}
	if q.tags == nil {
		q.tags = make(map[any]tagged)
	}
	clear(q.tags)
	for i := q.free; i < len(q.entries); i++ {
		q.indexEntry(i)
	}
	q.indexed = true
}

func (q *queue) indexEntry(i int) {
	e := &q.entries[i]
	if e.frame == nil || e.tag == nil {
		return
	}
	t := q.tags[e.tag]
	if e.gap {
		t.gap = i + 1
	} else {
		t.bytes += len(e.frame.wire)
		if t.first == 0 {
			t.first = i + 1
		}
	}
	q.tags[e.tag] = t
}
