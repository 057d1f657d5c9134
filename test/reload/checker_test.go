package reload_test

import (
	"bytes"
	"fmt"
	"math/bits"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// Kinds of what must not happen.
const (
	faultMixture = "judged by a mixture"     // the three stamps differ
	faultUnknown = "judged by a refused one" // the stamp is that of a generation that was never in force
	faultBack    = "judged by an older one"  // than the sender's message before
	faultLost    = "lost"                    // a number is missing
	faultAgain   = "duplicated or reordered" // a number comes again, or late
	faultRefused = "refused"                 // the sender was told so
	faultClosed  = "connection closed"       // before the end
	faultOdd     = "not what was sent"       // nobody has sent it
)

// maxGeneration bounds the numbers of a test's generations.
const maxGeneration = 1 << 13

// checker judges what arrives. It is safe for concurrent use.
type checker struct {
	// Static after construction.
	begun   time.Time
	lenient bool // a message may be refused: its number may then be missing
	back    bool // the node may go back to an older generation

	known    [maxGeneration]atomic.Bool  // generations that were in force
	judged   [maxGeneration]atomic.Int64 // deliveries of messages that they judged
	received atomic.Int64
	refused  atomic.Int64
	times    atomic.Pointer[histogram] // from sending to delivery

	// Guarded by mu.
	mu     sync.Mutex
	faults map[string]int
	first  []string // with details
}

func newChecker() *checker {
	k := &checker{begun: time.Now(), faults: make(map[string]int)}
	k.times.Store(new(histogram))
	return k
}

func (c *checker) fault(kind, format string, args ...any) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.faults[kind]++
	if len(c.first) < 10 {
		c.first = append(c.first, kind+": "+fmt.Sprintf(format, args...))
	}
}

func (c *checker) count(kind string) int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.faults[kind]
}

// report is "" if nothing was wrong.
func (c *checker) report() string {
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.faults) == 0 {
		return ""
	}
	return fmt.Sprintf("%v\n%s", c.faults, strings.Join(c.first, "\n"))
}

// heard is what a receiver remembers of a sender. The receiver's goroutine owns it.
type heard struct{ number, generation int64 }

var contentField = []byte(`"content":[`)

// delivery checks one message as it has arrived: sender, number, time of sending
// and the stamps. from are the room's senders, by their place in it.
func (c *checker) delivery(frame []byte, room int, from []heard) {
	_, rest, ok := bytes.Cut(frame, contentField)
	list, _, end := bytes.Cut(rest, []byte{']'})
	var n [7]int64
	count := 0
	for field := range bytes.SplitSeq(list, []byte{','}) {
		v, err := strconv.ParseInt(string(field), 10, 64)
		if ok = ok && err == nil && count < len(n); !ok {
			break
		}
		n[count], count = v, count+1
	}
	sender, number, sent, stamps := int(n[0])-room*len(from), n[1], n[2], n[3:6]
	if !ok || !end || count != 6 || sender < 0 || sender >= len(from) {
		c.fault(faultOdd, "%s", frame)
		return
	}
	g := stamps[0]
	switch {
	case g != stamps[1] || g != stamps[2]:
		c.fault(faultMixture, "%s", list)
	case g < 0 || g >= maxGeneration || !c.known[g].Load():
		c.fault(faultUnknown, "%s", list)
	case g < from[sender].generation && !c.back:
		c.fault(faultBack, "%s, after %d", list, from[sender].generation)
	default:
		c.judged[g].Add(1)
	}
	switch last := from[sender].number; {
	case number <= last:
		c.fault(faultAgain, "%s, after number %d", list, last)
	case number > last+1 && !c.lenient:
		c.fault(faultLost, "%s, after number %d", list, last)
	}
	from[sender] = heard{max(number, from[sender].number), g}
	c.times.Load().add(time.Since(c.begun) - time.Duration(sent))
	c.received.Add(1)
}

// histogram counts times, each to about 6%.
type histogram struct{ buckets [64 * 16]atomic.Int64 }

func (h *histogram) add(d time.Duration) {
	n := uint64(max(d, 16))
	exp := bits.Len64(n) - 5
	h.buckets[exp*16+int(n>>exp)-16].Add(1)
}

// quantile is the time that the part q of all took at most.
func (h *histogram) quantile(q float64) time.Duration {
	all := int64(0)
	for i := range h.buckets {
		all += h.buckets[i].Load()
	}
	rank := int64(q * float64(all))
	for i := range h.buckets {
		if rank -= h.buckets[i].Load(); rank < 0 {
			return time.Duration((uint64(i%16)+17)<<(i/16) - 1)
		}
	}
	return 0
}

func (h *histogram) String() string {
	return fmt.Sprintf("p50 %s, p99 %s, p99.9 %s", h.quantile(0.5), h.quantile(0.99), h.quantile(0.999))
}
