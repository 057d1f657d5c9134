//go:build !wasm

package sluice

import (
	"bytes"
	"testing"
	"unsafe"
)

func TestAnEventShowsWhatItWasMadeFrom(t *testing.T) {
	e := NewEvent(Input{
		Hook: HookDisconnect, Kind: KindDirect, FromServer: true, TimeNanos: 7, Conn: 8, Seq: 9,
		Payload: `"hi"`, Room: "chat:a", User: "ann", Target: "bob", Claims: `{"a":1}`,
		State: []byte{1, 2}, StateVersion: 3, Cause: 4001, Remote: "192.0.2.1", ExpiresMillis: 11,
	})
	if e.Hook() != HookDisconnect || e.Kind() != KindDirect || !e.FromServer() || e.TimeNanos() != 7 ||
		e.Conn() != 8 || e.Seq() != 9 || e.StateVersion() != 3 || e.Cause() != 4001 || e.ExpiresMillis() != 11 {
		t.Errorf("numbers: %+v", e)
	}
	if string(e.Payload()) != `"hi"` || e.Room() != "chat:a" || e.User() != "ann" || e.Target() != "bob" ||
		string(e.Claims()) != `{"a":1}` || !bytes.Equal(e.State(), []byte{1, 2}) || e.Remote() != "192.0.2.1" {
		t.Errorf("texts: %q %q %q %q %q %q %q", e.Payload(), e.Room(), e.User(), e.Target(), e.Claims(), e.State(), e.Remote())
	}
}

func TestAnEventWithoutAHookIsAMessage(t *testing.T) {
	if e := NewEvent(Input{}); e.Hook() != HookMessage || len(e.Payload()) != 0 || e.Room() != "" || e.FromServer() {
		t.Errorf("got %+v", e)
	}
}

func TestMetaIsFoundByKindAndName(t *testing.T) {
	e := NewEvent(Input{Hook: HookConnect, Meta: []Meta{
		{Attribute, "path", "/ws"}, {Header, "x-tag", "one"}, {Header, "x-tag", "two"}, {Cookie, "path", "c"},
	}})
	if e.MetaLen() != 4 {
		t.Fatalf("%d values, want 4", e.MetaLen())
	}
	if m := e.MetaAt(2); m != (Meta{Header, "x-tag", "two"}) {
		t.Errorf("the third is %+v", m)
	}
	for _, c := range []struct {
		kind  MetaKind
		name  string
		value string
		ok    bool
	}{
		{Attribute, "path", "/ws", true}, {Cookie, "path", "c", true}, {Header, "x-tag", "one", true},
		{Query, "path", "", false}, {Header, "x-ta", "", false},
	} {
		if v, ok := e.MetaValue(c.kind, c.name); v != c.value || ok != c.ok {
			t.Errorf("%d %q is %q, %v; want %q, %v", c.kind, c.name, v, ok, c.value, c.ok)
		}
	}
}

func TestRefusalsCarryCodeAndReason(t *testing.T) {
	e := NewEvent(Input{})
	if v := e.Deny(TooLarge, "too big"); v != 2 || e.Answer().Code != 413 || e.Answer().Reason != "too big" {
		t.Errorf("deny: %d %+v", v, e.Answer())
	}
	e = NewEvent(Input{})
	if v := e.DenyFor(RateLimited, 1500, "slow down"); v != 2 || e.Answer().Code != 429 || e.Answer().RetryMillis != 1500 {
		t.Errorf("deny for: %d %+v", v, e.Answer())
	}
	e = NewEvent(Input{})
	if v := e.Disconnect(4003, "bye"); v != 4 || e.Answer().Code != 4003 || e.Answer().Reason != "bye" {
		t.Errorf("disconnect: %d %+v", v, e.Answer())
	}
}

func TestOutputsAreUnsetUntilTheyAreSet(t *testing.T) {
	a := NewEvent(Input{Payload: `1`, User: "ann", State: []byte{1}}).Answer()
	if a.Code != 0 || a.Reason != "" || a.Payload != nil || a.Room != "" || a.State != nil || a.User != nil ||
		a.Claims != nil || a.Grants != nil || a.ExpiresMillis != 0 {
		t.Errorf("got %+v", a)
	}
}

func TestAnEmptyOutputClearsRatherThanLeavesUnset(t *testing.T) {
	e := NewEvent(Input{})
	e.SetState(nil)
	e.SetUser("")
	e.SetClaims([]byte{})
	if a := e.Answer(); a.State == nil || a.User == nil || a.Claims == nil || len(a.State)+len(a.User)+len(a.Claims) != 0 {
		t.Errorf("got %+v", a)
	}
}

func TestChangesAreOutputs(t *testing.T) {
	e := NewEvent(Input{})
	if v := e.Rewrite([]byte(`2`)); v != Continue {
		t.Errorf("rewrite is %d", v)
	}
	if v := e.Reroute("chat:b"); v != Continue {
		t.Errorf("reroute is %d", v)
	}
	e.SetState([]byte{7})
	e.SetGrants([]byte(`[]`))
	e.SetClaims([]byte(`{}`))
	e.SetUser("ann")
	e.SetExpiresMillis(99)
	a := e.Answer()
	if string(a.Payload) != `2` || a.Room != "chat:b" || !bytes.Equal(a.State, []byte{7}) || string(a.Grants) != `[]` ||
		string(a.Claims) != `{}` || string(a.User) != "ann" || a.ExpiresMillis != 99 {
		t.Errorf("got %+v", a)
	}
}

func TestHostFunctionsHaveStandInsForTests(t *testing.T) {
	var got string
	t.Cleanup(ResetTest)
	TestLog = func(l Level, text string) { got = text }
	TestNow = func() int64 { return 5 }
	Log(Warn, "careful")
	a, b := make([]byte, 16), make([]byte, 16)
	if err := Random(a); err != nil {
		t.Fatal(err)
	}
	if err := Random(b); err != nil {
		t.Fatal(err)
	}
	if got != "careful" || Now() != 5 || bytes.Equal(a, make([]byte, 16)) || !bytes.Equal(a, b) {
		t.Errorf("log %q, now %d, random %x and %x", got, Now(), a, b)
	}
}

func TestErrorNumbersHaveNames(t *testing.T) {
	for n, want := range map[int64]error{
		0: nil, 5: nil, -1: ErrArgument, -2: ErrUnsupported, -3: ErrNotFound, -4: ErrQuota, -5: ErrUnavailable, -99: ErrUnsupported,
	} {
		if got := errorOf(n); got != want {
			t.Errorf("%d is %v, want %v", n, got, want)
		}
	}
}

func TestTheEventHasTheLayoutOfTheABI(t *testing.T) {
	var e Event
	base := unsafe.Offsetof(e.size) // the native stand-in for memory comes before
	for name, c := range map[string][2]uintptr{
		"size": {unsafe.Offsetof(e.size), 0}, "hook": {unsafe.Offsetof(e.hook), 4}, "kind": {unsafe.Offsetof(e.kind), 8},
		"flags": {unsafe.Offsetof(e.flags), 12}, "time": {unsafe.Offsetof(e.time), 16}, "conn": {unsafe.Offsetof(e.conn), 24},
		"seq": {unsafe.Offsetof(e.seq), 32}, "payload": {unsafe.Offsetof(e.payload), 40}, "room": {unsafe.Offsetof(e.room), 48},
		"user": {unsafe.Offsetof(e.user), 56}, "target": {unsafe.Offsetof(e.target), 64}, "claims": {unsafe.Offsetof(e.claims), 72},
		"state": {unsafe.Offsetof(e.state), 80}, "state_version": {unsafe.Offsetof(e.stateVersion), 88},
		"cause": {unsafe.Offsetof(e.cause), 92}, "meta": {unsafe.Offsetof(e.meta), 96}, "lookup": {unsafe.Offsetof(e.lookup), 104},
		"remote": {unsafe.Offsetof(e.remote), 112}, "expires": {unsafe.Offsetof(e.expires), 120},
		"code": {unsafe.Offsetof(e.outCode), 128}, "retry": {unsafe.Offsetof(e.outRetry), 132},
		"reason": {unsafe.Offsetof(e.outReason), 136}, "out payload": {unsafe.Offsetof(e.outPayload), 144},
		"out room": {unsafe.Offsetof(e.outRoom), 152}, "out state": {unsafe.Offsetof(e.outState), 160},
		"out user": {unsafe.Offsetof(e.outUser), 168}, "out claims": {unsafe.Offsetof(e.outClaims), 176},
		"out grants": {unsafe.Offsetof(e.outGrants), 184}, "out expires": {unsafe.Offsetof(e.outExpires), 192},
	} {
		if got := c[0] - base; got != c[1] {
			t.Errorf("%s is at %d, want %d", name, got, c[1])
		}
	}
	if got := unsafe.Sizeof(e) - base; got != 200 {
		t.Errorf("the event has %d bytes, want 200", got)
	}
}
