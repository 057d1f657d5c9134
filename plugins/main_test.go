package plugins

import (
	"bytes"
	"context"
	"encoding/binary"
	"log/slog"
	"sync"
	"testing"

	"go.uber.org/goleak"

	"sluice/router"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// safeBuffer is a log's destination that tests may read while it is written.
type safeBuffer struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (b *safeBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.Write(p)
}

func (b *safeBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.String()
}

// testHost is a host with its log, closed when the test ends.
type testHost struct {
	*Host
	t   testing.TB
	log *safeBuffer
}

func newTestHost(t testing.TB, o HostOptions) *testHost {
	t.Helper()
	out := &safeBuffer{}
	o.Log = slog.New(slog.NewTextHandler(out, &slog.HandlerOptions{Level: slog.LevelDebug}))
	if o.Lanes == 0 {
		o.Lanes = 1
	}
	h, err := NewHost(o)
	if err != nil {
		t.Fatal(err)
	}
	h.lanes.wait = hang // a busy machine is not what most tests are about
	t.Cleanup(func() {
		if err := h.Close(context.Background()); err != nil {
			t.Error(err)
		}
	})
	return &testHost{h, t, out}
}

// chain builds a chain that must load.
func (h *testHost) chain(prev *Chain, specs ...Spec) *Chain {
	h.t.Helper()
	c, err := h.Build(context.Background(), specs, prev)
	if err != nil {
		h.t.Fatal(err)
	}
	return c
}

// guest is a filter of testdata, named after its file.
func guest(file string) Spec {
	return Spec{Name: file, Plugin: file + ".wasm", Dir: "testdata"}
}

// message is a room message with the content.
func message(content string) *router.Event {
	return &router.Event{
		Hook: router.HookMessage, Kind: router.KindRoom, Time: 1_700_000_000_000_000_000, Conn: 7, Seq: 1,
		Room: "chat:lobby", User: "ada", Payload: []byte(content), States: new([]router.State),
	}
}

// judge judges an event that is not expected to meet a retired chain.
func judge(t testing.TB, c *Chain, e *router.Event) *router.Verdict {
	t.Helper()
	if err := c.Judge(e); err != nil {
		t.Fatal(err)
	}
	return &e.Verdict
}

func say(t testing.TB, c *Chain, content string) *router.Verdict {
	t.Helper()
	return judge(t, c, message(content))
}

// stats of the chain's only, or first, filter.
func stats(c *Chain) Stats { return c.Stats()[0] }

// agreed is how often an instance of moody.wat or slow_start.wat agreed.
func agreed(t testing.TB, c *Chain) uint32 {
	t.Helper()
	e := message(`"hello"`)
	if v := judge(t, c, e); v.Action != router.Continue || v.Failure != "" {
		t.Fatalf("a harmless message was answered %+v", *v)
	}
	return binary.LittleEndian.Uint32((*e.States)[0].Data)
}
