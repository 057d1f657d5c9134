// Command probe_go is testdata/probe.c in Go.
package main

import (
	"errors"
	"runtime"
	"strconv"

	sluice "sluice/sdk/go"
)

//go:wasmexport sluice_state_version
func stateVersion() int32 { return 7 }

//go:wasmexport on_connect
func onConnect(e *sluice.Event) sluice.Verdict {
	user, ok := e.MetaValue(sluice.Header, "x-user")
	if e.Kind() == sluice.KindRefresh {
		user, ok = string(e.Payload()), true
	}
	if !ok {
		return e.DenyFor(sluice.Unauthorized, 1500, "who are you?")
	}
	name, _ := e.MetaValue(sluice.Query, "name")
	path, _ := e.MetaValue(sluice.Attribute, "path")
	cookie, _ := e.MetaValue(sluice.Cookie, "s")
	e.SetUser(user)
	e.SetGrants([]byte(`[{"rooms":"chat:*","allow":["join","send"]},{"allow":["direct"]}]`))
	e.SetExpiresMillis(e.TimeNanos()/1e6 + 60000)
	e.SetClaims([]byte(`{"path":"` + path + `","cookie":"` + cookie + `","remote":"` + e.Remote() + `"}`))
	e.SetInfo([]byte(`"` + name + `"`))
	churn()
	return sluice.Continue
}

//go:wasmexport on_join
func onJoin(e *sluice.Event) sluice.Verdict {
	if e.Room() == "closed" {
		return e.Deny(sluice.Forbidden, "closed")
	}
	return sluice.Continue
}

func tell(e *sluice.Event) sluice.Verdict {
	out := []byte("[")
	n := func(v int64) { out = append(strconv.AppendInt(out, v, 10), ',') }
	raw := func(b []byte) { out = append(append(out, b...), ',') }
	quoted := func(s string) { out = append(strconv.AppendQuote(out, s), ',') }
	n(int64(e.Hook()))
	n(int64(e.Kind()))
	if e.FromServer() {
		n(1)
	} else {
		n(0)
	}
	n(e.TimeNanos())
	n(int64(e.Conn()))
	n(int64(e.Seq()))
	raw(e.Payload())
	quoted(e.Room())
	quoted(e.User())
	quoted(e.Target())
	raw(e.Claims())
	quoted(string(e.State()))
	n(int64(e.StateVersion()))
	quoted(e.Remote())
	out = append(strconv.AppendInt(out, e.ExpiresMillis(), 10), ']')
	v := e.Rewrite(out)
	churn()
	return v
}

var (
	rubbish [][]byte
	churned int
)

// churn collects garbage and fills what was freed: an output that nothing
// keeps reachable is overwritten here. It is dear, so only an instance's first
// events are tried.
func churn() {
	if churned++; churned > 64 {
		return
	}
	rubbish = nil
	runtime.GC()
	for size := 8; size <= 1024; size += 8 {
		for range 64 {
			b := make([]byte, size)
			for i := range b {
				b[i] = '!'
			}
			rubbish = append(rubbish, b)
		}
	}
}

//go:wasmexport on_message
func onMessage(e *sluice.Event) sluice.Verdict {
	e.SetState([]byte("kept"))
	switch string(e.Payload()) {
	case `"allow"`:
		return sluice.Allow
	case `"deny"`:
		return e.Deny(1234, "no")
	case `"drop"`:
		return sluice.Drop
	case `"close"`:
		return e.Disconnect(4003, "bye")
	case `"fail"`:
		return sluice.Fail
	case `"reroute"`:
		return e.Reroute("other")
	case `"forget"`:
		e.SetState(nil)
		return sluice.Continue
	case `"random"`:
		var bytes [16]byte
		if sluice.Random(bytes[:]) != nil {
			return sluice.Fail
		}
		set := int64(0)
		for _, b := range bytes {
			if b != 0 {
				set++
			}
		}
		return e.Rewrite(strconv.AppendInt(nil, set, 10))
	case `"now"`:
		return number(e, sluice.Now(), nil)
	}
	return keep(e)
}

// keep has the functions of which the node keeps something.
func keep(e *sluice.Event) sluice.Verdict {
	switch string(e.Payload()) {
	case `"counter"`:
		n, err := sluice.CounterAdd("c", 1, 60000)
		return number(e, n, err)
	case `"bucket"`:
		wait, err := sluice.BucketTake("b", 1, 2, 1)
		return number(e, wait, err)
	case `"metric"`:
		return number(e, 0, sluice.MetricAdd("probed", 2))
	case `"set"`:
		return number(e, 0, sluice.KVSet("k", []byte("v"), 0))
	case `"get"`:
		value, err := sluice.KVGet("k", nil)
		switch {
		case errors.Is(err, sluice.ErrNotFound):
			return e.Rewrite([]byte("null"))
		case err != nil:
			return sluice.Fail
		}
		return e.Rewrite(strconv.AppendQuote(nil, string(value)))
	case `"lookup"`:
		value, status := e.Lookup()
		if status != sluice.LookupFound {
			value = []byte("null")
		}
		out := append(strconv.AppendUint([]byte("["), uint64(status), 10), ',')
		return e.Rewrite(append(append(out, value...), ']'))
	}
	return tell(e)
}

// number answers what a host function returned.
func number(e *sluice.Event, n int64, err error) sluice.Verdict {
	for i, known := range []error{sluice.ErrArgument, sluice.ErrUnsupported, sluice.ErrNotFound, sluice.ErrQuota, sluice.ErrUnavailable} {
		if err == known {
			n = -1 - int64(i)
		}
	}
	return e.Rewrite(strconv.AppendInt(nil, n, 10))
}

func end(e *sluice.Event, what string) sluice.Verdict {
	sluice.Log(sluice.Warn, what+" "+e.Room()+","+strconv.FormatUint(uint64(e.Cause()), 10))
	return sluice.Continue
}

//go:wasmexport on_leave
func onLeave(e *sluice.Event) sluice.Verdict { return end(e, "left") }

//go:wasmexport on_disconnect
func onDisconnect(e *sluice.Event) sluice.Verdict { return end(e, "gone") }

func main() {}
