package bench

import "math/rand/v2"

// A message is recognised by a marker in its content, wherever a frame has it
// and whatever stands around it:
//
//	~RRRRRR~  TTTTTTTTTTTT  SSSSSSSS  PPPPP
//	the run   when (ns)     number    publisher
//
// Numbers are written with the letters a to p, four bits each: digits might be
// taken for a card number by a filter, and nothing here needs escaping in JSON.
const (
	runLetters   = 6
	timeLetters  = 12 // 2^48 ns are 78 hours
	countLetters = 8
	fromLetters  = 5
	prefixSize   = runLetters + 2
	markerSize   = prefixSize + timeLetters + countLetters + fromLetters

	maxConnections = 1 << (4 * fromLetters)
)

// mark is what a marker says.
type mark struct {
	at        int64 // when it was written, in nanoseconds since the run began
	n         uint32
	publisher int
}

// newRunName is a run's name, by which its messages and rooms are told from
// those of others.
func newRunName() string {
	return string(appendLetters(nil, rand.Uint64(), runLetters))
}

func markerPrefix(run string) []byte { return []byte("~" + run + "~") }

func appendMark(dst, prefix []byte, m mark) []byte {
	dst = append(dst, prefix...)
	dst = appendLetters(dst, uint64(m.at), timeLetters)
	dst = appendLetters(dst, uint64(m.n), countLetters)
	return appendLetters(dst, uint64(m.publisher), fromLetters)
}

// parseMark reads what follows the prefix.
func parseMark(b []byte) (m mark, ok bool) {
	if len(b) < markerSize-prefixSize {
		return m, false
	}
	at, ok1 := letters(b[:timeLetters])
	n, ok2 := letters(b[timeLetters : timeLetters+countLetters])
	from, ok3 := letters(b[timeLetters+countLetters : timeLetters+countLetters+fromLetters])
	return mark{int64(at), uint32(n), int(from)}, ok1 && ok2 && ok3
}

func appendLetters(dst []byte, v uint64, n int) []byte {
	for i := n - 1; i >= 0; i-- {
		dst = append(dst, 'a'+byte(v>>(4*i)&15))
	}
	return dst
}

func letters(b []byte) (v uint64, ok bool) {
	bad := byte(0)
	for _, c := range b {
		d := c - 'a'
		bad |= d
		v = v<<4 | uint64(d&15)
	}
	return v, bad < 16
}
