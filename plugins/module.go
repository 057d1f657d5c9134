package plugins

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/tetratelabs/wazero"
	"github.com/tetratelabs/wazero/api"

	"sluice/plugins/meter"
	"sluice/router"
)

// The exports of the plugin ABI.
const (
	markerPrefix = "sluice_abi_v"
	marker       = markerPrefix + "1"
	exportBuffer = "sluice_buffer"
	exportState  = "sluice_state_version"
	exportInit   = "_initialize"
	exportStart  = "_start"
)

var hookExports = [...]string{
	router.HookConfigure:  "on_configure",
	router.HookConnect:    "on_connect",
	router.HookJoin:       "on_join",
	router.HookMessage:    "on_message",
	router.HookLeave:      "on_leave",
	router.HookDisconnect: "on_disconnect",
}

// hookSet is a set of hooks, as bits.
type hookSet uint8

func (s hookSet) has(h router.Hook) bool { return h < 8 && s&(1<<h) != 0 }

// words names the hooks, without on_configure.
func (s hookSet) words() []string {
	var out []string
	for h := router.HookConnect; h <= router.HookDisconnect; h++ {
		if s.has(h) {
			out = append(out, strings.TrimPrefix(hookExports[h], "on_"))
		}
	}
	return out
}

// moduleKey identifies compiled code: what was read, and the memory limit that
// was written into it.
type moduleKey struct {
	digest [32]byte
	pages  uint32
}

// module is one plugin, checked, metered and compiled. Pools share it.
type module struct {
	// Static after construction.
	key          moduleKey
	hooks        hookSet
	maxPages     uint32
	imports      []meter.Import
	stubs        []string // imports that this version does not offer
	oddHooks     []string // exports that look like hooks, but of no known one
	hasInit      bool
	hasState     bool
	schema       []byte        // the custom section sluice.schema, or nil
	config       *configSchema // the same, compiled; or nil
	meta         []byte        // the custom section sluice.meta, or nil
	fixtures     bool          // it has a custom section sluice.fixtures
	runtime      wazero.Runtime
	compiled     wazero.CompiledModule
	linked       map[string]api.Module // host modules, by the name they are imported by
	instantiable wazero.ModuleConfig

	// Guarded by Host.mu.
	refs int
}

// refusal is why a module or its settings cannot be used.
type refusal struct{ cause, remedy string }

func (r *refusal) Error() string { return r.cause }

func refuse(remedy, format string, args ...any) *refusal {
	return &refusal{fmt.Sprintf(format, args...), remedy}
}

// newModule checks a module, meters it and compiles it.
func newModule(c *compiler, wasm []byte, key moduleKey) (*module, error) {
	metered, err := meter.Rewrite(wasm, meter.Options{
		MaxMemoryPages: key.pages, MaxModuleSize: MaxModule, StackBytes: stackBytes,
	})
	if err != nil {
		return nil, err
	}
	m := &module{key: key, maxPages: metered.MemoryMax, imports: metered.Imports, schema: metered.Custom[SectionSchema], meta: metered.Custom[SectionMeta]}
	_, m.fixtures = metered.Custom[SectionFixtures]
	if err := m.checkExports(metered); err != nil {
		return nil, err
	}
	if err := m.checkImports(); err != nil {
		return nil, err
	}
	if _, ok := metered.Custom[SectionSchema]; ok {
		if m.config, err = newConfigSchema(m.schema); err != nil {
			return nil, err
		}
	}
	m.runtime, m.compiled, err = c.compile(metered.Wasm)
	if err != nil {
		return nil, refuse("it is not valid WebAssembly 2.0 (core, SIMD): rebuild it", "%v", err)
	}
	if err := m.link(c.recorded); err != nil {
		m.close()
		return nil, err
	}
	// Start functions are run by the pool, so that they are bounded in time.
	m.instantiable = wazero.NewModuleConfig().WithName("").WithStartFunctions()
	return m, nil
}

func (m *module) checkExports(metered *meter.Module) error {
	funcs := make(map[string]meter.Export)
	for _, e := range metered.Exports {
		if e.Kind == meter.KindFunc {
			funcs[e.Name] = e
		}
	}
	if _, ok := funcs[exportStart]; ok {
		if _, ok := funcs[exportInit]; !ok {
			return refuse("build it as a library: -mexec-model=reactor for C, -buildmode=c-shared for Go, crate-type cdylib for Rust",
				"it is a program (it exports _start), not a library")
		}
	}
	if err := checkMarker(funcs); err != nil {
		return err
	}
	if metered.MemoryMax == 0 {
		return refuse("give it a memory: events are passed in it", "it has no memory")
	}
	for _, e := range []struct {
		name            string
		required        bool
		params, results []byte
		present         *bool
	}{
		{exportBuffer, true, []byte{i32}, []byte{i32}, nil},
		{exportState, false, nil, []byte{i32}, &m.hasState},
		{exportInit, false, nil, nil, &m.hasInit},
	} {
		f, ok := funcs[e.name]
		if !ok && e.required {
			return refuse("export "+e.name+": "+signature(e.params, e.results), "it does not export %s", e.name)
		}
		if ok {
			if err := checkSignature(f, e.params, e.results); err != nil {
				return err
			}
		}
		if e.present != nil {
			*e.present = ok
		}
	}
	return m.checkHooks(metered.Exports)
}

func checkMarker(funcs map[string]meter.Export) error {
	if f, ok := funcs[marker]; ok {
		return checkSignature(f, nil, nil)
	}
	for name := range funcs {
		if strings.HasPrefix(name, markerPrefix) {
			return refuse("build it for version 1, or run it on a newer Sluice",
				"it is written for version %s of the plugin ABI, and this Sluice speaks version 1", strings.TrimPrefix(name, markerPrefix))
		}
	}
	return refuse("if it is meant to be one, export "+marker+": () -> ()", "it is not a Sluice filter: it does not export %s", marker)
}

// checkHooks finds the hooks. A name that is almost a hook's is an error, for
// else a typing mistake would silently disable a policy.
func (m *module) checkHooks(exports []meter.Export) error {
	for _, e := range exports {
		if h := slices.Index(hookExports[:], e.Name); h > 0 {
			if e.Kind != meter.KindFunc {
				return refuse("export it as a function: (i32) -> i32", "the export %s is not a function", e.Name)
			}
			if err := checkSignature(e, []byte{i32}, []byte{i32}); err != nil {
				return err
			}
			m.hooks |= 1 << h
			continue
		}
		if e.Kind != meter.KindFunc {
			continue
		}
		if near := nearestHook(e.Name); near != "" {
			return refuse("did you mean "+near+"?", "it exports %s, which is no hook", e.Name)
		}
		if strings.HasPrefix(e.Name, "on_") {
			m.oddHooks = append(m.oddHooks, e.Name)
		}
	}
	if m.hooks&^(1<<router.HookConfigure) == 0 {
		return refuse("export at least one of on_connect, on_join, on_message, on_leave, on_disconnect: (i32) -> i32",
			"it has no hook, so it would never be asked")
	}
	return nil
}

// nearestHook is the hook that a name was probably meant to be, or "".
func nearestHook(name string) string {
	plain := strings.ToLower(strings.NewReplacer("_", "", "-", "").Replace(name))
	if !strings.HasPrefix(plain, "on") {
		return ""
	}
	for _, h := range hookExports[router.HookConfigure:] {
		if editDistance(plain, strings.ReplaceAll(h, "_", ""), 2) <= 2 {
			return h
		}
	}
	return ""
}

// editDistance counts the insertions, deletions and replacements between two
// short names; beyond limit it may return any larger number.
func editDistance(a, b string, limit int) int {
	if len(a) > len(b)+limit || len(b) > len(a)+limit {
		return limit + 1
	}
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			cost := 1
			if a[i] == b[j] {
				cost = 0
			}
			diagonal, row[j+1] = row[j+1], min(row[j+1]+1, row[j]+1, diagonal+cost)
		}
	}
	return row[len(b)]
}

func checkSignature(f meter.Export, params, results []byte) error {
	if slices.Equal(f.Params, params) && slices.Equal(f.Results, results) {
		return nil
	}
	return refuse("it must be "+signature(params, results), "the export %s has the signature %s", f.Name, signature(f.Params, f.Results))
}

func signature(params, results []byte) string {
	names := func(types []byte) string {
		var out []string
		for _, t := range types {
			out = append(out, api.ValueTypeName(t))
		}
		return strings.Join(out, ", ")
	}
	if len(results) == 1 {
		return "(" + names(params) + ") -> " + names(results)
	}
	return "(" + names(params) + ") -> (" + names(results) + ")"
}

// checkImports refuses what the host can never satisfy and notes what it will
// answer with stubs. Which capabilities are granted is the settings' matter.
func (m *module) checkImports() error {
	for _, im := range m.imports {
		name := im.Module + "." + im.Name
		if im.Kind != meter.KindFunc {
			return refuse("define it in the module", "it imports %s, which is not a function", name)
		}
		fn, ok := known(im.Module, im.Name)
		switch {
		case ok && !(slices.Equal(im.Params, fn.params) && slices.Equal(im.Results, fn.results)):
			return refuse("it must be "+signature(fn.params, fn.results), "it imports %s with the signature %s", name, signature(im.Params, im.Results))
		case ok:
		case im.Module == moduleSluice || im.Module == moduleWASI:
			m.stubs = append(m.stubs, name)
		case im.Module == moduleEnv:
			return refuse("define it, or link the library that does", "it imports %s, which nothing here defines", name)
		default:
			return refuse("import only from the modules sluice and wasi_snapshot_preview1", "it imports %s, a module that does not exist here", name)
		}
	}
	return nil
}

// checkGrants refuses a host function that the settings do not grant.
func (m *module) checkGrants(granted capability) error {
	var missing []string
	for _, im := range m.imports {
		if fn, ok := known(im.Module, im.Name); ok && fn.grant&^granted != 0 {
			missing = append(missing, im.Name)
		}
	}
	if missing == nil {
		return nil
	}
	slices.Sort(missing)
	cause := "it imports sluice." + strings.Join(missing, ", sluice.") + ", which is not granted"
	if slices.Equal(missing, []string{"verify"}) {
		return refuse("give the filter keys to verify with: keys: [...]", "%s", cause)
	}
	var all []string
	for _, c := range capabilityWords {
		if granted&c.cap != 0 || slices.Contains(missing, c.word) {
			all = append(all, c.word)
		}
	}
	return refuse("to grant it, add to the filter's configuration: capabilities: ["+strings.Join(all, ", ")+"]",
		"%s", cause)
}

// link makes host modules of just the functions that the module imports.
func (m *module) link(recorded bool) error {
	ctx := context.Background()
	builders := make(map[string]wazero.HostModuleBuilder)
	for _, im := range m.imports {
		b := builders[im.Module]
		if b == nil {
			b = m.runtime.NewHostModuleBuilder(im.Module)
			builders[im.Module] = b
		}
		fn, ok := known(im.Module, im.Name)
		if !ok {
			fn = hostFunc{params: im.Params, results: im.Results, call: stub(im.Module, im.Results)}
		}
		if recorded {
			fn = witnessed(im.Module, im.Name, fn)
		}
		b.NewFunctionBuilder().WithGoModuleFunction(hostCall(fn.call, hostCost+fn.cost), fn.params, fn.results).Export(im.Name)
	}
	m.linked = make(map[string]api.Module)
	for name, b := range builders {
		compiled, err := b.Compile(ctx)
		if err != nil {
			return fmt.Errorf("linking %s: %w", name, err)
		}
		mod, err := m.runtime.InstantiateModule(ctx, compiled, wazero.NewModuleConfig().WithName(""))
		if err != nil {
			return fmt.Errorf("linking %s: %w", name, err)
		}
		m.linked[name] = mod
	}
	return nil
}

// hostCall charges for the way into the host and back, and what it does there.
func hostCall(call func(*instance, api.Module, []uint64), cost int) api.GoModuleFunc {
	return func(ctx context.Context, mod api.Module, stack []uint64) {
		in := ctx.(*instance)
		in.charge(mod, cost)
		call(in, mod, stack)
	}
}

// resolve is wazero's question for the module that an import names.
func (m *module) resolve(name string) api.Module {
	if mod, ok := m.linked[name]; ok {
		return mod
	}
	return nil
}

// version is how the module is shown: the first 12 digits of its digest.
func (m *module) version() string { return fmt.Sprintf("%x", m.key.digest[:6]) }

// close frees the code. No instance may be left.
func (m *module) close() {
	ctx := context.Background()
	for _, mod := range m.linked {
		_ = mod.Close(ctx)
	}
	if m.compiled != nil {
		_ = m.compiled.Close(ctx)
	}
}
