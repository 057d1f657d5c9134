package meter

import (
	"bytes"
	"errors"
	"reflect"
	"runtime"
	"strings"
	"testing"
)

const header = "\x00asm\x01\x00\x00\x00"

func section(id byte, content ...string) string {
	return string(appendSection(nil, id, []byte(strings.Join(content, ""))))
}

func name(s string) string { return string(appendName(nil, s)) }

// withCode is a module of one function () → () with one memory, one table and one global, and this code.
func withCode(code string) string {
	body := "\x00" + code + "\x0b"
	return header + section(secType, "\x01\x60\x00\x00") + section(secFunction, "\x01\x00") + section(secTable, "\x01\x70\x00\x01") +
		section(secMemory, "\x01\x00\x01") + section(secGlobal, "\x01\x7f\x01\x41\x00\x0b") + section(secCode, "\x01", name(body))
}

func TestWhatCannotBeBoundedIsRefusedWithItsCauseAndARemedy(t *testing.T) {
	huge := "\xff\xff\xff\xff\x0f"
	types := section(secType, "\x01\x60\x00\x00")
	for what, c := range map[string]struct{ wasm, cause, remedy string }{
		"an empty file":               {"", "not a wasm module", "wat2wasm"},
		"text":                        {"(module)", "not a wasm module", "wat2wasm"},
		"a component":                 {"\x00asm\x0d\x00\x01\x00", "component", "wasm32-wasip1"},
		"another version":             {"\x00asm\x02\x00\x00\x00", "version of the binary format: 2", "version 1"},
		"a cut section":               {header + "\x01\x05\x01", "ends too early", "compile the filter again"},
		"an imported memory":          {header + section(secImport, "\x01", name("env"), name("memory"), "\x02\x00\x01"), "imports its memory (env.memory)", "--import-memory"},
		"memory64":                    {header + section(secMemory, "\x01\x04\x01"), "memory64", "wasm32"},
		"shared memory":               {header + section(secMemory, "\x01\x03\x01\x02"), "threads", "--shared-memory"},
		"two memories":                {header + section(secMemory, "\x02\x00\x01\x00\x01"), "multi-memory", "one memory"},
		"a large memory":              {header + section(secMemory, "\x01\x00\x81\x02"), "257 pages", "initial memory"},
		"a tag section":               {header + section(secTag, "\x00"), "exceptions", "-fno-exceptions"},
		"throw":                       {withCode("\x08\x00"), "exceptions", "-fno-exceptions"},
		"a tail call":                 {withCode("\x12\x00"), "tail calls", "-mno-tail-call"},
		"call_ref":                    {withCode("\x14\x00"), "typed references", "funcref"},
		"struct.new":                  {withCode("\xfb\x00\x00"), "garbage collected", "funcref"},
		"a struct type":               {header + section(secType, "\x01\x5f\x00"), "garbage collected", "funcref"},
		"an atomic":                   {withCode("\xfe\x03\x00"), "atomics", "+atomics"},
		"relaxed SIMD":                {withCode("\xfd\x80\x02"), "relaxed SIMD", "-mno-relaxed-simd"},
		"an unknown instruction":      {withCode("\x27"), "unknown instruction 0x27", "compile"},
		"a SIMD number not shortest":  {withCode("\xfd\x80\x00\x00\x00"), "shortest form", "compile"},
		"an extended constant":        {header + section(secGlobal, "\x01\x7f\x00\x41\x01\x41\x01\x6a\x0b"), "extended constant", "-mno-extended-const"},
		"an import of ours":           {header + types + section(secImport, "\x01", name(ImportModule), name(ImportYield), "\x00\x00"), "reserved module", "rename"},
		"an export of ours":           {header + section(secMemory, "\x01\x00\x01") + section(secExport, "\x01", name(ExportFuel), "\x02\x00"), "reserved name", "rename"},
		"the fuel's global, read":     {withCode("\x23\x01\x1a"), "names global 1, there are 1", "compile"},
		"the fuel's global, written":  {withCode("\x42\x00\x24\x01"), "names global 1, there are 1", "compile"},
		"the meter's import, called":  {withCode("\x10\x01"), "names function 1, there are 1", "compile"},
		"the meter's import, taken":   {withCode("\xd2\x02\x1a"), "names function 2, there are 1", "compile"},
		"the meter's type":            {withCode("\x41\x00\x11\x01\x00"), "names type 1, there are 1", "compile"},
		"the meter's block type":      {withCode("\x02\x01\x0b"), "names type 1, there are 1", "compile"},
		"the meter's local":           {withCode("\x41\x00\x41\x00\x41\x00\xfc\x0b\x00\x20\x00\x1a"), "names local 0, there are 0", "compile"},
		"a branch beyond the body":    {withCode("\x0c\x01"), "branches out of 2 blocks", "compile"},
		"the fuel's global, exported": {header + section(secExport, "\x01", name("x"), "\x03\x00"), "names global 0, there are 0", "compile"},
		"2³²−1 locals":                {header + types + section(secFunction, "\x01\x00") + section(secCode, "\x01", name("\x01"+huge+"\x7f\x0b")), "locals of function 0", "fewer"},
		"2³²−1 types":                 {header + section(secType, huge), "types", "fewer"},
		"2³²−1 functions":             {header + types + section(secFunction, huge), "functions", "fewer"},
		"2³²−1 table entries":         {header + section(secTable, "\x01\x70\x00"+huge), "entries of all tables", "fewer"},
		"2³²−1 elements":              {header + section(secTable, "\x01\x70\x00\x01") + section(secElement, "\x01\x00\x41\x00\x0b"+huge), "entries of an element segment", "fewer"},
		"2³²−1 data segments":         {header + section(secDataCount, huge), "data segments", "fewer"},
		"2³²−1 labels":                {withCode("\x41\x00\x0e" + huge), "labels of a br_table", "fewer"},
		"a name of 4 GiB":             {header + section(secImport, "\x01"+huge), "bytes of a name", "fewer"},
		"deep blocks":                 {withCode(strings.Repeat("\x02\x40", 20_000)), "nested blocks", "fewer"},
		"deep loops":                  {withCode(strings.Repeat("\x03\x40", 300)), "nested loops", "fewer"},
		"300 parameters":              {header + section(secType, "\x01\x60\xac\x02"+strings.Repeat("\x7f", 300)+"\x00"), "parameters of a function type", "fewer"},
		"a wrong data count":          {header + section(secDataCount, "\x01"), "data count", "compile"},
		"a function without code":     {header + types + section(secFunction, "\x01\x00"), "have code", "compile"},
		"a section twice":             {header + types + types, "out of order or repeated", "compile"},
		"a schema twice":              {header + section(secCustom, name("sluice.schema"), "{}") + section(secCustom, name("sluice.schema"), "{}"), "twice", "only one"},
	} {
		m, err := Rewrite([]byte(c.wasm), Options{})
		var r *Refusal
		if !errors.As(err, &r) || m != nil {
			t.Errorf("%s: %v, %v", what, m, err)
		} else if !strings.Contains(r.Cause, c.cause) || !strings.Contains(r.Remedy, c.remedy) {
			t.Errorf("%s: cause %q, remedy %q; want %q, %q", what, r.Cause, r.Remedy, c.cause, c.remedy)
		}
	}
	if _, err := Rewrite(make([]byte, 100), Options{MaxModuleSize: 99}); err == nil || !strings.Contains(err.Error(), "more than the 99 allowed") {
		t.Errorf("a module over the size limit: %v", err)
	}
}

func TestARefusalOfAbsurdSizesTakesNoMemoryOfThatSize(t *testing.T) {
	huge := "\xff\xff\xff\xff\x0f"
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	for id := byte(secCustom); id <= secDataCount; id++ {
		if _, err := Rewrite([]byte(header+section(id, huge, strings.Repeat("\x00", 100))), Options{}); err == nil && id != secStart {
			t.Errorf("section %d with 2³²−1 entries was accepted", id)
		}
	}
	runtime.ReadMemStats(&after)
	if n := after.TotalAlloc - before.TotalAlloc; n > 1<<20 {
		t.Errorf("%d bytes were allocated", n)
	}
}

func TestRewritingKeepsWhatTheModuleDeclares(t *testing.T) {
	wasm := header + section(secCustom, name("sluice.schema"), "{}") +
		section(secType, "\x02\x60\x02\x7f\x7e\x01\x7d\x60\x00\x00") +
		section(secImport, "\x02", name("env"), name("log"), "\x00\x00", name("env"), name("base"), "\x03\x7f\x00") +
		section(secFunction, "\x01\x01") + section(secMemory, "\x01\x01\x01\x80\x80\x04") +
		section(secExport, "\x03", name("run"), "\x00\x01", name("memory"), "\x02\x00", name("log"), "\x00\x00") +
		section(secCode, "\x01", name("\x00\x0b")) + section(secCustom, name(".debug_info"), "x") +
		section(secCustom, name("name"), "\x00\x05", name("mine"), "\x01\x0b\x02\x00", name("log"), "\x01", name("run"))
	m, err := Rewrite([]byte(wasm), Options{MaxMemoryPages: 5})
	if err != nil {
		t.Fatal(err)
	}
	logType, runType := [2][]byte{{i32Type, i64Type}, {f32Type}}, [2][]byte{{}, {}}
	if want := []Import{{"env", "log", KindFunc, logType[0], logType[1]}, {Module: "env", Name: "base", Kind: KindGlobal}}; !reflect.DeepEqual(m.Imports, want) {
		t.Errorf("imports %+v", m.Imports)
	}
	if want := []Export{{"run", KindFunc, runType[0], runType[1]}, {Name: "memory", Kind: KindMemory}, {"log", KindFunc, logType[0], logType[1]}}; !reflect.DeepEqual(m.Exports, want) {
		t.Errorf("exports %+v", m.Exports)
	}
	if m.MemoryMin != 1 || m.MemoryMax != 5 {
		t.Errorf("memory %d to %d pages, want 1 to 5", m.MemoryMin, m.MemoryMax)
	}
	if string(m.Custom["sluice.schema"]) != "{}" || len(m.Custom) != 1 {
		t.Errorf("custom sections %q", m.Custom)
	}
	if bytes.Contains(m.Wasm, []byte(".debug_info")) || bytes.Contains(m.Wasm, []byte("sluice.schema")) {
		t.Error("custom sections are left in the rewritten module")
	}
	if names := section(secCustom, name("name"), "\x00\x05", name("mine"), "\x01\x0b\x02\x00", name("log"), "\x03", name("run")); !bytes.HasSuffix(m.Wasm, []byte(names)) {
		t.Errorf("the name section was not carried over: % x", m.Wasm)
	}
}

func TestADamagedNameSectionIsLeftOut(t *testing.T) {
	m, err := Rewrite([]byte(withCode("")+section(secCustom, name("name"), "\x01\xff\x01\x05")), Options{})
	if err != nil {
		t.Fatal(err)
	}
	if bytes.Contains(m.Wasm, []byte(name("name"))) {
		t.Error("it was kept")
	}
}

func TestAStackTraceNamesTheOriginalsFunctions(t *testing.T) {
	h := newHost(t, compiler)
	g, _ := metered(t, h, "endless.wasm", Options{})
	_, err := g.ExportedFunction("mutual").Call(bg)
	if err == nil || !strings.Contains(err.Error(), ".ping()") || !strings.Contains(err.Error(), ".pong()") {
		t.Errorf("the trace is %v", err)
	}
}
