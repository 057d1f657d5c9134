package router_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"testing"

	"sluice/router"
	"sluice/router/membroker"
	"sluice/router/wire"
)

// logged is a log that a test reads.
type logged struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (l *logged) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(p)
}

func (l *logged) count(text string) int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return strings.Count(l.text.String(), text)
}

func TestABrokerThatIsAwayDoesNotFloodTheLog(t *testing.T) {
	var log logged
	b := &broker{publish: func(*router.Message) error { return fmt.Errorf("gone: %w", router.ErrUnavailable) }}
	n := startNodeWith(t, b, membroker.New(), silent, func(o *router.Options, _ *router.Generation) { o.Log = slog.New(slog.NewTextHandler(&log, nil)) })
	const messages = 20_000
	for range messages {
		if _, err := n.Broadcast(t.Context(), says("1")); err == nil {
			t.Fatal("it was sent")
		}
	}
	if lines := log.count("the broker failed"); lines == 0 || lines > messages/20 {
		t.Errorf("%d failures are logged in %d lines", messages, lines)
	}
	if failed := n.Stats().Broker; failed != messages {
		t.Errorf("%d are counted", failed)
	}
}

// overdue is a broker whose presence does not come in time.
type overdue struct{ router.Broker }

func (overdue) Present(context.Context, string, int, string) (router.PresencePage, error) {
	return router.PresencePage{}, context.DeadlineExceeded
}

func TestAPageThatDoesNotComeInTimeIsNotTheCursorsFault(t *testing.T) {
	inner := membroker.New()
	t.Cleanup(func() { inner.Close() })
	u := startNodeOn(t, overdue{inner}, silent, withPresence("r")).as(t, "ann")
	u.join("r")
	u.refusedWith("unavailable", `{"type":"presence","room":"r","cursor":"bob"}`)
}

func TestAFaultInOneOfSeveralRoomsHarmsNeitherTheOthersNorTheNode(t *testing.T) {
	f := newFilters().on(router.HookMessage, func(e *router.Event) {
		if e.Room == "b" {
			panic("a fault")
		}
	})
	n := startNode(t, silent, withFilters(f))
	for i, result := range n.PublishAll(t.Context(), []string{"a", "b", "c"}, says("1")) {
		if i != 1 {
			if result.Err != nil || result.ID == "" {
				t.Errorf("room %d: %+v", i, result)
			}
			continue
		}
		var refused *router.ServerError
		if !errors.As(result.Err, &refused) || refused.Code != wire.Unavailable {
			t.Errorf("the faulty one: %+v", result)
		}
	}
	if panics := n.Stats().Panics; panics != 1 {
		t.Errorf("%d faults are counted", panics)
	}
}
