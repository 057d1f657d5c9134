package admin

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/santhosh-tekuri/jsonschema/v6"

	"sluice/router"
)

func TestTheDescriptionIsAnOpenAPIDocument(t *testing.T) {
	text, err := os.ReadFile("testdata/openapi-3.1.schema.json")
	if err != nil {
		t.Fatal(err)
	}
	c := jsonschema.NewCompiler()
	const specification = "https://spec.openapis.org/oas/3.1/schema/2022-10-07"
	if err := c.AddResource(specification, unmarshal(t, text)); err != nil {
		t.Fatal(err)
	}
	schema, err := c.Compile(specification)
	if err != nil {
		t.Fatal(err)
	}
	if err := schema.Validate(unmarshal(t, openAPIDocument)); err != nil {
		t.Errorf("%#v", err)
	}
	spoiled := unmarshal(t, openAPIDocument).(map[string]any)
	spoiled["paths"].(map[string]any)["no-slash"] = map[string]any{}
	if schema.Validate(spoiled) == nil {
		t.Error("anything is valid: is this the specification's schema?")
	}
	d := readDescription(t)
	for name := range d.objectAt("components", "schemas") {
		if _, err := d.compiler.Compile(pointer("components", "schemas", name)); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestEveryRouteIsDescribedAndTheOtherWayRound(t *testing.T) {
	d := readDescription(t)
	o := Options{Router: newNode(t).Router, Reloader: new(reloading), Token: "s3cret"}
	described := d.objectAt("paths")
	for _, route := range o.routes(time.Now()) {
		operation := d.objectAt("paths", route.path, strings.ToLower(route.method))
		if operation == nil || len(described[route.path].(map[string]any)) != 1 {
			t.Errorf("%s %s is not described, or more than it", route.method, route.path)
			continue
		}
		delete(described, route.path)
		security, said := operation["security"]
		if public := said && len(security.([]any)) == 0; public != route.public {
			t.Errorf("%s: that it needs no token is %t, and described as %t", route.path, route.public, public)
		}
	}
	for path := range described {
		t.Errorf("%s is described, and not there", path)
	}
	// The handler is made of these routes: it answers these methods, and no other.
	h := Handler(o)
	bearer := func(r *http.Request) { r.Header.Set("Authorization", "Bearer s3cret") }
	for path, operations := range unmarshal(t, openAPIDocument).(map[string]any)["paths"].(map[string]any) {
		for _, method := range []string{"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE"} {
			r := httptest.NewRequest(method, "http://127.0.0.1:8081"+path, nil)
			bearer(r)
			w := httptest.NewRecorder()
			h.ServeHTTP(w, r)
			_, there := operations.(map[string]any)[strings.ToLower(method)]
			if method == "HEAD" {
				_, there = operations.(map[string]any)["get"]
			}
			if refused := w.Code == http.StatusMethodNotAllowed; refused == there || w.Code == http.StatusNotFound {
				t.Errorf("%s %s: %d", method, path, w.Code)
			}
		}
	}
	if w := get(h, "/api/nothing", bearer); w.Code != http.StatusNotFound {
		t.Errorf("a path that is not described: %d", w.Code)
	}
	if w := get(h, "/api/openapi.json", nil); !bytes.Equal(w.Body.Bytes(), openAPIDocument) {
		t.Error("the document is not served as it is")
	}
}

func TestEveryExampleIsAnsweredAsDescribed(t *testing.T) {
	d := readDescription(t)
	s := newService(t)
	s.as(t, 0, "ann", "lobby")
	s.as(t, 1, "ann", "lobby", "chat:2")
	s.post(t, "publish", `{"room":"lobby","content":1,"info":[]}`, new(published))
	for _, path := range slices.Sorted(maps.Keys(d.objectAt("paths"))) {
		operations := d.objectAt("paths", path)
		if operations["get"] != nil {
			query := url.Values{}
			parameters, _ := d.at("paths", path, "get", "parameters").([]any)
			for _, p := range parameters {
				parameter := p.(map[string]any)
				if example, ok := parameter["example"]; ok {
					query.Set(parameter["name"].(string), fmt.Sprint(example))
				}
			}
			target := path
			if len(query) > 0 {
				target += "?" + query.Encode()
			}
			status, answer, h := s.call(t, http.MethodGet, target, nil)
			if status != http.StatusOK {
				t.Errorf("%s: %d %s", target, status, answer)
			}
			d.check(path, "GET", status, h.Get("Content-Type"), answer)
			continue
		}
		examples := d.objectAt("paths", path, "post", "requestBody", "content", "application/json", "examples")
		if len(examples) == 0 {
			t.Errorf("%s has no example", path)
		}
		for name := range examples {
			body := d.objectAt("paths", path, "post", "requestBody", "content", "application/json", "examples", name)["value"]
			if err := d.request(path, body); err != nil {
				t.Errorf("%s: the example %s is not as described: %v", path, name, err)
			}
			status, answer, h := s.call(t, http.MethodPost, path, body)
			if status != http.StatusOK || bytes.Contains(answer, []byte(`"error"`)) {
				t.Errorf("%s, example %s: %d %s", path, name, status, answer)
			}
			d.check(path, "POST", status, h.Get("Content-Type"), answer)
		}
	}
}

func list(v any) []any { l, _ := v.([]any); return l }

// wrong are values of other types than a schema's.
func wrong(schema map[string]any) []any {
	all := map[string]any{"string": "x", "integer": 7, "boolean": true, "array": []any{}, "object": map[string]any{}, "null": nil, "number": 1.5}
	is, _ := schema["type"].(string)
	if is == "" && schema["const"] == nil {
		return nil // anything goes
	}
	delete(all, is)
	if is == "integer" {
		all["negative"], all["text"] = -1, "7"
	}
	return slices.Collect(maps.Values(all))
}

func TestWhatIsNotAsDescribedIsRefused(t *testing.T) {
	d := readDescription(t)
	s := newService(t)
	tried := 0
	try := func(path string, body any) {
		t.Helper()
		tried++
		if d.request(path, body) == nil {
			t.Errorf("%s: %v is as described, and should not be", path, body)
		}
		status, answer, h := s.call(t, http.MethodPost, path, body)
		if status != http.StatusBadRequest || !bytes.Contains(answer, []byte(`"code":"bad_request"`)) {
			t.Errorf("%s: %v is answered %d %s", path, body, status, answer)
		}
		d.check(path, "POST", status, h.Get("Content-Type"), answer)
	}
	for path, operations := range d.objectAt("paths") {
		if _, posts := operations.(map[string]any)["post"]; !posts {
			continue
		}
		where := []string{"paths", path, "post", "requestBody", "content", "application/json"}
		schema := d.objectAt(append(where, "schema")...)
		for name := range d.objectAt(append(where, "examples")...) {
			example := d.objectAt(append(where, "examples", name)...)["value"].(map[string]any)
			with := func(change func(map[string]any)) map[string]any {
				body := maps.Clone(example)
				change(body)
				return body
			}
			try(path, with(func(b map[string]any) { b["unknown"] = 1 }))
			for _, field := range list(schema["required"]) {
				try(path, with(func(b map[string]any) { delete(b, field.(string)) }))
			}
			for field := range schema["properties"].(map[string]any) {
				upper := strings.ToUpper(field[:1]) + field[1:]
				try(path, with(func(b map[string]any) { delete(b, field); b[upper] = example[field] }))
				for _, value := range wrong(d.objectAt(append(where, "schema", "properties", field)...)) {
					try(path, with(func(b map[string]any) { b[field] = value }))
				}
			}
		}
	}
	for path, bodies := range map[string][]string{
		"/api/publish":     {`{"room":"","content":1}`, `{"room":"a","rooms":["a"],"content":1}`, `{"rooms":[],"content":1}`, `{"rooms":["a","a"],"content":1}`, `{"rooms":[7],"content":1}`, `{"rooms":[""],"content":1}`, `{"content":1}`, `{"room":"a","content":1,"from":""}`},
		"/api/disconnect":  {`{}`, `{"user":"a","tag":"b"}`, `{"user":"a","for":"1h","until":"2100-01-01T00:00:00Z"}`, `{"user":"a","for":"soon"}`, `{"user":"a","until":"soon"}`, `{"user":"a","until":"2100-01-01T0:00:00Z"}`, `{"user":"a","node":"a b"}`},
		"/api/unsubscribe": {`{"user":"a"}`, `{"user":"a","room":"b","all_rooms":true}`, `{"user":"a","all_rooms":false}`},
		"/api/batch":       {`{"commands":[]}`},
	} {
		for _, body := range bodies {
			try(path, json.RawMessage(body))
		}
	}
	if tried < 150 {
		t.Errorf("only %d were tried", tried)
	}
	if total := s.nodes[0].Stats().Published; total["room"]+total["broadcast"]+total["direct"]+total["control"] != 0 {
		t.Errorf("something was published: %v", total)
	}
	tooMany, _ := json.Marshal(map[string]any{"commands": slices.Repeat([]any{map[string]any{"info": map[string]any{}}}, 1001)})
	try("/api/batch", json.RawMessage(tooMany))
}

// badValues are values of a parameter that its schema does not allow.
func badValues(schema map[string]any) (bad []string) {
	if schema["type"] == "integer" {
		bad = []string{"", "x", "-1", "1.5", "99999999999999999999"}
	}
	if schema["minimum"] == json.Number("1") {
		bad = append(bad, "0")
	}
	if schema["minLength"] != nil {
		bad = append(bad, "")
	}
	if most, ok := schema["maxLength"].(json.Number); ok {
		n, _ := most.Int64()
		bad = append(bad, strings.Repeat("x", int(n)+1))
	}
	return bad
}

func TestAParameterThatIsNotAsDescribedIsRefused(t *testing.T) {
	d := readDescription(t)
	s := newService(t)
	tried := 0
	for path, operations := range d.objectAt("paths") {
		parameters, ok := d.at("paths", path, "get", "parameters").([]any)
		if _, gets := operations.(map[string]any)["get"]; !gets || !strings.HasPrefix(path, "/api/") || path == "/api/filters" || path == "/api/openapi.json" {
			continue
		}
		try := func(query url.Values, more string) {
			t.Helper()
			tried++
			status, answer, h := s.call(t, http.MethodGet, path+"?"+query.Encode()+more, nil)
			if status != http.StatusBadRequest {
				t.Errorf("%s?%s%s is answered %d %s", path, query.Encode(), more, status, answer)
			}
			d.check(path, "GET", status, h.Get("Content-Type"), answer)
		}
		good := url.Values{}
		for _, p := range parameters {
			if parameter := p.(map[string]any); parameter["required"] == true {
				good.Set(parameter["name"].(string), fmt.Sprint(parameter["example"]))
			}
		}
		try(good, "&unknown=1")
		try(good, "&%zz")
		if !ok {
			continue
		}
		for _, p := range parameters {
			parameter := p.(map[string]any)
			name := parameter["name"].(string)
			schema := d.resolve(parameter["schema"]).(map[string]any)
			if parameter["required"] == true {
				without := maps.Clone(good)
				without.Del(name)
				try(without, "")
			}
			twice := maps.Clone(good)
			twice[name] = []string{"1", "1"}
			try(twice, "")
			for _, value := range badValues(schema) {
				bad := maps.Clone(good)
				bad.Set(name, value)
				try(bad, "")
			}
		}
	}
	if tried < 25 {
		t.Errorf("only %d were tried", tried)
	}
	s.refused(t, 400, "bad_request", "GET", "/api/history?room=lobby&offset=3", nil)
	s.refused(t, 400, "bad_request", "GET", "/api/history?room=lobby&epoch=e&before=3", nil)
	s.refused(t, 400, "bad_request", "GET", "/api/rooms?limit=1001", nil)
}

func TestEveryKindOfRefusalIsAnsweredAsDescribed(t *testing.T) {
	d := readDescription(t)
	f := &verdicts{}
	s := newService(t, func(o *router.Options, g *router.Generation, a *Options) { g.Filters, a.Token = f, "s3cret" })
	json := []string{"Content-Type", "application/json", "Authorization", "Bearer s3cret"}
	for _, c := range []struct {
		status       int
		method, path string
		body         any
		headers      []string
	}{
		{401, "POST", "/api/publish", `{}`, json[:2]},
		{401, "GET", "/api/info", nil, nil},
		{403, "POST", "/api/publish", `{}`, append(json, "Origin", "https://evil.example")},
		{405, "GET", "/api/publish", nil, json},
		{413, "POST", "/api/disconnect", strings.Repeat(" ", 1<<20), json},
		{415, "POST", "/api/broadcast", `{}`, append(json, "Content-Type", "text/plain")},
		{501, "GET", "/api/presence?room=plain:1", nil, json},
		{501, "GET", "/api/history?room=plain:1", nil, json},
		{422, "POST", "/api/publish", `{"room":"deny 422","content":1}`, json},
		{429, "POST", "/api/publish", `{"room":"deny 429","content":1}`, json},
		{403, "POST", "/api/publish", `{"room":"deny 1234","content":1}`, json},
		{413, "POST", "/api/publish", `{"room":"a","content":"` + strings.Repeat("x", 70<<10) + `"}`, json},
	} {
		status, answer, h := s.call(t, c.method, c.path, c.body, c.headers...)
		if status != c.status {
			t.Errorf("%s %s: %d %s, want %d", c.method, c.path, status, answer, c.status)
		}
		if status == 405 { // the method is not described
			c.method = "POST"
		}
		path, _, _ := strings.Cut(c.path, "?")
		d.check(path, c.method, status, h.Get("Content-Type"), answer)
		if status == 429 && h.Get("Retry-After") != "2" {
			t.Errorf("Retry-After is %q", h.Get("Retry-After"))
		}
	}
}

// verdicts is a chain that denies in rooms named "deny" and a code.
type verdicts struct{}

func (*verdicts) Handles(h router.Hook) bool { return h == router.HookMessage }

func (*verdicts) Judge(e *router.Event) error {
	e.Verdict = router.Verdict{}
	var code uint32
	if _, err := fmt.Sscanf(e.Room, "deny %d", &code); err == nil {
		e.Verdict = router.Verdict{Action: router.Deny, Code: code, Reason: "denied", Filter: "f", RetryAfter: 1500 * time.Millisecond}
	}
	return nil
}
