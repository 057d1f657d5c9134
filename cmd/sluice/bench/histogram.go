package bench

import "math/bits"

// subBuckets is how many buckets an octave has: a quantile is off by half a
// bucket at most, which is 0.4 % of it.
const (
	subBits    = 7
	subBuckets = 1 << subBits
)

// histogram counts times by buckets whose width grows with the value. Its size
// does not depend on how many there are.
type histogram struct {
	counts [(64 - subBits + 1) * subBuckets]uint64
	n      uint64
	sum    float64 // nanoseconds
	max    int64
}

// add counts a time in nanoseconds. A negative one, from a clock that was set,
// counts as none.
func (h *histogram) add(ns int64) {
	ns = max(ns, 0)
	h.counts[bucketOf(uint64(ns))]++
	h.n++
	h.sum += float64(ns)
	h.max = max(h.max, ns)
}

// bucketOf is exact below an octave of buckets, and keeps subBits+1 leading
// bits above it.
func bucketOf(v uint64) int {
	shift := max(bits.Len64(v)-subBits-1, 0)
	return shift<<subBits + int(v>>shift)
}

// middleOf is the value that stands for all of a bucket.
func middleOf(bucket int) uint64 {
	if bucket < 2*subBuckets {
		return uint64(bucket)
	}
	shift := bucket>>subBits - 1
	low := uint64(bucket-shift<<subBits) << shift
	return low + (uint64(1)<<shift)/2
}

// quantile is the value in nanoseconds that the share q of all values does not
// exceed (nearest rank); 0 without values.
func (h *histogram) quantile(q float64) int64 {
	if h.n == 0 {
		return 0
	}
	rank := uint64(q*float64(h.n) + 0.999999)
	rank = min(max(rank, 1), h.n)
	seen := uint64(0)
	for b, count := range h.counts {
		if seen += count; seen >= rank {
			return min(int64(middleOf(b)), h.max)
		}
	}
	return h.max
}

func (h *histogram) mean() float64 {
	if h.n == 0 {
		return 0
	}
	return h.sum / float64(h.n)
}
