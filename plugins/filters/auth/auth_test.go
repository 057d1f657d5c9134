package auth_test

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"

	"sluice/plugins/keys"
	"sluice/router"
)

func hmac256(key, message string) string {
	h := hmac.New(sha256.New, []byte(key))
	h.Write([]byte(message))
	return base64.RawURLEncoding.EncodeToString(h.Sum(nil))
}

const (
	missing    = "a token is required"
	malformed  = "token is malformed"
	badAlg     = "token algorithm is not acceptable"
	badHeader  = "token header is not acceptable"
	badSig     = "token signature is not valid"
	expired    = "token has expired"
	tooEarly   = "token is not valid yet"
	badIssuer  = "token issuer is not acceptable"
	badAud     = "token audience is not acceptable"
	lacksClaim = "token lacks a required claim"
	badUser    = "token has no acceptable user"
	badGrants  = "token grants are not acceptable"
	tooLarge   = "token is too large"
	several    = "more than one token was sent"
)

func TestATokenOfEachAlgorithmAdmitsItsUser(t *testing.T) {
	for alg, p := range pairs() {
		t.Run(alg, func(t *testing.T) {
			n := start(t, `{"algorithms":["`+alg+`"]}`, p.spec)
			id := admitted(t, n.ask(t, sign(t, p, map[jose.HeaderKey]any{"typ": "JWT"}, claims(nil))))
			if id.User != "ann" {
				t.Errorf("user %q", id.User)
			}
			token := sign(t, p, nil, claims(nil))
			refused(t, n.ask(t, flip(token, 5)), 401, badSig)
			for other := range pairs() {
				if other != alg {
					refused(t, n.ask(t, sign(t, pairs()[other], nil, claims(nil))), 401, badAlg)
				}
			}
			anyAlg := start(t, `{}`, p.spec)
			for other := range pairs() {
				if other != alg {
					refused(t, anyAlg.ask(t, sign(t, pairs()[other], nil, claims(nil))), 401, badSig)
				}
			}
		})
	}
}

// flip changes one bit of the decoded signature, n bytes from its end.
func flip(token string, n int) string {
	at := strings.LastIndexByte(token, '.') + 1
	sig := must(base64.RawURLEncoding.DecodeString(token[at:]))
	sig[len(sig)-n] ^= 1
	return token[:at] + base64.RawURLEncoding.EncodeToString(sig)
}

func TestATokenMakesTheWholeIdentity(t *testing.T) {
	n := start(t, `{"leeway":30}`)
	payload := claims(map[string]any{
		"name": "Ann", "grants": []any{map[string]any{"rooms": "chat:*", "allow": []string{"join", "send"}}}, "role": "mod",
	})
	id := admitted(t, n.ask(t, hs256(t, payload)))
	if id.User != "ann" || string(id.Info) != `{"name":"Ann"}` || string(id.Claims) != payload || id.Grants == nil {
		t.Errorf("got %+v", id)
	}
	if want := now.Add(time.Hour + 30*time.Second); !id.Expires.Equal(want) {
		t.Errorf("it expires at %v, want %v: the leeway counts", id.Expires, want)
	}
	id = admitted(t, n.ask(t, hs256(t, claims(nil))))
	if id.Info != nil || id.Grants != nil {
		t.Errorf("what the token lacks is there: %+v", id)
	}
}

// row is a token and what becomes of it.
type row struct {
	name, token string
	code        uint32 // 0: admitted
	reason      string
}

func (r row) check(t *testing.T, n *node) {
	t.Helper()
	t.Run(r.name, func(t *testing.T) {
		for where, v := range map[string]router.Verdict{"header": n.ask(t, r.token), "query": n.judge(t, event(query(r.token)))} {
			if r.code == 0 {
				admitted(t, v)
				continue
			}
			if strings.ContainsAny(r.token, "\r\n") && where == "header" {
				continue // net/http lets no such header in
			}
			refused(t, v, r.code, r.reason)
		}
	})
}

const hs = `{"alg":"HS256"}`

func TestTokensThatAreNotInFormAreRefused(t *testing.T) {
	good := hs256(t, claims(nil))
	h, rest, _ := strings.Cut(good, ".")
	p, s, _ := strings.Cut(rest, ".")
	n := start(t, `{}`)
	for _, r := range []row{
		{"good", good, 0, ""},
		{"empty", "", 401, malformed},
		{"a dot", ".", 401, malformed},
		{"two dots", "..", 401, malformed},
		{"three dots", "...", 401, malformed},
		{"not a token", "hello", 401, malformed},
		{"one part", h, 401, malformed},
		{"two parts", h + "." + p, 401, malformed},
		{"no signature", h + "." + p + ".", 401, malformed},
		{"no payload", h + ".." + s, 401, malformed},
		{"no header", "." + p + "." + s, 401, malformed},
		{"four parts", good + ".x", 401, malformed},
		{"a trailing dot", good + ".", 401, malformed},
		{"a leading dot", "." + good, 401, malformed},
		{"encrypted: five parts", h + "." + h + "." + p + "." + p + "." + s, 401, malformed},
		{"white space before", "\t" + good, 401, malformed},
		{"white space behind", good + "\t", 401, malformed},
		{"white space within the header", h + " ." + p + "." + s, 401, malformed},
		{"white space within the signature", h + "." + p + "." + s[:5] + " " + s[5:], 401, malformed},
		{"white space within the payload, signed", forgeParts(b64(hs), p[:5]+" "+p[5:]), 401, malformed},
		{"a line break within the payload, signed", forgeParts(b64(hs), p[:4]+"\r\n"+p[4:]), 401, malformed},
		{"white space within the payload, unsigned", h + ". " + p + "." + s, 401, badSig},
		{"padding", good + "=", 401, malformed},
		{"padding of the header", forgeParts(b64(hs)+"=", p), 401, malformed},
		{"padding of the payload", forgeParts(b64(hs), b64(`{"sub":"ann","exp":9999999999 }`)+"=="), 401, malformed},
		{"base64 of the other alphabet", forgeParts(b64(hs), strings.NewReplacer("-", "+", "_", "/").Replace(b64(`{"sub":"ann?>~~~","exp":9999999999,"x":"??>>~~"}`))), 401, malformed},
		{"bits behind the header", forgeParts(loose(b64(`{"alg":"HS256" }`)), p), 401, malformed},
		{"bits behind the payload", forgeParts(b64(hs), loose(b64(`{"sub":"ann","exp":9999999999 }`))), 401, malformed},
		{"bits behind the signature", h + "." + p + "." + loose(s), 401, malformed},
		{"a length that no bytes have", h + "." + p + "." + s + "AA", 401, malformed},
		{"a null byte", h + "." + p + "." + s + "\x00", 401, malformed},
		{"not ASCII", h + "." + p + ".é", 401, malformed},
		{"as large as it may be", sized(t, 8192), 0, ""},
		{"larger than it may be", sized(t, 8193), 401, tooLarge},
		{"huge", repeat("A", 60000), 401, tooLarge},
		{"huge, of dots", repeat(".", 60000), 401, tooLarge},
		{"a signature beyond any algorithm", h + "." + p + "." + repeat("A", 2000), 401, malformed},
		{"the JSON serialization", `{"protected":"` + h + `","payload":"` + p + `","signature":"` + s + `"}`, 401, malformed},
	} {
		r.check(t, n)
	}
}

// loose sets a bit behind the last byte of base64 text, which decoders that are
// not strict overlook.
func loose(text string) string {
	const digits = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
	if len(text)%4 == 0 {
		panic("no bits are left over in " + text)
	}
	last := strings.IndexByte(digits, text[len(text)-1])
	return text[:len(text)-1] + digits[last+1:last+2]
}

// sized is a good token of that many bytes.
func sized(t *testing.T, bytes int) string {
	t.Helper()
	for pad := bytes/2 - 200; ; pad++ {
		for _, header := range []string{hs, `{"alg":"HS256" }`, `{"alg":"HS256"  }`} {
			if token := forge(header, claims(map[string]any{"pad": repeat("x", pad)})); len(token) == bytes {
				return token
			}
		}
	}
}

func TestHeadersThatAreNotAcceptableAreRefused(t *testing.T) {
	good := claims(nil)
	n := start(t, `{}`)
	for _, r := range []row{
		{"nothing but alg", forge(hs, good), 0, ""},
		{"white space in the JSON", forge(" {\r\n\t\"alg\" : \"HS256\" } ", good), 0, ""},
		{"an escaped alg", forge(`{"\u0061lg":"H\u00532\u003556"}`, good), 401, badAlg},
		{"an escaped alg that is right", forge(`{"\u0061lg":"H\u0053256"}`, good), 0, ""},
		{"typ JWT", forge(`{"alg":"HS256","typ":"JWT"}`, good), 0, ""},
		{"typ jwt", forge(`{"alg":"HS256","typ":"jwt"}`, good), 0, ""},
		{"typ at+jwt", forge(`{"alg":"HS256","typ":"At+Jwt"}`, good), 0, ""},
		{"typ application/at+jwt", forge(`{"alg":"HS256","typ":"application/at+jwt"}`, good), 0, ""},
		{"typ of another token", forge(`{"alg":"HS256","typ":"dpop+jwt"}`, good), 401, badHeader},
		{"typ of a logout token", forge(`{"alg":"HS256","typ":"logout+jwt"}`, good), 401, badHeader},
		{"typ JWTs", forge(`{"alg":"HS256","typ":"JWTs"}`, good), 401, badHeader},
		{"a very long typ", forge(`{"alg":"HS256","typ":"`+repeat("x", 500)+`"}`, good), 401, badHeader},
		{"typ that is no string", forge(`{"alg":"HS256","typ":1}`, good), 401, malformed},

		{"alg none", forge(`{"alg":"none"}`, good), 401, badAlg},
		{"alg None", forge(`{"alg":"None"}`, good), 401, badAlg},
		{"alg none without a signature", b64(`{"alg":"none"}`) + "." + b64(good) + ".", 401, malformed},
		{"alg none without a signature part", b64(`{"alg":"none"}`) + "." + b64(good), 401, malformed},
		{"alg in lower case", forge(`{"alg":"hs256"}`, good), 401, badAlg},
		{"alg empty", forge(`{"alg":""}`, good), 401, badAlg},
		{"alg with a null byte", forge(`{"alg":"HS256\u0000"}`, good), 401, badAlg},
		{"alg with a blank", forge(`{"alg":"HS256 "}`, good), 401, badAlg},
		{"alg of an encryption", forge(`{"alg":"RSA-OAEP"}`, good), 401, badAlg},
		{"alg very long", forge(`{"alg":"`+repeat("HS256", 100)+`"}`, good), 401, badAlg},
		{"alg a list", forge(`{"alg":["HS256"]}`, good), 401, malformed},
		{"alg a number", forge(`{"alg":256}`, good), 401, malformed},
		{"alg null", forge(`{"alg":null}`, good), 401, malformed},
		{"alg an object", forge(`{"alg":{"HS256":1}}`, good), 401, malformed},
		{"no alg", forge(`{}`, good), 401, malformed},
		{"alg twice", forge(`{"alg":"HS256","alg":"HS256"}`, good), 401, malformed},
		{"alg twice, once escaped", forge(`{"alg":"HS256","\u0061lg":"none"}`, good), 401, malformed},
		{"alg in another case beside", forge(`{"alg":"HS256","ALG":"none","Alg":"none"}`, good), 0, ""},

		{"crit", forge(`{"alg":"HS256","crit":["exp"],"exp":1}`, good), 401, badHeader},
		{"an empty crit", forge(`{"alg":"HS256","crit":[]}`, good), 401, badHeader},
		{"crit that is no list", forge(`{"alg":"HS256","crit":null}`, good), 401, badHeader},
		{"b64", forge(`{"alg":"HS256","b64":false,"crit":["b64"]}`, good), 401, badHeader},
		{"b64 alone", forge(`{"alg":"HS256","b64":false}`, good), 401, badHeader},
		{"b64 true", forge(`{"alg":"HS256","b64":true}`, good), 401, badHeader},
		{"nested: cty JWT", forge(`{"alg":"HS256","cty":"JWT"}`, forge(hs, good)), 401, badHeader},
		{"nested: cty jwt", forge(`{"alg":"HS256","cty":"jwt"}`, good), 401, badHeader},
		{"nested without cty", forge(hs, forge(hs, good)), 401, malformed},

		{"not JSON", forge(`alg=HS256`, good), 401, malformed},
		{"not an object", forge(`["alg","HS256"]`, good), 401, malformed},
		{"two objects", forge(hs+hs, good), 401, malformed},
		{"something behind", forge(hs+"x", good), 401, malformed},
		{"a null byte behind", forge(hs+"\x00", good), 401, malformed},
		{"a byte order mark", forge("\ufeff"+hs, good), 401, malformed},
		{"not UTF-8", forge("{\"alg\":\"HS256\",\"x\":\"\xff\"}", good), 401, malformed},
		{"an overlong character", forge("{\"alg\":\"HS256\",\"x\":\"\xc0\xaf\"}", good), 401, malformed},
		{"an overlong character of three bytes", forge("{\"alg\":\"HS256\",\"x\":\"\xe0\x80\xaf\"}", good), 401, malformed},
		{"an overlong character of four bytes", forge("{\"alg\":\"HS256\",\"x\":\"\xf0\x80\x80\xaf\"}", good), 401, malformed},
		{"a surrogate in UTF-8", forge("{\"alg\":\"HS256\",\"x\":\"\xed\xa0\x80\"}", good), 401, malformed},
		{"a character beyond Unicode", forge("{\"alg\":\"HS256\",\"x\":\"\xf4\x90\x80\x80\"}", good), 401, malformed},
		{"characters of all lengths", forge("{\"alg\":\"HS256\",\"x\":\"é部\uffff😀\U0010ffff\"}", good), 0, ""},
		{"half a surrogate pair", forge(`{"alg":"HS256","x":"\ud800"}`, good), 401, malformed},
		{"a trailing comma", forge(`{"alg":"HS256",}`, good), 401, malformed},
		{"a comment", forge(`{"alg":"HS256"/**/}`, good), 401, malformed},
		{"single quotes", forge(`{'alg':'HS256'}`, good), 401, malformed},
		{"nested deeper than anything sane", forge(`{"alg":"HS256","x":`+repeat("[", 1000)+repeat("]", 1000)+`}`, good), 401, malformed},
		{"many members", forge(`{"alg":"HS256"`+many(100)+`}`, good), 401, malformed},
		{"unknown members", forge(`{"alg":"HS256","x":{"a":[1,2,{"b":null}]},"y":-1.5e3}`, good), 0, ""},

		{"an attacker's key", forge(`{"alg":"HS256","jwk":{"kty":"oct","k":"AAAA"}}`, good), 0, ""},
		{"an attacker's key, and a signature under it", withKey(`{"alg":"HS256","jwk":{"kty":"oct","k":"`+b64("attacker")+`"}}`, good, "attacker"), 401, badSig},
		{"a key set elsewhere", withKey(`{"alg":"HS256","jku":"https://evil.example/keys"}`, good, "attacker"), 401, badSig},
		{"a certificate", withKey(`{"alg":"HS256","x5c":["AAAA"],"x5u":"https://evil.example/"}`, good, "attacker"), 401, badSig},
	} {
		r.check(t, n)
	}
}

func many(n int) string {
	var out strings.Builder
	for i := range n {
		fmt.Fprintf(&out, `,"m%d":0`, i)
	}
	return out.String()
}

func withKey(header, payload, key string) string {
	message := b64(header) + "." + b64(payload)
	return message + "." + hmac256(key, message)
}

func TestAlgorithmsCannotBeConfused(t *testing.T) {
	rs := pairs()["RS256"]
	public := rs.spec.PEM
	pemText := publicPEM(mustPublic(rs.sign))
	n := start(t, `{}`, rs.spec)
	good := claims(nil)
	for name, key := range map[string]string{
		"the PEM text": pemText, "the PEM text, trimmed": strings.TrimSpace(pemText), "nothing": "", "the DER": pemDER(pemText),
	} {
		t.Run("HS256 signed with "+name, func(t *testing.T) {
			refused(t, n.ask(t, withKey(hs, good, key)), 401, badSig)
		})
	}
	token := sign(t, rs, nil, good)
	_, rest, _ := strings.Cut(token, ".")
	for _, alg := range []string{"HS256", "PS256", "RS512", "ES256", "EdDSA"} {
		refused(t, n.ask(t, b64(`{"alg":"`+alg+`"}`)+"."+rest), 401, badSig)
	}
	refused(t, n.ask(t, b64(`{"alg":"none"}`)+"."+rest), 401, badAlg)
	_ = public
}

func TestAKidOnlyChoosesAmongTheKeys(t *testing.T) {
	other := keys.Spec{Alg: "HS256", Kid: "other", Secret: keys.NewSecret(repeat("another secret, ", 4))}
	mine := pairs()["HS256"].spec
	mine.Kid = "mine"
	n := start(t, `{}`, mine, other)
	kid := func(raw string) string { return forge(`{"alg":"HS256","kid":`+raw+`}`, claims(nil)) }
	for _, r := range []row{
		{"the right one", kid(`"mine"`), 0, ""},
		{"none: all keys are tried", forge(hs, claims(nil)), 0, ""},
		{"escaped", kid(`"\u006dine"`), 0, ""},
		{"another key's", kid(`"other"`), 401, badSig},
		{"unknown", kid(`"third"`), 401, badSig},
		{"a path", kid(`"../../../../dev/null"`), 401, badSig},
		{"SQL", kid(`"x' UNION SELECT 'secret' -- "`), 401, badSig},
		{"a command", kid(`"$(id)|id;"`), 401, badSig},
		{"with a null byte", kid(`"mine\u0000"`), 401, badSig},
		{"in another case", kid(`"MINE"`), 401, badSig},
		{"as long as it may be", kid(`"` + repeat("k", 255) + `"`), 401, badSig},
		{"longer than it may be", kid(`"` + repeat("k", 256) + `"`), 401, badHeader},
		{"a number", kid(`1`), 401, malformed},
		{"a list", kid(`["mine"]`), 401, malformed},
		{"null", kid(`null`), 401, malformed},
	} {
		r.check(t, n)
	}
	results := n.chain.Stats()[0].Keys.Results
	if results["unknown_kid"] == 0 || results["bad_signature"] == 0 || results["verified"] == 0 {
		t.Errorf("counted %v", results)
	}
}

func TestClaimsAreReadOnlyOnceTheSignatureIsVerified(t *testing.T) {
	n := start(t, `{"issuer":"https://id.example"}`)
	for name, payload := range map[string]string{
		"expired": claims(map[string]any{"exp": 1}), "not JSON": "x", "another issuer": claims(map[string]any{"iss": "evil"}),
		"grants": claims(map[string]any{"grants": "x"}),
	} {
		t.Run(name, func(t *testing.T) { refused(t, n.ask(t, withKey(hs, payload, "attacker")), 401, badSig) })
	}
}

func TestARefreshIsJudgedAsAConnectIs(t *testing.T) {
	n := start(t, `{"optional":true}`)
	refresh := func(token string) router.Verdict {
		e := event(nil)
		e.Kind, e.User, e.Payload = router.KindRefresh, "ann", []byte(token)
		return n.judge(t, e)
	}
	id := admitted(t, refresh(hs256(t, claims(map[string]any{"exp": now.Add(2 * time.Hour).Unix()}))))
	if id.User != "ann" || !id.Expires.Equal(now.Add(2*time.Hour+time.Minute)) {
		t.Errorf("got %+v", id)
	}
	refused(t, refresh(hs256(t, claims(map[string]any{"sub": "bob"}))), 403, "the token is another user's")
	refused(t, refresh(""), 401, missing)
	refused(t, refresh("Bearer "+hs256(t, claims(nil))), 401, malformed)
	refused(t, refresh(" "+hs256(t, claims(nil))), 401, malformed)
	refused(t, refresh(hs256(t, claims(map[string]any{"exp": 1}))), 401, expired)
	refused(t, refresh(repeat("x", 60000)), 401, tooLarge)
}

func TestNothingOfATokenIsLoggedOrAnswered(t *testing.T) {
	n := start(t, `{"max_bytes":24576}`)
	marker := "c2VjcmV0LW1hcmtlcg"
	for _, token := range []string{
		marker, marker + "." + marker + "." + marker, forge(`{"alg":"`+marker+`"}`, "{}"), forge(`{"alg":"HS256","kid":"`+marker+`"}`, marker),
		hs256(t, claims(map[string]any{"sub": marker + "\n"})), hs256(t, claims(map[string]any{"grants": marker})),
		hs256(t, claims(map[string]any{"sub": marker, "exp": 1})), hs256(t, claims(map[string]any{"sub": marker})),
		hs256(t, claims(map[string]any{"name": repeat(marker, 300)})),
	} {
		v := n.ask(t, token)
		if strings.Contains(v.Reason, marker) || strings.Contains(v.Filter, marker) {
			t.Errorf("the reason %q has some of the token", v.Reason)
		}
	}
	n.chain.Retire()
	_ = n.host.Close(t.Context())
	if strings.Contains(n.log.String(), marker) || strings.Contains(n.log.String(), secret) {
		t.Errorf("the log has some of a token, or the key:\n%s", n.log)
	}
}
