package admin

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/url"
	"strings"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"
)

// description is the document as the tests read it.
type description struct {
	t        testing.TB
	doc      map[string]any
	compiler *jsonschema.Compiler // the document's schemas
	strict   *jsonschema.Compiler // the same, where what is not described is an error
}

const documentURL = "https://sluice.invalid/openapi.json"

func readDescription(t testing.TB) *description {
	t.Helper()
	d := &description{t: t, doc: unmarshal(t, openAPIDocument).(map[string]any)}
	d.compiler = newCompiler(t, d.doc)
	d.strict = newCompiler(t, closed(unmarshal(t, openAPIDocument)))
	return d
}

func newCompiler(t testing.TB, doc any) *jsonschema.Compiler {
	c := jsonschema.NewCompiler()
	c.AssertFormat()
	if err := c.AddResource(documentURL, doc); err != nil {
		t.Fatal(err)
	}
	return c
}

func unmarshal(t testing.TB, text []byte) any {
	t.Helper()
	v, err := jsonschema.UnmarshalJSON(bytes.NewReader(text))
	if err != nil {
		t.Fatalf("%v: %s", err, text)
	}
	return v
}

// closed refuses in all objects with properties those that are not described.
func closed(v any) any {
	switch v := v.(type) {
	case map[string]any:
		_, properties := v["properties"]
		if _, said := v["additionalProperties"]; v["type"] == "object" && properties && !said {
			v["additionalProperties"] = false
		}
		for _, of := range v {
			closed(of)
		}
	case []any:
		for _, of := range v {
			closed(of)
		}
	}
	return v
}

// at is the value at a path of the document, references resolved; nil: there is none.
func (d *description) at(path ...string) any {
	var v any = d.doc
	for _, name := range path {
		m, _ := d.resolve(v).(map[string]any)
		if v = m[name]; v == nil {
			return nil
		}
	}
	return d.resolve(v)
}

func (d *description) resolve(v any) any {
	if m, ok := v.(map[string]any); ok {
		if ref, ok := m["$ref"].(string); ok {
			return d.at(strings.Split(strings.TrimPrefix(ref, "#/"), "/")...)
		}
	}
	return v
}

func pointer(path ...string) string {
	var b strings.Builder
	b.WriteString(documentURL + "#")
	for _, name := range path {
		b.WriteString("/" + url.PathEscape(strings.NewReplacer("~", "~0", "/", "~1").Replace(name)))
	}
	return b.String()
}

// objectAt is like at, for objects.
func (d *description) objectAt(path ...string) map[string]any {
	m, _ := d.at(path...).(map[string]any)
	return m
}

// check validates the answer to a described request.
func (d *description) check(path, method string, status int, contentType string, answer []byte) {
	d.t.Helper()
	operation := []string{"paths", path, strings.ToLower(method), "responses"}
	code := fmt.Sprint(status)
	if d.at(append(operation, code)...) == nil {
		code = "default"
	}
	responses, _ := d.objectAt(operation...)[code].(map[string]any)
	where := append(operation, code)
	if ref, ok := responses["$ref"].(string); ok {
		where = strings.Split(strings.TrimPrefix(ref, "#/"), "/")
	}
	media, _, _ := strings.Cut(contentType, ";")
	if d.at(append(where, "content", media, "schema")...) == nil {
		d.t.Fatalf("%s %s: an answer %d of type %s is not described", method, path, status, contentType)
	}
	if media != "application/json" {
		return
	}
	schema, err := d.strict.Compile(pointer(append(where, "content", media, "schema")...))
	if err != nil {
		d.t.Fatal(err)
	}
	if err := schema.Validate(unmarshal(d.t, answer)); err != nil {
		d.t.Errorf("%s %s: the answer %d %s is not as described: %v", method, path, status, answer, err)
	}
}

// request is whether a body is as an operation's is described.
func (d *description) request(path string, body any) error {
	d.t.Helper()
	schema, err := d.compiler.Compile(pointer("paths", path, "post", "requestBody", "content", "application/json", "schema"))
	if err != nil {
		d.t.Fatal(err)
	}
	text, err := json.Marshal(body)
	if err != nil {
		d.t.Fatal(err)
	}
	return schema.Validate(unmarshal(d.t, text))
}
