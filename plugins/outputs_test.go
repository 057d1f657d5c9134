package plugins

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"strings"
	"testing"
	"time"

	"sluice/router"
	"sluice/router/wire"
)

// Where outputs.wat has its buffer, and what script puts after its header.
const (
	guestBuffer = 65536
	scriptData  = guestBuffer + inputsAt + outputsSize + 4
)

// script is a payload for outputs.wat: what it is to answer.
type script struct {
	out     [outputsSize]byte
	verdict int32
	data    []byte
}

// put adds a string to the answer.
func (s *script) put(field int, text string) *script {
	return s.span(field, uint32(scriptData+len(s.data)), uint32(len(text))).append(text)
}

func (s *script) span(field int, ptr, n uint32) *script {
	binary.LittleEndian.PutUint32(s.out[field:], ptr)
	binary.LittleEndian.PutUint32(s.out[field+4:], n)
	return s
}

func (s *script) append(text string) *script {
	s.data = append(s.data, text...)
	return s
}

func (s *script) u32(field int, n uint32) *script {
	binary.LittleEndian.PutUint32(s.out[field:], n)
	return s
}

func (s *script) u64(field int, n int64) *script {
	binary.LittleEndian.PutUint64(s.out[field:], uint64(n))
	return s
}

func (s *script) payload() []byte {
	b := append([]byte(nil), s.out[:]...)
	b = binary.LittleEndian.AppendUint32(b, uint32(s.verdict))
	return append(b, s.data...)
}

func answering(verdict int32) *script { return &script{verdict: verdict} }

// eventOf is an event for outputs.wat, of any hook.
func eventOf(hook router.Hook, s *script) *router.Event {
	e := message("")
	e.Hook, e.Payload = hook, s.payload()
	if hook != router.HookMessage {
		e.Kind = 0
	}
	if hook == router.HookConnect {
		e.Kind, e.User, e.Room = router.KindNew, "", ""
	}
	return e
}

const (
	vContinue   = int32(router.Continue)
	vAllow      = int32(router.Allow)
	vDeny       = int32(router.Deny)
	vDrop       = int32(router.Drop)
	vDisconnect = int32(router.Disconnect)
)

func TestAnAnswerThatBreaksTheABIIsAFailure(t *testing.T) {
	const conn, join, msg, leave, disc = router.HookConnect, router.HookJoin, router.HookMessage, router.HookLeave, router.HookDisconnect
	long := func(n int) string { return strings.Repeat("x", n) }
	rows := []struct {
		what  string
		hook  router.Hook
		s     *script
		cause Cause
	}{
		{"a negative verdict", msg, answering(-1), CauseGuest},
		{"the most negative verdict", msg, answering(-1 << 31), CauseGuest},
		{"verdict 5", msg, answering(5), CauseVerdict},
		{"a verdict of any size", msg, answering(1<<31 - 1), CauseVerdict},
		{"drop on connect", conn, answering(vDrop), CauseVerdict},
		{"disconnect on connect", conn, answering(vDisconnect), CauseVerdict},
		{"drop on join", join, answering(vDrop), CauseVerdict},
		{"deny on leave", leave, answering(vDeny), CauseVerdict},
		{"deny on disconnect", disc, answering(vDeny), CauseVerdict},

		{"a payload that is no JSON", msg, answering(vContinue).put(outPayload, `{"a":`), CauseJSON},
		{"a cleared payload", msg, answering(vContinue).span(outPayload, scriptData, 0), CauseJSON},
		{"a payload that is not UTF-8", msg, answering(vContinue).put(outPayload, "\"\xff\""), CauseJSON},
		{"a payload over 64 KiB", msg, answering(vContinue).span(outPayload, 1024, maxContent+1), CauseTooBig},
		{"a room that is not UTF-8", msg, answering(vContinue).put(outRoom, "chat:\xc3("), CauseUTF8},
		{"a room with control characters", msg, answering(vContinue).put(outRoom, "chat:\n"), CauseValue},
		{"a cleared room", msg, answering(vContinue).span(outRoom, scriptData, 0), CauseValue},
		{"a room that is too long", msg, answering(vContinue).put(outRoom, long(256)), CauseTooBig},
		{"another room that is not granted", msg, answering(vContinue).put(outRoom, "secret"), CauseNotAllowed},
		{"a state that is too long", msg, answering(vContinue).put(outState, long(1025)), CauseTooBig},
		{"a user on a message", msg, answering(vContinue).put(outUser, "eve"), CauseNotAllowed},
		{"grants on a message", msg, answering(vContinue).put(outGrants, "[]"), CauseNotAllowed},
		{"an expiry on a message", msg, answering(vContinue).u64(outExpires, 1), CauseNotAllowed},
		{"a payload on join", join, answering(vContinue).put(outPayload, "1"), CauseNotAllowed},
		{"a room on join", join, answering(vContinue).put(outRoom, "chat:other"), CauseNotAllowed},
		{"claims on join", join, answering(vContinue).put(outClaims, "{}"), CauseNotAllowed},
		{"a room on connect", conn, answering(vContinue).put(outRoom, "chat:other"), CauseNotAllowed},

		{"a code between the known ones", msg, answering(vDeny).u32(outCode, 402), CauseValue},
		{"a code of the protocol's own", msg, answering(vDeny).u32(outCode, 4000), CauseValue},
		{"a reason that is not UTF-8", msg, answering(vDeny).put(outReason, "\xff"), CauseUTF8},
		{"a reason over 512 bytes", msg, answering(vDeny).put(outReason, long(513)), CauseTooBig},

		{"a user that is not UTF-8", conn, answering(vContinue).put(outUser, "\xff"), CauseUTF8},
		{"a user with control characters", conn, answering(vContinue).put(outUser, "a\x00b"), CauseValue},
		{"a user that is too long", conn, answering(vContinue).put(outUser, long(256)), CauseTooBig},
		{"claims that are no JSON", conn, answering(vContinue).put(outClaims, "{"), CauseJSON},
		{"claims that are no object", conn, answering(vContinue).put(outClaims, " [1]"), CauseJSON},
		{"claims over 16 KiB", conn, answering(vContinue).put(outClaims, `{"a":"`+long(16<<10)+`"}`), CauseTooBig},
		{"grants that are no JSON", conn, answering(vContinue).put(outGrants, "["), CauseJSON},
		{"grants that grant nothing known", conn, answering(vContinue).put(outGrants, `[{"rooms":"**","allow":["rule"]}]`), CauseValue},
		{"info that is no JSON", conn, answering(vContinue).put(outPayload, "name"), CauseJSON},
		{"info over 4 KiB", conn, answering(vContinue).put(outPayload, `"`+long(4<<10)+`"`), CauseTooBig},
		{"an expiry before 1970", conn, answering(vContinue).u64(outExpires, -1), CauseValue},
	}
	for _, span := range []struct {
		field   int
		hook    router.Hook
		verdict int32
	}{
		{outReason, msg, vDeny}, {outReason, msg, vDisconnect}, {outPayload, msg, vContinue}, {outRoom, msg, vContinue},
		{outState, msg, vDrop}, {outPayload, conn, vContinue}, {outUser, conn, vContinue}, {outClaims, conn, vContinue}, {outGrants, conn, vContinue},
	} {
		for what, at := range map[string][2]uint32{
			"past the end": {4 << 16, 1}, "across the end": {4<<16 - 4, 8}, "around the address space": {0xffff_fff0, 0x20}, "of 4 GiB": {8, 0xffff_ffff},
		} {
			rows = append(rows, struct {
				what  string
				hook  router.Hook
				s     *script
				cause Cause
			}{fmt.Sprintf("output %d of hook %d %s", span.field+outputs, span.hook, what), span.hook,
				answering(span.verdict).span(span.field, at[0], at[1]), CausePointer})
		}
	}
	closed := newTestHost(t, HostOptions{}).chain(nil, guest("outputs"))
	open := filter{settings: closed.filters[0].settings, pool: closed.filters[0].pool}
	open.failOpen = true
	lenient := &Chain{host: closed.host, filters: []filter{open}, hooks: closed.hooks}
	for _, row := range rows {
		t.Run(row.what, func(t *testing.T) {
			before := stats(closed)
			e := eventOf(row.hook, row.s)
			v := judge(t, closed, e)
			observed := row.hook == leave || row.hook == disc
			want := router.Verdict{Action: router.Deny, Code: 503, Reason: "a filter failed", Filter: "outputs", Failure: row.cause.String()}
			if observed {
				want = router.Verdict{}
			}
			if !equalVerdicts(v, &want) {
				t.Errorf("on_failure deny: %+v, want %+v", *v, want)
			}
			if len(*e.States) != 0 {
				t.Error("a failed call changed the state")
			}
			if v := judge(t, lenient, eventOf(row.hook, row.s)); !equalVerdicts(v, &router.Verdict{}) {
				t.Errorf("on_failure continue: %+v", *v)
			}
			after := stats(closed)
			if n := after.Failures[row.cause.String()] - before.Failures[row.cause.String()]; n != 2 {
				t.Errorf("%d failures counted, want 2", n)
			}
			wantMade := uint64(0)
			if row.cause == CausePointer {
				wantMade = 1 // for the second event; the first one's is kept until it is needed
			}
			if made := after.Created - before.Created; made < wantMade || made > 2*wantMade {
				t.Errorf("%d instances were made", made)
			}
		})
	}
}

func equalVerdicts(a, b *router.Verdict) bool {
	return a.Action == b.Action && a.Code == b.Code && a.Reason == b.Reason && a.RetryAfter == b.RetryAfter && a.Filter == b.Filter &&
		a.Failure == b.Failure && bytes.Equal(a.Payload, b.Payload) && a.Room == b.Room && (a.Identity == nil) == (b.Identity == nil)
}

func TestAVerdictIsCarriedOut(t *testing.T) {
	for _, row := range []struct {
		what string
		hook router.Hook
		s    *script
		want router.Verdict
	}{
		{"continue", router.HookMessage, answering(vContinue), router.Verdict{}},
		{"allow without may.allow", router.HookMessage, answering(vAllow), router.Verdict{}},
		{"deny", router.HookMessage, answering(vDeny).u32(outCode, 429).u32(outRetry, 250).put(outReason, "slow down, günter"),
			router.Verdict{Action: router.Deny, Code: 429, RetryAfter: 250 * time.Millisecond, Reason: "slow down, günter", Filter: "outputs"}},
		{"deny without a code and a reason", router.HookJoin, answering(vDeny),
			router.Verdict{Action: router.Deny, Code: 403, Reason: "refused by a filter", Filter: "outputs"}},
		{"deny with a code of its own", router.HookConnect, answering(vDeny).u32(outCode, 1000).put(outReason, "no"),
			router.Verdict{Action: router.Deny, Code: 1000, Reason: "no", Filter: "outputs"}},
		{"deny does not read what it does not use", router.HookMessage, answering(vDeny).span(outPayload, 0xffff_fff0, 9),
			router.Verdict{Action: router.Deny, Code: 403, Reason: "refused by a filter", Filter: "outputs"}},
		{"drop", router.HookMessage, answering(vDrop), router.Verdict{Action: router.Drop, Filter: "outputs"}},
		{"disconnect", router.HookMessage, answering(vDisconnect).u32(outCode, 4321).put(outReason, "bye"),
			router.Verdict{Action: router.Disconnect, Code: 4321, Reason: "bye", Filter: "outputs"}},
		{"disconnect without a close code", router.HookJoin, answering(vDisconnect).u32(outCode, 403),
			router.Verdict{Action: router.Disconnect, Code: wire.ClosePolicy, Reason: "refused by a filter", Filter: "outputs"}},
		{"rewrite", router.HookMessage, answering(vContinue).put(outPayload, ` {"a": [1, "ä"]}`), router.Verdict{Payload: []byte(` {"a": [1, "ä"]}`)}},
		{"rewrite to 64 KiB", router.HookMessage, answering(vContinue).put(outPayload, content(maxContent)), router.Verdict{Payload: []byte(content(maxContent))}},
		{"the same room", router.HookMessage, answering(vContinue).put(outRoom, "chat:lobby"), router.Verdict{}},
		{"a string at address 0 is unset", router.HookMessage, answering(vContinue).span(outPayload, 0, 7), router.Verdict{}},
		{"an output may point into the inputs", router.HookMessage, answering(vContinue).span(outPayload, scriptData, 4).append("true"), router.Verdict{Payload: []byte("true")}},
		{"leave", router.HookLeave, answering(vContinue), router.Verdict{}},
		{"disconnected", router.HookDisconnect, answering(vAllow), router.Verdict{}},
	} {
		t.Run(row.what, func(t *testing.T) {
			h := newTestHost(t, HostOptions{})
			spec := guest("outputs")
			spec.Memory = 8 << 20
			c := h.chain(nil, spec)
			if v := judge(t, c, eventOf(row.hook, row.s)); !equalVerdicts(v, &row.want) {
				t.Errorf("%.200v, want %.200v", fmt.Sprintf("%+v", *v), fmt.Sprintf("%+v", row.want))
			}
			s := stats(c)
			action := verdictWords[row.want.Action]
			if s.Verdicts[action] != 1 || s.Calls != 1 {
				t.Errorf("verdicts %v of %d calls, want one %s", s.Verdicts, s.Calls, action)
			}
		})
	}
}

func TestTheNextFilterSeesTheRewrittenMessage(t *testing.T) {
	h := newTestHost(t, HostOptions{})
	spec := guest("capture")
	spec.StateBytes = MaxState
	c := h.chain(nil, guest("outputs"), spec)
	e := eventOf(router.HookMessage, answering(vContinue).put(outPayload, `"rewritten"`))
	judge(t, c, e)
	if got := readCapture(t, e, "capture").text(inPayload); got != `"rewritten"` {
		t.Errorf("the next filter saw %q", got)
	}
	if string(e.Verdict.Payload) != `"rewritten"` {
		t.Errorf("the verdict has %q", e.Verdict.Payload)
	}
}

func TestAllowSkipsTheRestOfTheChainOnlyIfItMay(t *testing.T) {
	for _, may := range []bool{false, true} {
		h := newTestHost(t, HostOptions{})
		first := guest("outputs")
		first.May.Allow = may
		c := h.chain(nil, first, guest("trap"))
		v := judge(t, c, eventOf(router.HookMessage, answering(vAllow)))
		if may && (v.Action != router.Allow || v.Filter != "outputs") || !may && v.Failure != "trap" {
			t.Errorf("may.allow %v: %+v", may, *v)
		}
	}
}

func TestAReroutedMessageIsJudgedByLaterFiltersInItsNewRoom(t *testing.T) {
	h := newTestHost(t, HostOptions{})
	first := guest("outputs")
	first.Rooms = []string{"chat:*"}
	first.May.Reroute = []string{"queue:*"}
	oldRoom, newRoom := guest("trap"), guest("capture")
	oldRoom.Rooms, newRoom.Rooms, newRoom.StateBytes = []string{"chat:*"}, []string{"queue:*"}, MaxState
	c := h.chain(nil, first, oldRoom, newRoom)
	e := eventOf(router.HookMessage, answering(vContinue).put(outRoom, "queue:held"))
	v := judge(t, c, e)
	if v.Action != router.Continue || v.Room != "queue:held" || e.Room != "chat:lobby" {
		t.Errorf("verdict %+v", *v)
	}
	if got := readCapture(t, e, "capture").text(inRoom); got != "queue:held" {
		t.Errorf("the filter of the new room saw room %q", got)
	}
	for _, kind := range []uint32{router.KindBroadcast, router.KindDirect} {
		e := eventOf(router.HookMessage, answering(vContinue).put(outRoom, "queue:held"))
		e.Kind, e.Room = kind, ""
		unrestricted := h.chain(nil, Spec{Name: "outputs", Plugin: "outputs.wasm", Dir: "testdata", May: May{Reroute: []string{"queue:*"}}})
		if v := judge(t, unrestricted, e); v.Failure != "not_allowed" || v.Room != "" {
			t.Errorf("kind %d was rerouted: %+v", kind, *v)
		}
	}
}

func TestAFilterWithRoomsIsAskedAboutThoseRoomsOnly(t *testing.T) {
	h := newTestHost(t, HostOptions{})
	spec := guest("outputs")
	spec.Rooms = []string{"chat:*", "lobby"}
	c := h.chain(nil, spec)
	for _, row := range []struct {
		hook  router.Hook
		kind  uint32
		room  string
		asked bool
	}{
		{router.HookMessage, router.KindRoom, "chat:a", true},
		{router.HookMessage, router.KindRoom, "lobby", true},
		{router.HookMessage, router.KindRoom, "games:a", false},
		{router.HookMessage, router.KindBroadcast, "", false},
		{router.HookMessage, router.KindDirect, "", false},
		{router.HookJoin, 0, "chat:a", true},
		{router.HookJoin, 0, "games:a", false},
		{router.HookLeave, 0, "games:a", false},
		{router.HookConnect, router.KindNew, "", true},
		{router.HookDisconnect, 0, "", true},
	} {
		before := stats(c).Calls
		e := eventOf(row.hook, answering(vContinue))
		e.Kind, e.Room = row.kind, row.room
		judge(t, c, e)
		if asked := stats(c).Calls != before; asked != row.asked {
			t.Errorf("hook %d, kind %d, room %q: asked %v", row.hook, row.kind, row.room, asked)
		}
	}
}
