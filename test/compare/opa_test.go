package compare

import (
	"bytes"
	"context"
	"encoding/json"
	"os"
	"testing"

	"github.com/open-policy-agent/opa/v1/compile"
	"github.com/open-policy-agent/opa/v1/rego"
	"github.com/tetratelabs/wazero"
	"github.com/tetratelabs/wazero/api"
	"github.com/tetratelabs/wazero/experimental"
)

type opaInput struct {
	User    string          `json:"user"`
	Room    string          `json:"room"`
	Content json.RawMessage `json:"content"`
}

func policy(t testing.TB) string {
	source, err := os.ReadFile("policies/opa/policy.rego")
	if err != nil {
		t.Fatal(err)
	}
	return string(source)
}

// opaNative is the policy interpreted by the library.
func opaNative(t testing.TB) func(message) bool {
	query, err := rego.New(rego.Query("data.sluice.allow"), rego.Module("policy.rego", policy(t))).PrepareForEval(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	return func(m message) bool {
		results, err := query.Eval(context.Background(), rego.EvalInput(map[string]any{"user": "ann", "room": "chat:1", "content": m.text}))
		if err != nil || len(results) != 1 {
			t.Fatal(results, err)
		}
		return results[0].Expressions[0].Value == true
	}
}

// opaWasm is the policy compiled to wasm and run, unmetered, on the runtime that
// a node runs its filters on, by the one call that OPA's ABI 1.2 has for it:
// https://www.openpolicyagent.org/docs/wasm
func opaWasm(t testing.TB) func(message) bool {
	ctx := context.Background()
	runtime := wazero.NewRuntime(ctx)
	t.Cleanup(func() { runtime.Close(ctx) })
	env := opaEnvironment(t, runtime)
	compiled, err := runtime.CompileModule(ctx, opaCompile(t))
	if err != nil {
		t.Fatal(err)
	}
	resolve := func(string) api.Module { return env }
	guest, err := runtime.InstantiateModule(experimental.WithImportResolver(ctx, resolve), compiled, wazero.NewModuleConfig().WithName("policy"))
	if err != nil {
		t.Fatal(err)
	}
	call := func(name string, args ...uint64) uint64 {
		results, err := guest.ExportedFunction(name).Call(ctx, args...)
		if err != nil {
			t.Fatal(name, err)
		}
		return results[0]
	}
	memory := env.Memory()
	empty := call("opa_malloc", 2)
	memory.Write(uint32(empty), []byte("{}"))
	data := call("opa_json_parse", empty, 2)
	heap := call("opa_heap_ptr_get")
	evaluate := guest.ExportedFunction("opa_eval")
	return func(m message) bool {
		input, err := json.Marshal(opaInput{"ann", "chat:1", m.json})
		if err != nil {
			t.Fatal(err)
		}
		for !memory.Write(uint32(heap), input) {
			if _, ok := memory.Grow(16); !ok {
				t.Fatal("no memory")
			}
		}
		stack := [7]uint64{0, 0, data, heap, uint64(len(input)), heap + uint64(len(input)), 0}
		if err := evaluate.CallWithStack(ctx, stack[:]); err != nil {
			t.Fatal(err)
		}
		answer, ok := memory.Read(uint32(stack[0]), 64)
		if !ok {
			t.Fatal("the answer lies outside the memory")
		}
		return bytes.HasPrefix(answer, []byte(`[{"result":true}]`))
	}
}

func opaCompile(t testing.TB) []byte {
	dir := t.TempDir()
	if err := os.WriteFile(dir+"/policy.rego", []byte(policy(t)), 0o600); err != nil {
		t.Fatal(err)
	}
	c := compile.New().WithTarget(compile.TargetWasm).WithEntrypoints("sluice/allow").WithPaths(dir)
	if err := c.Build(context.Background()); err != nil {
		t.Fatal(err)
	}
	return c.Bundle().WasmModules[0].Raw
}

// opaEnvironment is the module "env" that policies import: a memory, and
// functions that this policy never calls. A host module cannot export a memory,
// so it is a module of its own.
func opaEnvironment(t testing.TB, runtime wazero.Runtime) api.Module {
	source, err := os.ReadFile("policies/opa/env.wasm")
	if err != nil {
		t.Fatal(err)
	}
	env, err := runtime.InstantiateWithConfig(context.Background(), source, wazero.NewModuleConfig().WithName("env"))
	if err != nil {
		t.Fatal(err)
	}
	return env
}
