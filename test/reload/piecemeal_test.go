package reload_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"sluice/plugins"
	"sluice/router"
	"sluice/router/membroker"
)

// piecemeal is filters as they must not be: each of the three is replaced by
// itself.
type piecemeal struct {
	parts [3]atomic.Pointer[plugins.Chain]
}

func (p *piecemeal) Handles(h router.Hook) bool { return h == router.HookMessage }

func (p *piecemeal) Judge(e *router.Event) error {
	for i := range p.parts {
		err := p.parts[i].Load().Judge(e)
		for errors.Is(err, router.ErrRetired) {
			err = p.parts[i].Load().Judge(e)
		}
		if err != nil || e.Verdict.Action != router.Continue {
			return err
		}
		e.Payload = append([]byte(nil), e.Verdict.Payload...)
	}
	e.Verdict.Payload = e.Payload
	return nil
}

// stampers are so many filters that stamp a number.
func stampers(t *testing.T, host *plugins.Host, prev *plugins.Chain, number int, names ...string) *plugins.Chain {
	t.Helper()
	path, err := filepath.Abs("testdata/stamp.wasm")
	done(t, err)
	var specs []plugins.Spec
	for _, name := range names {
		specs = append(specs, plugins.Spec{Name: name, Plugin: path, Config: fmt.Appendf(nil, `{"n":%d}`, number), Time: time.Second})
	}
	chain, err := host.Build(context.Background(), specs, prev)
	done(t, err)
	return chain
}

// serving is a router of this process, with a crowd.
func serving(t *testing.T, filters router.Filters, k *checker) (*router.Router, *crowd) {
	t.Helper()
	broker := membroker.New()
	r, err := router.New(router.Options{Broker: broker, AnnounceConnections: router.AnnounceOff, DrainWindow: -1, Log: slog.New(slog.NewTextHandler(io.Discard, nil))},
		&router.Generation{Number: 1, Filters: filters})
	done(t, err)
	server := httptest.NewServer(r)
	t.Cleanup(func() { r.Close(); server.Close(); broker.Close() })
	return r, gather(t, strings.TrimPrefix(server.URL, "http://"), "good", 20, 4, 400, k)
}

func newHost(t *testing.T) *plugins.Host {
	t.Helper()
	host, err := plugins.NewHost(plugins.HostOptions{CacheDir: filepath.Join(scratch(), "cache"), Log: slog.New(slog.NewTextHandler(io.Discard, nil))})
	done(t, err)
	t.Cleanup(func() { host.Close(context.Background()) })
	return host
}

// more waits for so many more deliveries.
func more(t *testing.T, k *checker, n int64) {
	t.Helper()
	n += k.received.Load()
	until(t, "deliveries", func() bool { return k.received.Load() >= n })
}

const lastOfFew = 6

func TestASwapThatIsNotAtomicIsCaught(t *testing.T) {
	host, k := newHost(t), newChecker()
	for i := range lastOfFew + 1 {
		k.known[i].Store(true)
	}
	filters := new(piecemeal)
	for i := range filters.parts {
		filters.parts[i].Store(stampers(t, host, nil, 1, fmt.Sprint("stamp", i)))
	}
	_, c := serving(t, filters, k)
	for number := 2; number <= lastOfFew; number++ {
		for i := range filters.parts {
			old := filters.parts[i].Load()
			filters.parts[i].Store(stampers(t, host, old, number, fmt.Sprint("stamp", i)))
			old.Retire()
			more(t, k, 40)
		}
	}
	c.hush()
	c.settle()
	c.leave()
	if k.count(faultMixture) == 0 {
		t.Errorf("no message is judged by a mixture: %s", k.report())
	}
	for i := range filters.parts {
		filters.parts[i].Load().Retire()
	}
}

func TestTheSwapOfTheRouterPassesTheSameCheck(t *testing.T) {
	host, k := newHost(t), newChecker()
	k.known[1].Store(true)
	chain := stampers(t, host, nil, 1, "stamp0", "stamp1", "stamp2")
	r, c := serving(t, chain, k)
	for number := 2; number <= lastOfFew; number++ {
		k.known[number].Store(true)
		next := stampers(t, host, chain, number, "stamp0", "stamp1", "stamp2")
		r.Swap(&router.Generation{Number: uint64(number), Filters: next})
		chain.Retire()
		chain = next
		more(t, k, 40)
	}
	c.hush()
	c.settle()
	c.leave()
	if faults := k.report(); faults != "" {
		t.Error(faults)
	}
	chain.Retire()
	if left := host.Stats(); left.Filters != 0 || left.Modules != 0 {
		t.Errorf("the host still holds %+v", left)
	}
}

func TestTheCheckerFindsEachFault(t *testing.T) {
	deliver := func(contents ...string) *checker {
		k := newChecker()
		k.known[1].Store(true)
		k.known[2].Store(true)
		from := make([]heard, 2)
		for _, content := range contents {
			k.delivery([]byte(`{"event":"chat","content":`+content+`,"room":"good:3"}`), 3, from)
		}
		return k
	}
	for want, contents := range map[string][]string{
		"":           {"[6,1,0,1,1,1]", "[7,1,0,2,2,2]", "[6,2,0,2,2,2]"},
		faultMixture: {"[6,1,0,1,2,2]"},
		faultUnknown: {"[6,1,0,3,3,3]"},
		faultBack:    {"[6,1,0,2,2,2]", "[6,2,0,1,1,1]"},
		faultLost:    {"[6,1,0,1,1,1]", "[6,3,0,1,1,1]"},
		faultAgain:   {"[6,1,0,1,1,1]", "[6,1,0,1,1,1]"},
		faultOdd:     {"[6,1,0,1,1]"},
	} {
		k := deliver(contents...)
		if faults := k.report(); (want == "") != (faults == "") || want != "" && k.count(want) == 0 {
			t.Errorf("%v: got %q, want %q", contents, faults, want)
		}
	}
	if k := deliver("[2,1,0,1,1,1]"); k.count(faultOdd) != 1 {
		t.Error("a message from another room is not found")
	}
}
