package plugins

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

func testModule(t testing.TB, file string) []byte {
	t.Helper()
	wasm, err := os.ReadFile(filepath.Join("testdata", file+".wasm"))
	if err != nil {
		t.Fatal(err)
	}
	return wasm
}

func TestInspectingSaysWhatAModuleIs(t *testing.T) {
	wasm, err := ReplaceSections(testModule(t, "capable"), CustomSection{SectionSchema, []byte(
		`{"required":["b"],"properties":{"a":{"$ref":"#/$defs/n","default":7,"description":"how many"},"b":{"type":"array","items":{"enum":["x","y"]}}},"$defs":{"n":{"type":"integer"}}}`)})
	if err != nil {
		t.Fatal(err)
	}
	in := Inspect(wasm)
	if in.Refused != nil {
		t.Fatalf("refused: %+v", *in.Refused)
	}
	if in.ABI != 1 || in.Size != len(wasm) || len(in.Digest) != 64 || !slices.Equal(in.Capabilities, []string{"log", "now", "random"}) || in.Compile <= 0 {
		t.Errorf("got %+v", in)
	}
	if !slices.Contains(in.Hooks, "on_message") || in.Memory == nil || in.Memory.Initial == 0 || in.Memory.Effective < in.Memory.Initial {
		t.Errorf("hooks %v, memory %+v", in.Hooks, in.Memory)
	}
	if i := slices.IndexFunc(in.Sections, func(s Section) bool { return s.Name == SectionSchema }); i < 0 {
		t.Errorf("sections %v", in.Sections)
	}
	want := []Property{
		{Name: "b", Type: `a list, each one of "x", "y"`, Required: true},
		{Name: "a", Type: "a whole number", Default: json.RawMessage("7"), Description: "how many"},
	}
	if !slices.EqualFunc(in.Properties, want, func(a, b Property) bool {
		return a.Name == b.Name && a.Type == b.Type && a.Required == b.Required && bytes.Equal(a.Default, b.Default) && a.Description == b.Description
	}) {
		t.Errorf("properties %+v", in.Properties)
	}
}

func TestInspectingEndsWhateverASchemaRefersTo(t *testing.T) {
	var wide strings.Builder // 2^60 ways through it
	for i := range 60 {
		fmt.Fprintf(&wide, `"a%d":{"anyOf":[{"$ref":"#/$defs/a%d"},{"$ref":"#/$defs/a%d"}]},`, i, i+1, i+1)
	}
	for _, schema := range []string{
		`{"$defs":{"a":{"anyOf":[{"$ref":"#/$defs/a"},{"type":"string"}]}},"properties":{"x":{"$ref":"#/$defs/a"}}}`,
		`{"$defs":{` + wide.String() + `"a60":{"type":"string"}},"properties":{"x":{"$ref":"#/$defs/a0"}}}`,
	} {
		wasm, err := ReplaceSections(testModule(t, "capable"), CustomSection{SectionSchema, []byte(schema)})
		if err != nil {
			t.Fatal(err)
		}
		if in := Inspect(wasm); in.Refused != nil || len(in.Properties) != 1 || !strings.Contains(in.Properties[0].Type, "anything") {
			t.Errorf("%.60s: %+v, %+v", schema, in.Refused, in.Properties)
		}
	}
}

func TestInspectingNamesWhatANewerModuleWillNotGet(t *testing.T) {
	in := Inspect(testModule(t, "later"))
	if in.Refused != nil {
		t.Fatalf("refused: %+v", *in.Refused)
	}
	off := 0
	for _, im := range in.Imports {
		if im.Off {
			off++
		}
	}
	if off != len(in.Imports) || off == 0 {
		t.Errorf("imports %+v", in.Imports)
	}
	odd := bytes.Replace(testModule(t, "outputs"), []byte("on_disconnect"), []byte("on_presence__"), 1)
	if in := Inspect(odd); in.Refused != nil || !slices.Equal(in.OddHooks, []string{"on_presence__"}) {
		t.Errorf("refused %+v, hooks of a later version %q", in.Refused, in.OddHooks)
	}
}

func TestInspectingExplainsWhyAModuleWouldNotLoad(t *testing.T) {
	good := testModule(t, "noop")
	for _, row := range []struct {
		name          string
		wasm          []byte
		cause, remedy string
	}{
		{"nothing", nil, "not a wasm module", "wat2wasm"},
		{"text", []byte("(module)"), "not a wasm module", "wat2wasm"},
		{"truncated", good[:len(good)/2], "not a valid wasm module", "truncated or damaged"},
		{"huge", append(bytes.Clone(good), make([]byte, MaxModule)...), "more than the", "strip"},
		{"a component", []byte("\x00asm\x0d\x00\x01\x00"), "a component", "wasm32-wasip2"},
		{"64-bit memory", []byte("\x00asm\x01\x00\x00\x00\x05\x03\x01\x04\x01"), "memory64", "wasm32"},
		{"a schema that is none", with(t, good, SectionSchema, `{"type":1}`), "its schema is no JSON Schema", "correct its schema"},
		{"a section twice", append(bytes.Clone(with(t, good, SectionMeta, "{}")), 0, 13, 11, 's', 'l', 'u', 'i', 'c', 'e', '.', 'm', 'e', 't', 'a', ' '), "twice", "link only one"},
	} {
		in := Inspect(row.wasm)
		if in.Refused == nil || !strings.Contains(in.Refused.Cause, row.cause) || !strings.Contains(in.Refused.Remedy, row.remedy) {
			t.Errorf("%s: %+v", row.name, in.Refused)
		}
		if len(in.Digest) != 64 || in.Size != len(row.wasm) {
			t.Errorf("%s: size %d, digest %q", row.name, in.Size, in.Digest)
		}
	}
}

func with(t testing.TB, wasm []byte, name, content string) []byte {
	t.Helper()
	out, err := ReplaceSections(wasm, CustomSection{name, []byte(content)})
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func TestInspectingAgreesWithLoading(t *testing.T) {
	h := newTestHost(t, HostOptions{})
	files, err := filepath.Glob("testdata/*.wasm")
	if err != nil || len(files) < 10 {
		t.Fatalf("%d guests, %v", len(files), err)
	}
	for _, file := range files {
		wasm, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		m, err := newModule(h.compiler, wasm, moduleKey{pages: DefaultMemory / pageSize})
		if err == nil {
			m.close()
		}
		if in := Inspect(wasm); (in.Refused == nil) != (err == nil) {
			t.Errorf("%s: inspected %+v, loaded %v", file, in.Refused, err)
		}
	}
}

func TestReplacedSectionsStandAtTheEndOnce(t *testing.T) {
	wasm := testModule(t, "noop")
	one := with(t, with(t, wasm, SectionSchema, "true"), SectionSchema, "false")
	if again := with(t, one, SectionSchema, "false"); !bytes.Equal(one, again) {
		t.Error("replacing a section by itself changes the module")
	}
	if bytes.Count(one, []byte(SectionSchema)) != 1 || !bytes.HasSuffix(one, []byte(SectionSchema+"false")) {
		t.Errorf("it ends in %q", one[len(one)-40:])
	}
	bare, err := ReplaceSections(one, CustomSection{Name: SectionSchema})
	if err != nil || !bytes.Equal(bare, wasm) {
		t.Errorf("taken out again, the module differs: %v", err)
	}
	for n := range len(one) {
		if _, err := ReplaceSections(one[:n], CustomSection{Name: "x"}); err == nil && Inspect(one[:n]).Refused == nil && n < len(wasm) {
			t.Errorf("%d bytes of %d are taken for a module", n, len(one))
		}
	}
}

func TestTheSectionProducersNamesTheToolchain(t *testing.T) {
	field := "\x01\x0cprocessed-by\x02\x05clang\x0619.1.7\x02Go\x00"
	in := Inspect(with(t, testModule(t, "noop"), "producers", field))
	if !slices.Equal(in.Toolchain, []string{"clang 19.1.7", "Go"}) {
		t.Errorf("got %q", in.Toolchain)
	}
	for n := range len(field) {
		Inspect(with(t, testModule(t, "noop"), "producers", field[:n])) // damaged, it is no reason to panic
	}
}
