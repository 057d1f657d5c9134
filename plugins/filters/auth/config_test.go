package auth_test

import (
	"os"
	"strings"
	"testing"

	"sluice/plugins"
	"sluice/plugins/keys"
)

func TestConfigurationsAreReadStrictly(t *testing.T) {
	long := repeat("x", 256)
	for _, c := range []struct{ name, config, reason string }{
		{"not an object", `[]`, "the configuration has to be a JSON object"},
		{"null", `null`, "the configuration has to be a JSON object"},
		{"an unknown key", `{"isuer":"x"}`, "unknown key isuer: known are issuer, audience, algorithms, leeway"},
		{"an unknown key of claims", `{"claims":{"name":"x"}}`, "unknown key claims.name: known are user, info, grants, expires"},
		{"a secret where it does not belong", `{"secret":"x"}`, "unknown key secret"},
		{"a very long key", `{"` + long + `":1}`, "keys of up to 63 bytes"},
		{"a key twice", `{"leeway":1,"leeway":2}`, "leeway is given twice"},
		{"a key of claims twice", `{"claims":{"user":"a","user":"b"}}`, "claims.user is given twice"},
		{"issuer a number", `{"issuer":1}`, "issuer has to be a string or a list of strings"},
		{"issuer null", `{"issuer":null}`, "issuer has to be a string or a list of strings"},
		{"issuer empty", `{"issuer":""}`, "issuer has to be a string of 1 to 255 bytes"},
		{"issuer long", `{"issuer":"` + long + `"}`, "issuer has to be a string of 1 to 255 bytes"},
		{"issuer an empty list", `{"issuer":[]}`, "issuer is an empty list: leave it out, or name one"},
		{"issuer a list with a number", `{"issuer":["a",1]}`, "issuer has to be a string of 1 to 255 bytes"},
		{"issuer a list with one twice", `{"issuer":["a","b","a"]}`, "issuer has an entry twice"},
		{"too many issuers", `{"issuer":["a","b","c","d","e","f","g","h","i","j","k","l","m","n","o","p","q"]}`, "issuer has more than 16 entries"},
		{"audience true", `{"audience":true}`, "audience has to be a string or a list of strings"},
		{"algorithm none", `{"algorithms":["HS256","none"]}`, "algorithms: none is unknown; there are HS256"},
		{"algorithm in lower case", `{"algorithms":"hs256"}`, "algorithms: hs256 is unknown"},
		{"no algorithm", `{"algorithms":[]}`, "algorithms is an empty list"},
		{"leeway a string", `{"leeway":"60s"}`, "leeway has to be a whole number from 0 to 600"},
		{"leeway too long", `{"leeway":601}`, "leeway has to be a whole number from 0 to 600"},
		{"leeway negative", `{"leeway":-1}`, "leeway has to be a whole number from 0 to 600"},
		{"max_bytes small", `{"max_bytes":255}`, "max_bytes has to be a whole number from 256 to 24576"},
		{"max_bytes large", `{"max_bytes":24577}`, "max_bytes has to be a whole number from 256 to 24576"},
		{"optional a string", `{"optional":"true"}`, "optional has to be true or false"},
		{"optional null", `{"optional":null}`, "optional has to be true or false"},
		{"optional a number", `{"require_expiry":1}`, "require_expiry has to be true or false"},
		{"claims a list", `{"claims":["sub"]}`, "claims has to be an object"},
		{"user a list", `{"claims":{"user":["sub"]}}`, "claims.user has to be a string of 1 to 255 bytes"},
		{"info a string", `{"claims":{"info":"name"}}`, "claims.info has to be a list of strings"},
		{"a claim with a quote", `{"claims":{"info":["na\"me"]}}`, "claims.info: a claim's name must not have quotes"},
		{"a claim with a line break", `{"claims":{"user":"a\nb"}}`, "claims.user: a claim's name must not have quotes, backslashes or control characters"},
		{"required a string", `{"required":"email"}`, "required has to be a list of claims, or an object of claims and their values"},
		{"required a list with a number", `{"required":[1]}`, "required has to be a string of 1 to 255 bytes"},
		{"a required value that is a list", `{"required":{"a":["x"]}}`, "required: a value has to be a string, a whole number, true, false or null"},
		{"a required fraction", `{"required":{"a":1.5}}`, "required: a value has to be a string, a whole number, true, false or null"},
		{"a required claim twice", `{"required":{"a":1,"a":2}}`, "required has a claim twice"},
		{"a required claim without a name", `{"required":{"":1}}`, "required has a claim without a name"},
		{"too many required", `{"required":{` + strings.TrimPrefix(many(17), ",") + `}}`, "required has more than 16 entries"},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := newBareHost(t).Build(t.Context(), []plugins.Spec{spec(c.config, pairs()["HS256"].spec)}, nil)
			if err == nil {
				t.Fatal("it was accepted")
			}
			if !strings.Contains(err.Error(), c.reason) {
				t.Errorf("the error %q does not say %q", err, c.reason)
			}
		})
	}
	start(t, `{"issuer":"a","audience":["b"],"algorithms":"HS256","leeway":0,"max_bytes":256,"optional":false,"require_expiry":true,
		"deep_grants":false,"claims":{"user":"u","info":[],"grants":"g","expires":"e"},"required":{"a":-5,"b":null,"c":"d"}}`)
}

func TestWithoutKeysItDoesNotStart(t *testing.T) {
	host, _ := newHost(t)
	_, err := host.Build(t.Context(), []plugins.Spec{spec(`{}`)}, nil)
	if err == nil || !strings.Contains(err.Error(), `there are no keys: add some to the filter's entry, such as keys: [{alg: HS256, secret: "${SLUICE_AUTH_KEY}"}]`) {
		t.Errorf("got %v", err)
	}
}

func TestWhileTheKeysAreAwayClientsAreToldToComeBack(t *testing.T) {
	s := keys.Spec{JWKS: keys.NewSecret("http://127.0.0.1:1/keys"), WhenDown: keys.Wait}
	v := start(t, `{}`, s).ask(t, hs256(t, claims(nil)))
	refused(t, v, 503, "tokens cannot be verified now; try again")
	if v.RetryAfter == 0 {
		t.Error("it does not say when to come back")
	}
}

func TestTheModuleCarriesItsSchemaAndItsDefaults(t *testing.T) {
	wasm, schema, meta := read(t, "auth.wasm"), read(t, "schema.json"), read(t, "meta.json")
	if !strings.Contains(wasm, "sluice.schema"+schema) || !strings.Contains(wasm, "sluice.meta"+meta) {
		t.Error("a section is not what its file is: run make filters")
	}
	if got := start(t, `{}`).chain.Info()[0]; string(got.Schema) != schema {
		t.Error("the host does not show the schema")
	}
	if len(wasm) > 40<<10 {
		t.Errorf("it has %d bytes; it is to stay small", len(wasm))
	}
}

func read(t *testing.T, name string) string {
	t.Helper()
	text, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}
