package plugins

import (
	"encoding/binary"
	"net/http"
	"net/http/httptest"
	"reflect"
	"strings"
	"testing"

	"sluice/router"
	"sluice/router/wire"
)

// captured is the buffer as capture.wat saw it.
type captured struct {
	t testing.TB
	b []byte
}

func readCapture(t testing.TB, e *router.Event, filter string) captured {
	t.Helper()
	data, _ := stateOf(e.States, filter)
	if len(data) != 4096 {
		t.Fatalf("%s kept %d bytes", filter, len(data))
	}
	return captured{t, data}
}

func (c captured) u32(at int) uint32 { return binary.LittleEndian.Uint32(c.b[at:]) }
func (c captured) u64(at int) uint64 { return binary.LittleEndian.Uint64(c.b[at:]) }

// text follows a string and checks what the ABI says of each: it lies in the
// buffer, its pointer is not 0, and a NUL follows.
func (c captured) text(field int) string {
	c.t.Helper()
	ptr, n := c.u32(field), c.u32(field+4)
	if ptr < guestBuffer || int(ptr-guestBuffer)+int(n) >= len(c.b) {
		c.t.Fatalf("field %d is at %#x, %d bytes: outside the buffer", field, ptr, n)
	}
	at := ptr - guestBuffer
	if c.b[at+n] != 0 {
		c.t.Errorf("field %d is not followed by a NUL", field)
	}
	return string(c.b[at : at+n])
}

func (c captured) meta() (out []meta) {
	at, n := c.u32(inMeta)-guestBuffer, c.u32(inMeta+4)
	if at%8 != 0 {
		c.t.Error("meta is not aligned")
	}
	for ; n > 0; n, at = n-1, at+metaEntry {
		out = append(out, meta{c.u32(int(at)), c.text(int(at + 8)), c.text(int(at + 16))})
		if c.u32(int(at+4)) != 0 {
			c.t.Error("a reserved field is not 0")
		}
	}
	return out
}

func captureSpec() Spec {
	s := guest("capture")
	s.StateBytes = MaxState
	return s
}

func TestAGuestSeesTheWholeEvent(t *testing.T) {
	c := newTestHost(t, HostOptions{}).chain(nil, captureSpec())
	e := &router.Event{
		Hook: router.HookMessage, Kind: router.KindDirect, FromServer: true, Time: -5, Conn: 1<<63 + 1, Seq: 99,
		Payload: []byte(`{"text":"grüße"}`), User: "ada", Target: "bob", Claims: []byte(`{"role":"mod"}`),
		Cause: 4008, Expires: 1_900_000_000_000, Remote: "2001:db8::1",
		States: &[]router.State{{Filter: "other", Data: []byte("no")}, {Filter: "capture", Version: 3, Data: []byte("kept")}},
	}
	judge(t, c, e)
	got := readCapture(t, e, "capture")
	for _, row := range []struct {
		field int
		want  uint32
	}{{inSize, 200}, {inHook, 4}, {inKind, 3}, {inFlags, 1}, {inStateVersion, 3}, {inCause, 4008}} {
		if n := got.u32(row.field); n != row.want {
			t.Errorf("field %d is %d, want %d", row.field, n, row.want)
		}
	}
	if int64(got.u64(inTime)) != -5 || got.u64(inConn) != 1<<63+1 || got.u64(inSeq) != 99 || got.u64(inExpires) != 1_900_000_000_000 {
		t.Error("a field of 64 bits is wrong")
	}
	for _, row := range []struct {
		field int
		want  string
	}{
		{inPayload, `{"text":"grüße"}`}, {inRoom, ""}, {inUser, "ada"}, {inTarget, "bob"}, {inClaims, `{"role":"mod"}`},
		{inState, "kept"}, {inRemote, "2001:db8::1"}, {inLookup, ""},
	} {
		if s := got.text(row.field); s != row.want {
			t.Errorf("field %d is %q, want %q", row.field, s, row.want)
		}
	}
	if got.u32(inPayload)%8 != 0 {
		t.Error("the payload is not aligned")
	}
	if n := got.meta(); n != nil {
		t.Errorf("a message has meta %v", n)
	}
	if (*e.States)[0].Filter != "other" || string((*e.States)[0].Data) != "no" {
		t.Error("another filter's state was touched")
	}
}

func TestOutputsOfTheLastEventAreGone(t *testing.T) {
	c := newTestHost(t, HostOptions{}).chain(nil, captureSpec())
	for range 2 {
		e := message(`1`)
		judge(t, c, e)
		out := readCapture(t, e, "capture").b[outputs:eventSize]
		copy(out[outState:outState+8], make([]byte, 8)) // what it just set
		if !changesNothing(out) {
			t.Errorf("outputs %x", out)
		}
	}
}

func TestAConnectFilterSeesOfTheRequestOnlyWhatItNames(t *testing.T) {
	spec := captureSpec()
	spec.Headers = []string{"X-Tenant", "authorization", "Host"}
	spec.Query = []string{"token", "empty", "absent"}
	spec.Cookies = []string{"session"}
	c := newTestHost(t, HostOptions{}).chain(nil, spec)
	r := httptest.NewRequest(http.MethodGet, "http://node.example:8080/ws?token=a%20b&token=c&other=1&empty", nil)
	r.Header.Add("X-Tenant", "one")
	r.Header.Add("x-tenant", "two\xff")
	r.Header.Set("Origin", "https://app.example")
	r.Header.Set("User-Agent", "secret")
	r.Header.Set("Cookie", "session=abc; other=def; session=ghi")
	e := &router.Event{Hook: router.HookConnect, Kind: router.KindNew, Request: r, States: new([]router.State)}
	judge(t, c, e)
	want := []meta{
		{metaAttribute, "path", "/ws"}, {metaAttribute, "host", "node.example:8080"}, {metaAttribute, "origin", "https://app.example"},
		{metaHeader, "x-tenant", "one"}, {metaHeader, "x-tenant", "two\xff"}, {metaHeader, "host", "node.example:8080"},
		{metaQuery, "token", "a b"}, {metaQuery, "token", "c"}, {metaQuery, "empty", ""},
		{metaCookie, "session", "abc"}, {metaCookie, "session", "ghi"},
	}
	if got := readCapture(t, e, "capture").meta(); !reflect.DeepEqual(got, want) {
		t.Errorf("meta\n%v, want\n%v", got, want)
	}
	if strings.Contains(string((*e.States)[0].Data), "secret") {
		t.Error("the guest saw a header that it does not name")
	}
}

func TestARequestWithMoreThanFiltersCanReadIsRefused(t *testing.T) {
	spec := captureSpec()
	spec.Headers, spec.Query = []string{"x-big"}, []string{"q"}
	c := newTestHost(t, HostOptions{}).chain(nil, spec)
	for what, request := range map[string]func(*http.Request){
		"bytes":   func(r *http.Request) { r.Header.Set("X-Big", strings.Repeat("x", maxMetaBytes)) },
		"entries": func(r *http.Request) { r.URL.RawQuery = strings.Repeat("q=1&", maxMetaEntries) },
	} {
		r := httptest.NewRequest(http.MethodGet, "/ws", nil)
		request(r)
		v := judge(t, c, &router.Event{Hook: router.HookConnect, Kind: router.KindNew, Request: r})
		if v.Action != router.Deny || v.Code != 413 || v.Failure != "" || v.Filter != "capture" {
			t.Errorf("%s: %+v", what, *v)
		}
	}
}

func TestAnEventThatAGuestHasNoRoomForIsAFailureOfThatEvent(t *testing.T) {
	c := newTestHost(t, HostOptions{}).chain(nil, guest("buffer_small"))
	if v := say(t, c, content(128)); v.Action != router.Continue || v.Failure != "" {
		t.Fatalf("a small event: %+v", *v)
	}
	if v := say(t, c, content(1024)); v.Failure != "too_big" {
		t.Errorf("a large event: %+v", *v)
	}
	if v := say(t, c, content(128)); v.Failure != "" {
		t.Errorf("a small event after it: %+v", *v)
	}
	if s := stats(c); s.Created != 1 {
		t.Errorf("%d instances were made, want the first to be kept", s.Created)
	}
}

func TestAskingForALargerBufferIsBoundedToo(t *testing.T) {
	c := newTestHost(t, HostOptions{}).chain(nil, guest("loop_buffer"))
	within(t, "sluice_buffer", func() {
		if v := say(t, c, content(8192)); v.Failure != "timeout" {
			t.Errorf("%+v", *v)
		}
	})
}

func TestTheLongestPayloadFitsTheLargestBufferWithAllElseAtItsMaximum(t *testing.T) {
	name := strings.Repeat("n", wire.MaxName)
	e := router.Event{Hook: router.HookMessage, Payload: make([]byte, MaxPayload), Target: name, Remote: "[ffff:ffff:ffff:ffff:ffff:ffff:255.255.255.255%interface]:65535"}
	q := question{event: &e, payload: e.Payload, room: name, user: name, claims: make([]byte, maxClaims), state: make([]byte, MaxState)}
	if n := q.size(); n > bufferMax {
		t.Errorf("it takes %d bytes, more than %d", n, bufferMax)
	}
}

func TestAChainWithOnMessageRefusesLongerMessagesThanFiltersCanRead(t *testing.T) {
	h := newTestHost(t, HostOptions{})
	c := h.chain(nil, guest("noop"))
	if err := c.CheckPayload(MaxPayload); err != nil {
		t.Error(err)
	}
	if err := c.CheckPayload(MaxPayload + 1); err == nil || !strings.Contains(err.Error(), "limits.frame") {
		t.Errorf("CheckPayload = %v", err)
	}
	if err := h.chain(nil).CheckPayload(16 << 20); err != nil {
		t.Errorf("without filters: %v", err)
	}
}
