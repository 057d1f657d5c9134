package bench

// arrivalKind is what a delivery is to the subscriber that got it.
type arrivalKind uint8

const (
	fresh     arrivalKind = iota // the next one, or a later one
	late                         // new, but a later one of the same publisher came before it
	duplicate                    // it was there already
)

// maxHoles bounds what one sequence remembers of what is missing. A server that
// loses more than that, in as many places, is found out all the same; only what
// it then delivers late from the oldest places counts as duplicate.
const maxHoles = 4096

// sequence is what a subscriber got of one publisher, whose messages are
// numbered from 1.
type sequence struct {
	last  uint32  // highest number that came
	holes *[]span // numbers below it that did not; nil: none
}

// span is a range of numbers, both ends included.
type span struct{ from, to uint32 }

// saw records a number.
func (s *sequence) saw(n uint32) arrivalKind {
	if n == s.last+1 {
		s.last = n
		return fresh
	}
	if n > s.last {
		s.dig(span{s.last + 1, n - 1})
		s.last = n
		return fresh
	}
	if s.fill(n) {
		return late
	}
	return duplicate
}

func (s *sequence) dig(h span) {
	if s.holes == nil {
		s.holes = new([]span)
	}
	if len(*s.holes) == maxHoles {
		*s.holes = append((*s.holes)[:0], (*s.holes)[1:]...)
	}
	*s.holes = append(*s.holes, h)
}

// missing is what of the numbers up to n has not come.
func (s *sequence) missing(n uint32) (all []span) {
	if s.holes != nil {
		all = append(all, *s.holes...)
	}
	if s.last < n {
		all = append(all, span{s.last + 1, n})
	}
	return all
}

// common is what two lists have in common. Their spans are in order, and do not overlap.
func common(a, b []span) (both []span) {
	for len(a) > 0 && len(b) > 0 {
		if from, to := max(a[0].from, b[0].from), min(a[0].to, b[0].to); from <= to {
			both = append(both, span{from, to})
		}
		if a[0].to < b[0].to {
			a = a[1:]
		} else {
			b = b[1:]
		}
	}
	return both
}

// fill takes n out of what is missing, and reports whether it was.
func (s *sequence) fill(n uint32) bool {
	if s.holes == nil {
		return false
	}
	holes := *s.holes
	for i := len(holes) - 1; i >= 0; i-- {
		h := &holes[i]
		if n < h.from || n > h.to {
			continue
		}
		switch {
		case h.from == h.to:
			holes = append(holes[:i], holes[i+1:]...)
		case n == h.from:
			h.from++
		case n == h.to:
			h.to--
		default:
			tail := span{n + 1, h.to}
			h.to = n - 1
			holes = append(holes[:i+1], append([]span{tail}, holes[i+1:]...)...)
		}
		*s.holes = holes
		return true
	}
	return false
}
