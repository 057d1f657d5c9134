package plugins

import (
	"bytes"
	"testing"
	"unicode/utf8"

	"sluice/router"
	"sluice/router/wire"
)

// FuzzOutputs lets a guest answer anything at all on any hook: the host does
// not panic, and lets nothing pass that the ABI forbids.
func FuzzOutputs(f *testing.F) {
	for _, s := range []*script{
		answering(0), answering(-1), answering(7),
		answering(vContinue).put(outPayload, `{"a":1}`).put(outRoom, "queue:x").put(outState, "s"),
		answering(vDeny).u32(outCode, 1234).u32(outRetry, 9).put(outReason, "no"),
		answering(vDisconnect).u32(outCode, 4999).put(outReason, "bye"),
		answering(vContinue).put(outUser, "ada").put(outClaims, `{}`).put(outGrants, `[{"rooms":"**","allow":["join"]}]`).u64(outExpires, 5),
		answering(vContinue).span(outPayload, 0xffff_ffff, 0xffff_ffff),
		answering(vAllow).span(outState, 1, 1025),
	} {
		for hook := router.HookConnect; hook <= router.HookDisconnect; hook++ {
			f.Add(byte(hook), byte(1), s.payload())
		}
	}
	h := newTestHost(f, HostOptions{})
	spec := guest("outputs")
	spec.May = May{Allow: true, Reroute: []string{"queue:*"}}
	c := h.chain(nil, spec)
	f.Fuzz(func(t *testing.T, hook, kind byte, payload []byte) {
		if len(payload) > 2*maxContent {
			return
		}
		e := message("")
		e.Hook, e.Kind, e.Payload = router.Hook(hook%8), uint32(kind%4), payload
		e.States = &[]router.State{{Filter: "outputs", Data: []byte("before")}}
		if e.Kind != router.KindRoom {
			e.Room = ""
		}
		v := judge(t, c, e)
		checkVerdict(t, e, v)
		if next := message(string(answering(vContinue).payload())); judge(t, c, next).Failure != "" {
			t.Errorf("the next event failed: %+v", next.Verdict)
		}
	})
}

// checkVerdict is what the router may rely on.
func checkVerdict(t *testing.T, e *router.Event, v *router.Verdict) {
	allowed := verdictsOf[router.HookMessage]
	if int(e.Hook) < len(verdictsOf) {
		allowed |= verdictsOf[e.Hook]
	}
	if v.Action > router.Disconnect || allowed&(1<<v.Action) == 0 {
		t.Errorf("action %d", v.Action)
	}
	if v.Failure != "" && (v.Action != router.Deny || v.Code != 503 || v.Identity != nil || v.Payload != nil || v.Room != "") {
		t.Errorf("a failure with consequences: %+v", *v)
	}
	if !utf8.ValidString(v.Reason) || len(v.Reason) > maxReason {
		t.Errorf("reason %q", v.Reason)
	}
	switch v.Action {
	case router.Deny:
		if a := (answer{action: router.Deny, code: v.Code}); v.Code == 0 || !a.fixCode() {
			t.Errorf("code %d", v.Code)
		}
	case router.Disconnect:
		if v.Code < minCloseCode || v.Code > maxCloseCode {
			t.Errorf("close code %d", v.Code)
		}
	}
	if v.Payload != nil && (e.Hook != router.HookMessage || wire.CheckJSON(v.Payload) != "" || len(v.Payload) > maxContent) {
		t.Errorf("payload %q on hook %d", v.Payload, e.Hook)
	}
	if v.Room != "" && (e.Hook != router.HookMessage || e.Kind != router.KindRoom || wire.CheckName([]byte(v.Room)) != "" || !bytes.HasPrefix([]byte(v.Room), []byte("queue:"))) {
		t.Errorf("room %q", v.Room)
	}
	if id := v.Identity; id != nil {
		if e.Hook != router.HookConnect || id.User != "" && wire.CheckName([]byte(id.User)) != "" {
			t.Errorf("identity %+v", *id)
		}
		if id.Claims != nil && (wire.CheckJSON(id.Claims) != "" || !isObject(id.Claims)) || id.Info != nil && wire.CheckJSON(id.Info) != "" {
			t.Errorf("identity %+v", *id)
		}
	}
	for _, s := range *e.States {
		if s.Filter != "outputs" || len(s.Data) > DefaultState || v.Failure != "" && string(s.Data) != "before" {
			t.Errorf("state %+v after %+v", s, *v)
		}
	}
}
