package plugins

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"

	"github.com/tetratelabs/wazero"
	"github.com/tetratelabs/wazero/api"

	"sluice/plugins/meter"
	"sluice/plugins/source"
)

// compiling serialises compilation in the whole process: concurrent
// compilation of one module over a shared cache folder can panic in wazero
// 1.12, and compilers would only compete with the filters for processors.
var compiling sync.Mutex

// compiler turns metered modules into machine code, and keeps it in a folder
// where it can. It holds executable code, so the folder must be nobody else's.
type compiler struct {
	// Static after construction.
	log *slog.Logger
	dir string // the folder; "": there is none

	recorded bool // the host has a recorder

	// Guarded by compiling.
	cached wazero.Runtime // nil: there is no usable folder
	plain  wazero.Runtime // made when it is needed
	cache  wazero.CompilationCache
}

func newCompiler(dir string, log *slog.Logger) (*compiler, error) {
	c := &compiler{log: log, dir: dir}
	if dir == "" {
		return c, nil
	}
	cache, err := openCache(dir)
	if err != nil {
		log.Warn("compiled filters are not kept on disk: each start compiles them anew", "folder", dir, "cause", err)
		c.dir = ""
		return c, nil
	}
	c.cache = cache
	c.cached, err = newRuntime(runtimeConfig().WithCompilationCache(cache))
	return c, err
}

// openCache opens the folder, which it makes if it is not there.
func openCache(dir string) (wazero.CompilationCache, error) {
	cache, err := wazero.NewCompilationCacheWithDir(dir)
	if err != nil {
		return nil, err
	}
	info, err := os.Stat(dir)
	if err == nil && info.Mode().Perm()&0o022 != 0 {
		err = fmt.Errorf("others may write to it (%s): it would hold executable code; chmod 700 it", info.Mode().Perm())
	}
	if err == nil {
		err = source.CheckOwner(info)
	}
	if err != nil {
		_ = cache.Close(context.Background())
		return nil, err
	}
	return cache, nil
}

func runtimeConfig() wazero.RuntimeConfig {
	return wazero.NewRuntimeConfig().WithCoreFeatures(api.CoreFeaturesV2).WithDebugInfoEnabled(false)
}

// newRuntime makes a runtime with the meter's import in it.
func newRuntime(config wazero.RuntimeConfig) (wazero.Runtime, error) {
	ctx := context.Background()
	r := wazero.NewRuntimeWithConfig(ctx, config)
	yield := api.GoModuleFunc(func(ctx context.Context, mod api.Module, _ []uint64) { ctx.(*instance).yield(mod) })
	overflow := api.GoModuleFunc(func(context.Context, api.Module, []uint64) { panic(errStack) })
	_, err := r.NewHostModuleBuilder(meter.ImportModule).
		NewFunctionBuilder().WithGoModuleFunction(yield, nil, nil).Export(meter.ImportYield).
		NewFunctionBuilder().WithGoModuleFunction(overflow, nil, nil).Export(meter.ImportOverflow).
		Instantiate(ctx)
	if err != nil {
		_ = r.Close(ctx)
		return nil, fmt.Errorf("plugins: %w", err)
	}
	return r, nil
}

// compile compiles in the runtime with the folder, and without it where the
// folder fails (a full disk): then the error may be the folder's, and only the
// second one is certainly the module's. A damaged entry is replaced.
func (c *compiler) compile(wasm []byte) (r wazero.Runtime, compiled wazero.CompiledModule, err error) {
	compiling.Lock()
	defer compiling.Unlock()
	if c.cached != nil {
		compiled, err = compileIn(c.cached, wasm)
		if err == nil {
			return c.cached, compiled, nil
		}
		if damaged(err) {
			c.log.Warn("a compiled filter on disk is damaged: it is compiled anew, and replaced", "folder", c.dir, "cause", err)
			if err = c.replaceEntry(wasm); err == nil {
				compiled, err = compileIn(c.cached, wasm)
			}
			if err == nil {
				return c.cached, compiled, nil
			}
		}
	}
	cacheErr := err
	if c.plain == nil {
		if c.plain, err = newRuntime(runtimeConfig()); err != nil {
			return nil, nil, err
		}
	}
	if compiled, err = compileIn(c.plain, wasm); err != nil {
		return nil, nil, err
	}
	if cacheErr != nil {
		c.log.Warn("a compiled filter could not be kept on disk", "cause", cacheErr)
	}
	return c.plain, compiled, nil
}

// damaged reports whether an error of the compiler is about reading an entry
// of the folder. wazero has no type for it, and panics on some entries.
func damaged(err error) bool {
	return strings.Contains(err.Error(), "compilationcache: ") || errors.Is(err, errCompilerPanic)
}

// replaceEntry compiles into an empty folder, and moves what is then in it to
// where the damaged entry is, whose name only wazero knows.
func (c *compiler) replaceEntry(wasm []byte) (err error) {
	tmp, err := os.MkdirTemp(c.dir, "replace-*")
	if err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(tmp) }()
	cache, err := wazero.NewCompilationCacheWithDir(tmp)
	if err != nil {
		return err
	}
	ctx := context.Background()
	defer func() { _ = cache.Close(ctx) }()
	r, err := newRuntime(runtimeConfig().WithCompilationCache(cache))
	if err != nil {
		return err
	}
	defer func() { _ = r.Close(ctx) }()
	if _, err := compileIn(r, wasm); err != nil {
		return err
	}
	entries, err := filepath.Glob(filepath.Join(tmp, "*", "*"))
	for _, entry := range entries {
		name, relErr := filepath.Rel(tmp, entry)
		if err = errors.Join(err, relErr); err == nil {
			err = os.Rename(entry, filepath.Join(c.dir, name))
		}
	}
	return err
}

// errCompilerPanic is what compileIn makes of a panic.
var errCompilerPanic = errors.New("the compiler failed")

// compileIn turns a panic of the compiler into an error: a module must not be
// able to end the process.
func compileIn(r wazero.Runtime, wasm []byte) (compiled wazero.CompiledModule, err error) {
	defer func() {
		if p := recover(); p != nil {
			compiled, err = nil, fmt.Errorf("%w: %v", errCompilerPanic, p)
		}
	}()
	return r.CompileModule(context.Background(), wasm)
}

func (c *compiler) close(ctx context.Context) error {
	compiling.Lock()
	defer compiling.Unlock()
	var first error
	keep := func(err error) {
		if first == nil {
			first = err
		}
	}
	if c.cached != nil {
		keep(c.cached.Close(ctx))
		keep(c.cache.Close(ctx))
	}
	if c.plain != nil {
		keep(c.plain.Close(ctx))
	}
	return first
}
