package router

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"
)

// ends waits for the context to end, by Done or by Err.
func ends(t *testing.T, ctx context.Context, asking bool, want error) {
	t.Helper()
	if asking {
		<-ctx.Done()
	}
	if err := ctx.Err(); !errors.Is(err, want) {
		t.Errorf("asking %t: got %v, want %v", asking, err, want)
	}
}

func TestPatienceEndsWithItsTimeItsParentAndItsEnd(t *testing.T) {
	for _, asking := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			ctx, cancel := withPatience(t.Context(), time.Second)
			defer cancel()
			if asking {
				ctx.Done()
			}
			if at, ok := ctx.Deadline(); ctx.Err() != nil || !ok || time.Until(at) != time.Second {
				t.Errorf("it begins with %v, and %v left", ctx.Err(), time.Until(at))
			}
			time.Sleep(time.Second)
			ends(t, ctx, asking, context.DeadlineExceeded)

			ctx, cancel = withPatience(t.Context(), time.Second)
			cancel()
			ends(t, ctx, asking, context.Canceled)
			cancel()

			parent, endParent := context.WithCancel(t.Context())
			ctx, cancel = withPatience(parent, time.Second)
			defer cancel()
			endParent()
			ends(t, ctx, asking, context.Canceled)
		})
	}
}

func TestWhatIsDerivedFromPatienceEndsWithIt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := withPatience(t.Context(), time.Second)
		derived, cancelDerived := context.WithCancel(ctx)
		defer cancelDerived()
		cancel()
		<-derived.Done()

		ctx, cancel = withPatience(t.Context(), time.Second)
		defer cancel()
		derived, cancelDerived = context.WithTimeout(ctx, time.Hour)
		defer cancelDerived()
		<-derived.Done()
		if !errors.Is(derived.Err(), context.DeadlineExceeded) {
			t.Error(derived.Err())
		}
	})
}

func TestPatienceThatNobodyWaitsWithCostsNoTimer(t *testing.T) {
	got := testing.AllocsPerRun(100, func() {
		ctx, cancel := withPatience(context.Background(), time.Second)
		if ctx.Err() != nil {
			t.Error(ctx.Err())
		}
		cancel()
	})
	if got > 2 && !raceEnabled { // itself, and its end
		t.Errorf("%v allocations", got)
	}
}
