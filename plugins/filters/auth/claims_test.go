package auth_test

import (
	"crypto"
	"encoding/json"
	"encoding/pem"
	"testing"
	"time"
)

func mustPublic(private any) crypto.PublicKey {
	return private.(interface{ Public() crypto.PublicKey }).Public()
}

func pemDER(text string) string {
	block, _ := pem.Decode([]byte(text))
	return string(block.Bytes)
}

func TestTimesAreHeldToTheClockWithLeeway(t *testing.T) {
	at := func(d time.Duration) int64 { return now.Add(d).Unix() }
	n := start(t, `{"leeway":60}`)
	for _, r := range []row{
		{"an hour left", claimed(t, "exp", at(time.Hour)), 0, ""},
		{"a second left of the leeway", claimed(t, "exp", at(-59*time.Second)), 0, ""},
		{"expired to the second", claimed(t, "exp", at(-60*time.Second)), 401, expired},
		{"long expired", claimed(t, "exp", 1), 401, expired},
		{"expired in 1970", claimed(t, "exp", 0), 401, expired},
		{"a fraction", claimed(t, "exp", float64(at(-60*time.Second))+0.5), 0, ""},
		{"a fraction of many digits", claimed(t, "exp", json.RawMessage("4102444800.123456789012345678901234567890")), 0, ""},
		{"no expiry", claimed(t, "exp", nil), 401, lacksClaim},
		{"expiry null", claimed(t, "exp", json.RawMessage("null")), 401, malformed},
		{"expiry in quotes", claimed(t, "exp", "4102444800"), 401, malformed},
		{"negative", claimed(t, "exp", -1), 401, malformed},
		{"negative zero", claimed(t, "exp", json.RawMessage("-0")), 401, malformed},
		{"with an exponent", claimed(t, "exp", json.RawMessage("4e9")), 401, malformed},
		{"the last second", claimed(t, "exp", 253402300799), 0, ""},
		{"milliseconds", claimed(t, "exp", now.Add(time.Hour).UnixMilli()), 401, malformed},
		{"absurd", claimed(t, "exp", json.RawMessage("99999999999999999999999999999999")), 401, malformed},
		{"infinite", claimed(t, "exp", json.RawMessage("1e400")), 401, malformed},
		{"a list", claimed(t, "exp", []int{4102444800}), 401, malformed},
		{"true", claimed(t, "exp", true), 401, malformed},

		{"valid since now", claimed(t, "nbf", at(0)), 0, ""},
		{"valid within the leeway", claimed(t, "nbf", at(time.Minute)), 0, ""},
		{"not yet valid", claimed(t, "nbf", at(61*time.Second)), 401, tooEarly},
		{"nbf no number", claimed(t, "nbf", "x"), 401, malformed},
		{"issued within the leeway", claimed(t, "iat", at(time.Minute)), 0, ""},
		{"issued in the future", claimed(t, "iat", at(61*time.Second)), 401, tooEarly},
		{"iat no number", claimed(t, "iat", json.RawMessage("{}")), 401, malformed},
	} {
		r.check(t, n)
	}
	exact := start(t, `{"leeway":0}`)
	row{"expires now, no leeway", claimed(t, "exp", at(0)), 401, expired}.check(t, exact)
	row{"a second left, no leeway", claimed(t, "exp", at(time.Second)), 0, ""}.check(t, exact)

	lasting := start(t, `{"require_expiry":false}`)
	if id := admitted(t, lasting.ask(t, claimed(t, "exp", nil))); !id.Expires.IsZero() {
		t.Errorf("a token without an expiry expires at %v", id.Expires)
	}
	refused(t, lasting.ask(t, claimed(t, "exp", 1)), 401, expired)
}

// claimed is a good token but for one claim.
func claimed(t *testing.T, name string, value any) string {
	t.Helper()
	return hs256(t, claims(map[string]any{name: value}))
}

func TestTheExpiryMayBeAnotherClaimAndExpCountsStill(t *testing.T) {
	n := start(t, `{"claims":{"expires":"until"},"leeway":0}`)
	hour, minute := now.Add(time.Hour), now.Add(time.Minute)
	for _, c := range []struct{ until, exp, want time.Time }{{hour, minute, minute}, {minute, hour, minute}} {
		token := hs256(t, claims(map[string]any{"until": c.until.Unix(), "exp": c.exp.Unix()}))
		if id := admitted(t, n.ask(t, token)); !id.Expires.Equal(c.want) {
			t.Errorf("it expires at %v, want the earlier, %v", id.Expires, c.want)
		}
	}
	admitted(t, n.ask(t, hs256(t, claims(map[string]any{"until": hour.Unix(), "exp": nil}))))
	refused(t, n.ask(t, hs256(t, claims(map[string]any{"until": hour.Unix(), "exp": 1}))), 401, expired)
	refused(t, n.ask(t, hs256(t, claims(nil))), 401, lacksClaim)
}

func TestIssuerAndAudienceAreHeldToTheConfiguration(t *testing.T) {
	type object = map[string]any
	one := start(t, `{"issuer":"https://id.example","audience":"chat"}`)
	either := start(t, `{"issuer":["https://id.example","https://id2.example"],"audience":["chat","web"]}`)
	none := start(t, `{}`)
	token := func(iss, aud any) string { return hs256(t, claims(object{"iss": iss, "aud": aud})) }
	const id = "https://id.example"
	for _, c := range []struct {
		on *node
		row
	}{
		{one, row{"both", token(id, "chat"), 0, ""}},
		{one, row{"aud a list", token(id, []string{"x", "chat"}), 0, ""}},
		{one, row{"another issuer", token("https://evil.example", "chat"), 401, badIssuer}},
		{one, row{"the issuer and more", token(id+"/", "chat"), 401, badIssuer}},
		{one, row{"the issuer in another case", token("HTTPS://id.example", "chat"), 401, badIssuer}},
		{one, row{"the issuer with a null byte", token(id+"\x00", "chat"), 401, badIssuer}},
		{one, row{"a very long issuer", token(repeat("x", 3000), "chat"), 401, badIssuer}},
		{one, row{"no issuer", token(nil, "chat"), 401, badIssuer}},
		{one, row{"an issuer that is a list", token([]string{id}, "chat"), 401, malformed}},
		{one, row{"another audience", token(id, "mail"), 401, badAud}},
		{one, row{"no audience", token(id, nil), 401, badAud}},
		{one, row{"an empty list", token(id, []string{}), 401, badAud}},
		{one, row{"other audiences", token(id, []string{"mail", "chat2"}), 401, badAud}},
		{one, row{"an audience that is an object", token(id, object{"chat": 1}), 401, malformed}},
		{one, row{"a list with a number", token(id, []any{1, "chat"}), 401, malformed}},
		{one, row{"an audience null", token(id, json.RawMessage("null")), 401, malformed}},
		{either, row{"the second of both", token("https://id2.example", "web"), 0, ""}},
		{either, row{"neither", token("https://id3.example", "web"), 401, badIssuer}},
		{none, row{"any issuer where none is configured", token("x", nil), 0, ""}},
		{none, row{"an audience where none is configured", token(nil, "mail"), 401, badAud}},
		{none, row{"audiences where none is configured", token(nil, []string{"mail"}), 401, badAud}},
	} {
		c.check(t, c.on)
	}
}

func TestClaimsAreReadStrictly(t *testing.T) {
	n := start(t, `{}`)
	const exp = `"exp":4102444800`
	for _, r := range []row{
		{"twice the user", forge(hs, `{"sub":"ann","sub":"root",`+exp+`}`), 401, malformed},
		{"twice the user, once escaped", forge(hs, `{"sub":"ann","s\u0075b":"root",`+exp+`}`), 401, malformed},
		{"twice the same", forge(hs, `{"sub":"ann",`+exp+`,`+exp+`}`), 401, malformed},
		{"twice far within", forge(hs, `{"sub":"ann",`+exp+`,"x":[{"y":{"a":1,"b":2,"a":3}}]}`), 401, malformed},
		{"the same name in different objects", forge(hs, `{"sub":"ann",`+exp+`,"x":[{"a":1},{"a":2}],"y":{"a":{"a":1}}}`), 0, ""},
		{"another case is another claim", forge(hs, `{"sub":"ann","SUB":"root",`+exp+`}`), 0, ""},
		{"a list", forge(hs, `["sub"]`), 401, malformed},
		{"a string", forge(hs, `"ann"`), 401, malformed},
		{"null", forge(hs, `null`), 401, malformed},
		{"cut off", forge(hs, `{"sub":"ann",`+exp), 401, malformed},
		{"something behind", forge(hs, `{"sub":"ann",`+exp+`}{}`), 401, malformed},
		{"not UTF-8", forge(hs, "{\"sub\":\"ann\xff\","+exp+"}"), 401, malformed},
		{"half a surrogate pair", forge(hs, `{"sub":"ann\udc00",`+exp+`}`), 401, malformed},
		{"a leading zero", forge(hs, `{"sub":"ann",`+exp+`,"x":01}`), 401, malformed},
		{"NaN", forge(hs, `{"sub":"ann",`+exp+`,"x":NaN}`), 401, malformed},
		{"a bare line break in a string", forge(hs, "{\"sub\":\"ann\n\","+exp+"}"), 401, malformed},
		{"deeper than 32", forge(hs, `{"sub":"ann",`+exp+`,"x":`+repeat("[", 33)+repeat("]", 33)+`}`), 401, malformed},
		{"as deep as 32", forge(hs, `{"sub":"ann",`+exp+`,"x":`+repeat("[", 31)+repeat("]", 31)+`}`), 0, ""},
		{"as many members as may be", forge(hs, `{"sub":"ann",`+exp+many(510)+`}`), 0, ""},
		{"more members than may be", forge(hs, `{"sub":"ann",`+exp+many(511)+`}`), 401, malformed},
		{"jti a number", forge(hs, `{"sub":"ann",`+exp+`,"jti":7}`), 0, ""},
		{"jti a list", forge(hs, `{"sub":"ann",`+exp+`,"jti":["7"]}`), 401, malformed},
	} {
		r.check(t, n)
	}
	large := start(t, `{"max_bytes":24576}`)
	row{"many members in many objects", forge(hs, `{"sub":"ann",`+exp+`,"x":[`+repeat(`{"a":1,"b":2},`, 400)+`{}]}`), 0, ""}.check(t, large)
	pad := func(n int) string {
		head := `{"sub":"ann",` + exp + `,"x":"`
		return forge(hs, head+repeat("x", n-len(head)-2)+`"}`)
	}
	row{"claims of 16 KiB", pad(16384), 0, ""}.check(t, large)
	row{"claims of more", pad(16385), 401, tooLarge}.check(t, large)
}

func TestTheUserIsAName(t *testing.T) {
	n := start(t, `{}`)
	for _, r := range []row{
		{"a name", claimed(t, "sub", "ann"), 0, ""},
		{"of any script", claimed(t, "sub", "Ünï 部屋 😀"), 0, ""},
		{"escaped", forge(hs, `{"sub":"\ud83d\ude00\u00e9","exp":4102444800}`), 0, ""},
		{"as long as it may be", claimed(t, "sub", repeat("é", 127)+"x"), 0, ""},
		{"longer", claimed(t, "sub", repeat("é", 128)), 401, badUser},
		{"missing", claimed(t, "sub", nil), 401, badUser},
		{"empty", claimed(t, "sub", ""), 401, badUser},
		{"a number", claimed(t, "sub", 42), 401, badUser},
		{"null", claimed(t, "sub", json.RawMessage("null")), 401, badUser},
		{"a list", claimed(t, "sub", []string{"ann"}), 401, badUser},
		{"an object", claimed(t, "sub", map[string]string{"id": "ann"}), 401, badUser},
		{"with a null byte", claimed(t, "sub", "ann\x00root"), 401, badUser},
		{"with a line break", claimed(t, "sub", "ann\n"), 401, badUser},
		{"with DEL", claimed(t, "sub", "ann\x7f"), 401, badUser},
		{"with a C1 control", claimed(t, "sub", "ann\u0085"), 401, badUser},
		{"with what follows C1", claimed(t, "sub", "ann\u00a0"), 0, ""},
	} {
		r.check(t, n)
	}
	other := start(t, `{"claims":{"user":"https://example.com/login.name"}}`)
	id := admitted(t, other.ask(t, claimed(t, "https://example.com/login.name", "bob")))
	if id.User != "bob" {
		t.Errorf("user %q", id.User)
	}
	refused(t, other.ask(t, claimed(t, "x", 1)), 401, badUser)
}

func TestInfoIsAnObjectOfTheListedClaims(t *testing.T) {
	payload := claims(map[string]any{"name": "A\"nn é", "picture": map[string]any{"u": []int{1}}, "email": "secret@example.com"})
	for config, want := range map[string]string{
		`{}`:                          `{"name":"A\"nn é"}`,
		`{"claims":{"info":[]}}`:      ``,
		`{"claims":{"info":["no"]}}`:  ``,
		`{"claims":{"info":["sub"]}}`: `{"sub":"ann"}`,
		`{"claims":{"info":["no","picture","name"]}}`: `{"picture":{"u":[1]},"name":"A\"nn é"}`,
	} {
		if id := admitted(t, start(t, config).ask(t, hs256(t, payload))); string(id.Info) != want {
			t.Errorf("%s: info %s, want %s", config, id.Info, want)
		}
	}
	n := start(t, `{}`)
	fits := 4096 - len(`{"name":""}`)
	row{"info of 4 KiB", claimed(t, "name", repeat("x", fits)), 0, ""}.check(t, n)
	row{"info of more", claimed(t, "name", repeat("x", fits+1)), 401, tooLarge}.check(t, n)
}

func TestRequiredClaimsAreRequired(t *testing.T) {
	list := start(t, `{"required":["email","tenant"]}`)
	values := start(t, `{"required":{"verified":true,"tenant":"acme","level":3,"role":"chat","gone":null}}`)
	type object = map[string]any
	good := func(changes object) string {
		all := object{"verified": true, "tenant": "acme", "level": 3, "role": []any{"mail", "chat"}, "gone": json.RawMessage("null")}
		for k, v := range changes {
			all[k] = v
		}
		return hs256(t, claims(all))
	}
	for _, c := range []struct {
		on *node
		row
	}{
		{list, row{"both there", hs256(t, claims(object{"email": "", "tenant": 0})), 0, ""}},
		{list, row{"one missing", hs256(t, claims(object{"email": "x"})), 401, lacksClaim}},
		{list, row{"one null", hs256(t, claims(object{"email": "x", "tenant": json.RawMessage("null")})), 401, lacksClaim}},
		{values, row{"all as required", good(nil), 0, ""}},
		{values, row{"missing", good(object{"verified": nil}), 401, lacksClaim}},
		{values, row{"false for true", good(object{"verified": false}), 401, lacksClaim}},
		{values, row{"a string for true", good(object{"verified": "true"}), 401, lacksClaim}},
		{values, row{"another string", good(object{"tenant": "acme2"}), 401, lacksClaim}},
		{values, row{"a prefix", good(object{"tenant": "acm"}), 401, lacksClaim}},
		{values, row{"another number", good(object{"level": 33}), 401, lacksClaim}},
		{values, row{"a string for a number", good(object{"level": "3"}), 401, lacksClaim}},
		{values, row{"the value itself for a list", good(object{"role": "chat"}), 0, ""}},
		{values, row{"a list that has it last", good(object{"role": json.RawMessage(` [ 1 , {"a":["chat","]"]} , [ "chat" ] , "c\u0068at" ] `)}), 0, ""}},
		{values, row{"a list that has it within only", good(object{"role": []any{[]any{"chat"}, object{"chat": "chat"}, "chat2", "\"chat"}}), 401, lacksClaim}},
		{values, row{"an empty list", good(object{"role": []any{}}), 401, lacksClaim}},
		{values, row{"an object", good(object{"role": object{"chat": true}}), 401, lacksClaim}},
		{values, row{"a list that has true", good(object{"verified": []any{false, true}}), 0, ""}},
	} {
		c.check(t, c.on)
	}
}
