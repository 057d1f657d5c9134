package filters

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"

	"sluice/plugins"
	"sluice/plugins/keys"
	"sluice/router"
)

// allocsOf is how often judging the event allocates.
func allocsOf(t *testing.T, chain *plugins.Chain, e *router.Event) float64 {
	t.Helper()
	if raceEnabled {
		t.Skip("the race detector makes sync.Pool drop what is put into it")
	}
	return testing.AllocsPerRun(1000, func() {
		if err := chain.Judge(e); err != nil || e.Verdict.Action != router.Continue || e.Verdict.Failure != "" {
			t.Fatal(err, e.Verdict)
		}
	})
}

func TestAMessageThatPassesThePolicyIsJudgedWithoutAllocating(t *testing.T) {
	for _, size := range []int{128, 1024, 4000} {
		if n := allocsOf(t, chainOf(t, policy...), textEvent(size)); n != 0 {
			t.Errorf("%d bytes: %v allocations", size, n)
		}
	}
}

func TestAMessageThatIsCountedIsJudgedWithoutAllocating(t *testing.T) {
	chain := chainOf(t, plugins.Spec{Name: "ratelimit", Plugin: "builtin:ratelimit",
		Config: json.RawMessage(`{"rules":[{"on":["message"],"per":"user","burst":1000000,"refill_per_s":1000000}]}`)})
	if n := allocsOf(t, chain, textEvent(128)); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

// The identity, its claims, its grants and what the filter sees of the request.
const connectAllocs = 32

func TestAConnectByATokenAllocatesLittle(t *testing.T) {
	chain := chainOf(t, plugins.Spec{Name: "auth", Plugin: "builtin:auth", Config: json.RawMessage(`{"issuer":"https://id.example","audience":"chat"}`),
		Keys: []keys.Spec{{Alg: "HS256", Secret: keys.NewSecret(benchSecret)}}})
	signer, err := jose.NewSigner(jose.SigningKey{Algorithm: jose.HS256, Key: []byte(benchSecret)}, nil)
	if err != nil {
		t.Fatal(err)
	}
	signed, err := signer.Sign(fmt.Appendf(nil, `{"sub":"ann","iss":"https://id.example","aud":"chat","exp":%d,"grants":[{"rooms":"chat:*","allow":["join","send"]}]}`,
		time.Now().Add(time.Hour).Unix()))
	if err != nil {
		t.Fatal(err)
	}
	token, err := signed.CompactSerialize()
	if err != nil {
		t.Fatal(err)
	}
	request := httptest.NewRequest(http.MethodGet, "/ws", nil)
	request.Header.Set("Authorization", "Bearer "+token)
	e := &router.Event{Hook: router.HookConnect, Kind: router.KindNew, Time: time.Now().UnixNano(), Conn: 1, Seq: 1,
		Remote: "192.0.2.1", Request: request, States: new([]router.State)}
	n := allocsOf(t, chain, e)
	t.Logf("%v allocations", n)
	if n > connectAllocs {
		t.Errorf("%v allocations for a connect, want at most %d", n, connectAllocs)
	}
}
