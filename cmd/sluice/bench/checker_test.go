package bench

import (
	"math/rand/v2"
	"slices"
	"testing"
)

// kinds is what a subscriber finds of numbers that come in this order.
func kinds(s *sequence, numbers ...uint32) (got []arrivalKind) {
	for _, n := range numbers {
		got = append(got, s.saw(n))
	}
	return got
}

func TestNumbersInOrderAreFresh(t *testing.T) {
	var s sequence
	if got := kinds(&s, 1, 2, 3, 4); !slices.Equal(got, []arrivalKind{fresh, fresh, fresh, fresh}) || s.holes != nil {
		t.Errorf("got %v, and holes %v", got, s.holes)
	}
}

func TestWhatNobodyGotIsMissingInEverySequence(t *testing.T) {
	var a, b sequence
	kinds(&a, 1, 2, 5, 6)
	kinds(&b, 2, 4, 8, 3)
	if got := common(a.missing(10), b.missing(10)); !slices.Equal(got, []span{{7, 7}, {9, 10}}) {
		t.Errorf("of 10 nobody got %v", got)
	}
	if got := common(a.missing(10), new(sequence).missing(10)); !slices.Equal(got, []span{{3, 4}, {7, 10}}) {
		t.Errorf("one got nothing, and nobody %v", got)
	}
	if got := common([]span{{1, 6}}, a.missing(6)); !slices.Equal(got, []span{{3, 4}}) {
		t.Errorf("of 6 nobody got %v", got)
	}
}

func TestALateNumberIsToldFromADuplicate(t *testing.T) {
	for _, c := range []struct {
		numbers []uint32
		want    []arrivalKind
	}{
		{[]uint32{1, 1}, []arrivalKind{fresh, duplicate}},
		{[]uint32{2, 1, 1, 2}, []arrivalKind{fresh, late, duplicate, duplicate}},
		{[]uint32{5, 3, 1, 2, 4, 3}, []arrivalKind{fresh, late, late, late, late, duplicate}},
		{[]uint32{3, 6, 5, 4, 2, 5, 7}, []arrivalKind{fresh, fresh, late, late, late, duplicate, fresh}},
	} {
		var s sequence
		if got := kinds(&s, c.numbers...); !slices.Equal(got, c.want) {
			t.Errorf("%v: got %v, not %v", c.numbers, got, c.want)
		}
	}
}

// Whatever a server does to the order, each number is found to be new once.
func TestEveryNumberIsNewExactlyOnceInAnyOrder(t *testing.T) {
	for range 200 {
		var s sequence
		const most = 60
		seen := make(map[uint32]bool)
		highest := uint32(0)
		for range 300 {
			n := 1 + rand.Uint32N(most)
			want := fresh
			switch {
			case seen[n]:
				want = duplicate
			case n < highest:
				want = late
			}
			seen[n], highest = true, max(highest, n)
			if got := s.saw(n); got != want {
				t.Fatalf("%d after %v: got %v, not %v", n, seen, got, want)
			}
		}
	}
}

func TestWhatIsMissingTakesBoundedMemory(t *testing.T) {
	var s sequence
	for n := uint32(2); n < 10*maxHoles; n += 2 { // every other one is lost
		if s.saw(n) != fresh {
			t.Fatalf("%d is not fresh", n)
		}
	}
	if n := len(*s.holes); n != maxHoles {
		t.Errorf("%d holes are remembered", n)
	}
	if got := s.saw(s.last - 1); got != late {
		t.Errorf("the newest hole is forgotten: %v", got)
	}
}
