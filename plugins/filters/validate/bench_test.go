package validate_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"

	"sluice/router"
)

// fiveFields is the schema of the benchmarks' messages: five fields, the last
// with the bulk.
const fiveFields = `{
	"type": "object",
	"required": ["id", "kind", "at", "text"],
	"additionalProperties": false,
	"properties": {
		"id": {"type": "integer", "minimum": 1},
		"kind": {"enum": ["text", "image", "system"]},
		"at": {"type": "string", "pattern": "^\\d{4}-\\d\\d-\\d\\dT\\d\\d:\\d\\d:\\d\\dZ$"},
		"text": {"type": "string", "minLength": 1, "maxLength": 70000},
		"tags": {"type": "array", "maxItems": 20000, "items": {"type": "string", "maxLength": 32}}
	}
}`

// benchContent is content of exactly size bytes.
func benchContent(size int, tags bool) string {
	head := `{"id":123456,"kind":"text","at":"2026-01-02T03:04:05Z","tags":["a","b"],"text":"`
	if tags {
		head = `{"id":123456,"kind":"text","at":"2026-01-02T03:04:05Z","text":"many","tags":["last`
		for len(head)+len(`","tag"]}`) <= size {
			head = strings.Replace(head, `"tags":[`, `"tags":["tag",`, 1)
		}
		return head + strings.Repeat("x", size-len(head)-3) + `"]}`
	}
	return head + strings.Repeat("x", size-len(head)-2) + `"}`
}

var benchCases = []struct {
	name    string
	content string
}{
	{"128 B", benchContent(128, false)},
	{"1 KiB", benchContent(1<<10, false)},
	{"64 KiB of text", benchContent(64<<10, false)},
	{"64 KiB of tags", benchContent(64<<10, true)},
}

// BenchmarkValidate is a call through the host: copying the message in,
// metering and all.
func BenchmarkValidate(b *testing.B) {
	chain := forSchema(b, fiveFields)
	for _, c := range benchCases {
		b.Run(c.name, func(b *testing.B) { benchJudge(b, chain, c.content, router.Continue) })
	}
	b.Run("128 B, refused", func(b *testing.B) {
		benchJudge(b, chain, strings.Replace(benchCases[0].content, `"id":1`, `"id":-`, 1), router.Deny)
	})
	b.Run("pattern over 64 KiB", func(b *testing.B) {
		benchJudge(b, forSchema(b, `{"pattern":"^([a-z]+ ?)*$"}`), `"`+strings.Repeat("lorem ipsum ", 5461)+`"`, router.Continue)
	})
	b.Run("64 KiB of unique items", func(b *testing.B) {
		var items []string
		for i := 0; len(items)*6 < 64<<10; i++ {
			items = append(items, fmt.Sprint(10000+i))
		}
		benchJudge(b, forSchema(b, `{"uniqueItems":true}`), "["+strings.Join(items, ",")+"]", router.Continue)
	})
}

func benchJudge(b *testing.B, chain interface{ Judge(*router.Event) error }, content string, want router.Action) {
	e := event(router.KindBroadcast, "", content)
	b.SetBytes(int64(len(content)))
	b.ReportAllocs()
	for b.Loop() {
		if err := chain.Judge(e); err != nil {
			b.Fatal(err)
		}
	}
	if e.Verdict.Action != want || e.Verdict.Failure != "" {
		b.Fatalf("%+v", e.Verdict)
	}
}

// BenchmarkLibrary is the same by a Go library, natively, its decoding of the
// JSON included.
func BenchmarkLibrary(b *testing.B) {
	schema, err := jsonschema.UnmarshalJSON(strings.NewReader(fiveFields))
	if err != nil {
		b.Fatal(err)
	}
	compiler := jsonschema.NewCompiler()
	if err := compiler.AddResource("schema.json", schema); err != nil {
		b.Fatal(err)
	}
	compiled, err := compiler.Compile("schema.json")
	if err != nil {
		b.Fatal(err)
	}
	for _, c := range benchCases {
		b.Run(c.name, func(b *testing.B) {
			b.SetBytes(int64(len(c.content)))
			b.ReportAllocs()
			for b.Loop() {
				v, err := jsonschema.UnmarshalJSON(strings.NewReader(c.content))
				if err != nil {
					b.Fatal(err)
				}
				if err := compiled.Validate(v); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
