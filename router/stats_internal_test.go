package router

import (
	"fmt"
	"strings"
	"testing"
)

func TestReasonsOfFiltersAreCountedUpToABound(t *testing.T) {
	var reasons reasonTally
	reasons.count("auth", "the token has expired")
	reasons.count("auth", "the token has expired")
	reasons.count("auth", strings.Repeat("ä", maxReason))
	for i := range 10 * maxReasons {
		reasons.count("chatty", fmt.Sprint("reason ", i))
	}
	got := reasons.snapshot()
	if n := got["auth/the token has expired"]; n != 2 {
		t.Errorf("counted %d of 2", n)
	}
	if n := got["auth/"+strings.Repeat("ä", maxReason/2)]; n != 1 {
		t.Error("a long reason is not cut between characters")
	}
	if n := got["chatty/other"]; len(got) != maxReasons+1 || n != 10*maxReasons-(maxReasons-2) {
		t.Errorf("%d reasons, %d of them others", len(got), n)
	}
}
