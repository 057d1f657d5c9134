package plugins

import (
	"context"
	"encoding/json"
	"net/http/httptest"
	"regexp"
	"strings"
	"testing"

	"sluice/router"
)

// Everything that an event or an answer holds is a word that must not be told.
func TestASampleTellsNothingThatWasInTheEventOrInAnAnswer(t *testing.T) {
	h := newTestHost(t, HostOptions{Lanes: 1})
	spec := shadowing100("outputs", "outputs")
	spec.Candidate = twin(t, "trap") // has no on_connect
	spec.Query, spec.Headers = []string{"token"}, []string{"x-secret"}
	spec.Rooms = []string{"public:*", "public:secret-room*"}
	c := h.chain(nil, spec)

	s := answering(vContinue).put(outPayload, `{"secret-key":"secret-value","n":[1,true,null,{"secret-key":-12345}]}`).put(outState, "secret-state")
	e := eventOf(router.HookMessage, s)
	e.User, e.Target, e.Room, e.Remote = "secret-user", "secret-target", "public:secret-room-1", "203.0.113.77"
	e.Claims = []byte(`{"secret-claim":"secret-claim-value"}`)
	*e.States = []router.State{{Filter: "policy", Data: []byte("secret-old-state")}}
	judge(t, c, e)
	e = eventOf(router.HookMessage, answering(vDeny).u32(outCode, 422).put(outReason, "because of secret-word"))
	e.Room = "public:secret-room-2"
	judge(t, c, e)

	s = answering(vContinue).put(outUser, "secret-name").put(outClaims, `{"secret-role":"secret-admin"}`).
		put(outGrants, `[{"rooms":"secret:*","allow":["join"]}]`).put(outPayload, `"secret-info"`)
	e = eventOf(router.HookConnect, s)
	e.Kind = router.KindRefresh // the payload is a token
	judge(t, c, e)
	e.Kind, e.Payload = router.KindNew, s.payload()
	e.Request = httptest.NewRequest("GET", "/ws?token=secret-token", nil)
	e.Request.Header.Set("X-Secret", "secret-header")
	judge(t, c, e)

	got := beside(t, c)
	text, err := json.Marshal(got.Shadow)
	if err != nil {
		t.Fatal(err)
	}
	if differences(got) != 4 || len(got.Shadow.Samples) != 4 {
		t.Fatalf("%s", text)
	}
	all := strings.ReplaceAll(string(text), "public:secret-room*", "") // the configuration's own
	for _, word := range []string{"secret", "203.0.113", "12345", "because"} {
		if strings.Contains(all, word) {
			t.Errorf("%q is told: %s", word, all)
		}
	}
	latest, oldest := got.Shadow.Samples[0], got.Shadow.Samples[3]
	if want := `{k1:string(12),k2:[number,bool,null,{k1:number}]}`; oldest.Active.Outputs["payload"] != want || oldest.Candidate.Failure != "trap" {
		t.Errorf("%+v, want the payload's shape %s", oldest, want)
	}
	if oldest.Room != "public:*" || oldest.Active.Outputs["state"] != "bytes(12)" || oldest.State != len("secret-old-state") || oldest.Claims != len(e.Claims)+37 {
		t.Errorf("%+v", oldest)
	}
	if d := got.Shadow.Samples[2]; d.Active.Code != 422 || d.Active.Outputs["reason"] != "text(22)" {
		t.Errorf("%+v", d)
	}
	if latest.Hook != "connect" || latest.Message != "new" || got.Shadow.Samples[1].Message != "refresh" || latest.Active.Outputs["claims"] != "{k1:string(12)}" || latest.Active.Outputs["user"] != "text(11)" {
		t.Errorf("%+v", latest)
	}
	if err := h.Close(context.Background()); err != nil {
		t.Fatal(err)
	}
	if log := h.log.String(); strings.Contains(log, "secret") {
		t.Errorf("the log tells: %s", log)
	}
}

func TestTheShapeOfAnOutputIsBounded(t *testing.T) {
	for text, want := range map[string]string{
		`1`: "number", `"secret"`: "string(6)", `{}`: "{}", `[]`: "[]", `[[[[[[[[1]]]]]]]]`: "[[[[[[[]]]]]]]",
		`[` + strings.Repeat(`1,`, 20) + `1]`: "[" + strings.Repeat("number,", 15) + "number,…]",
	} {
		s := shaper{keys: make(map[string]string)}
		if got := s.of("payload", []byte(text)); got != want {
			t.Errorf("%s: %s, want %s", text, got, want)
		}
	}
	wide := `{` + strings.TrimSuffix(strings.Repeat(`"a":{"b":{"c":{"d":[1,2,3,4,5,6,7,8,9,10,11,12]}}},`, 16), ",") + `}`
	s := shaper{keys: make(map[string]string)}
	if got := s.of("payload", []byte(wide)); len(got) > shapeBytes+32 {
		t.Errorf("%d bytes: %s", len(got), got)
	}
}

func TestSamplesAreTheLatest(t *testing.T) {
	c := newTestHost(t, HostOptions{}).chain(nil, shadowing100("noop", "trap"))
	for i := range maxSamples + 5 {
		e := of(1, `1`)
		e.Time = int64(i)
		judge(t, c, e)
		beside(t, c)
	}
	got := beside(t, c).Shadow.Samples
	if len(got) != maxSamples || got[0].At.UnixNano() != maxSamples+4 || got[maxSamples-1].At.UnixNano() != 5 {
		t.Errorf("%d samples, from %v to %v", len(got), got[0].At, got[len(got)-1].At)
	}
}

var onlyAShape = regexp.MustCompile(`^(?:k\d+:|string\(\d+\)|text\(0\)|number|bool|null|[{}\[\],…])*$`)

func FuzzTheShapeOfAnOutputTellsOnlyTypesAndLengths(f *testing.F) {
	for _, seed := range []string{`{"a":1,"b":[true,"x",null],"a":{}}`, `"number"`, `-1e9`, strings.Repeat("[", 2000) + strings.Repeat("]", 2000), `[`, ``, `[Wull]`, `{1`, `{"a"`} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		s := shaper{keys: make(map[string]string)}
		if got := s.of("payload", []byte(text)); !onlyAShape.MatchString(got) || len(got) > shapeBytes+32 {
			t.Errorf("%q: %q", text, got)
		}
	})
}
