package plugins

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"sluice/plugins/keys"
	"sluice/plugins/meter"
	"sluice/router"
	"sluice/router/wire"
)

const builtinPrefix = "builtin:"

// Build loads a chain: all of it, or nothing. Filters that are in prev with the
// same file, configuration, keys, name and memory limit keep their instances. The
// error joins a *LoadError for each filter that cannot be used. Build runs off
// the path of events; it is safe for concurrent use.
func (h *Host) Build(ctx context.Context, specs []Spec, prev *Chain) (*Chain, error) {
	h.building.Lock()
	defer h.building.Unlock()
	h.mu.Lock()
	closed := h.closed
	h.mu.Unlock()
	if closed {
		return nil, errors.New("plugins: the host is closed")
	}
	c := &Chain{host: h, filters: make([]filter, 0, len(specs))}
	names := make(map[string]bool)
	var errs []error
	for _, spec := range specs {
		if err := ctx.Err(); err != nil {
			errs = append(errs, err)
			break
		}
		f, err := h.buildFilter(ctx, spec, names, prev)
		if err != nil {
			errs = append(errs, loadError(spec, err))
			continue
		}
		c.filters = append(c.filters, f)
		c.hooks |= f.pool.module.hooks
	}
	if len(errs) > 0 {
		h.abandon(c.filters)
		return nil, errors.Join(errs...)
	}
	return c, nil
}

// abandon undoes what a failed Build has made: pools that are in no chain.
func (h *Host) abandon(filters []filter) {
	dead := h.releasePools(filters)
	for _, p := range dead {
		p.closeSlots()
	}
	h.releaseModules(dead)
}

// loadError says which filter an error is about.
func loadError(spec Spec, err error) *LoadError {
	e := &LoadError{Filter: spec.Name, File: spec.file(), Cause: err.Error()}
	var own *refusal
	var metered *meter.Refusal
	switch {
	case errors.As(err, &own):
		e.Cause, e.Remedy = own.cause, own.remedy
	case errors.As(err, &metered):
		e.Cause, e.Remedy = metered.Cause, metered.Remedy
	}
	return e
}

func (s Spec) file() string {
	if strings.HasPrefix(s.Plugin, builtinPrefix) || s.Plugin == "" || filepath.IsAbs(s.Plugin) {
		return s.Plugin
	}
	return filepath.Join(s.Dir, s.Plugin)
}

func (h *Host) buildFilter(ctx context.Context, spec Spec, names map[string]bool, prev *Chain) (filter, error) {
	s, err := spec.check()
	if err != nil {
		return filter{}, err
	}
	if names[s.Name] {
		return filter{}, refuse("give each filter its own name", "another filter has the same name")
	}
	names[s.Name] = true
	wasm, err := h.readPlugin(&s.Spec)
	if err != nil {
		return filter{}, err
	}
	set, err := h.keySet(&s)
	if err != nil {
		return filter{}, err
	}
	key := poolKey{moduleKey{sha256.Sum256(wasm), s.pages}, s.Name, string(s.Config)}
	if p := h.share(prev, key, set); p != nil {
		closeKeys(set) // it was never started
		if err := s.suits(p.module); err != nil {
			h.abandon([]filter{{pool: p}})
			return filter{}, err
		}
		return filter{s, p}, nil
	}
	p, err := h.makePool(ctx, &s, wasm, key, set, prev)
	if err != nil {
		closeKeys(set)
		return filter{}, err
	}
	h.warn(&s, p.module)
	return filter{s, p}, nil
}

// makePool loads the module, starts instances of it, and fetches keys, in this
// order: what needs the network comes last.
func (h *Host) makePool(ctx context.Context, s *settings, wasm []byte, key poolKey, set *keys.Set, prev *Chain) (*pool, error) {
	m, err := h.load(key.module, wasm)
	if err != nil {
		return nil, err
	}
	if err := s.suits(m); err != nil {
		h.releaseModule(m)
		return nil, err
	}
	p, fail := newPool(h, m, key, set)
	if fail != nil {
		h.releaseModule(m)
		return nil, startRefusal(fail)
	}
	h.adopt(p)
	if err := p.startKeys(ctx, prev); err != nil {
		h.abandon([]filter{{pool: p}})
		return nil, err
	}
	return p, nil
}

// suits completes the settings, and refuses those that do not go with what the
// plugin is.
func (s *settings) suits(m *module) error {
	if err := s.complete(m); err != nil {
		return err
	}
	if s.failOpen && m.hooks.has(router.HookConnect) {
		return refuse("set on_failure: deny: if the filter failed, anyone would be let in",
			"on_failure: continue does not go with a filter that has on_connect")
	}
	return m.checkGrants(s.caps)
}

// startRefusal tells why no instance could be made.
func startRefusal(f *failure) error {
	cause, remedy := f.Error(), ""
	switch f.cause {
	case CauseTimeout:
		cause = fmt.Sprintf("it did not get ready within %s (%s)", StartTime, f.detail)
		remedy = "do less in the start function, _initialize and on_configure"
	case CauseTooBig:
		remedy = "let sluice_buffer return an 8-aligned address with as many bytes as it is asked for"
	case CausePointer:
		remedy = "let sluice_buffer return an 8-aligned address inside the memory"
	case CauseGuest:
		remedy = "correct the filter's config"
	default:
		if !strings.Contains(cause, f.cause.String()) {
			cause = f.cause.String() + " in " + cause
		}
	}
	if f.tail != "" {
		cause += "; it wrote: " + strings.TrimSpace(strings.ToValidUTF8(f.tail, "\uFFFD"))
	}
	return &refusal{cause, remedy}
}

// warn says what a newly loaded plugin will not get.
func (h *Host) warn(s *settings, m *module) {
	for _, name := range m.stubs {
		h.log.Warn("a filter imports what this version does not offer: calls answer \"unsupported\"",
			"filter", s.Name, "file", s.file(), "import", name)
	}
	for _, name := range m.oddHooks {
		h.log.Warn("a filter exports a hook that this version does not know", "filter", s.Name, "file", s.file(), "export", name)
	}
}

// load returns the compiled module, with a reference for the caller.
func (h *Host) load(key moduleKey, wasm []byte) (*module, error) {
	h.mu.Lock()
	m := h.modules[key]
	if m != nil {
		m.refs++
	}
	h.mu.Unlock()
	if m != nil {
		return m, nil
	}
	m, err := newModule(h.compiler, wasm, key)
	if err != nil {
		return nil, err
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	m.refs = 1
	h.modules[key] = m
	return m, nil
}

// readPlugin reads a plugin's file, at most MaxModule bytes.
func (h *Host) readPlugin(s *Spec) ([]byte, error) {
	var file fs.File
	var err error
	if name, ok := strings.CutPrefix(s.Plugin, builtinPrefix); ok {
		if file, err = h.openBuiltin(name); err != nil {
			return nil, err
		}
	} else {
		file, err = os.Open(s.file())
	}
	if errors.Is(err, fs.ErrNotExist) {
		return nil, refuse("check the path: it is relative to the configuration file", "the file does not exist")
	}
	if err != nil {
		return nil, refuse("", "the file cannot be read: %v", err)
	}
	defer file.Close()
	info, err := file.Stat()
	if err == nil && !info.Mode().IsRegular() {
		return nil, refuse("name a .wasm file", "it is not a regular file")
	}
	wasm, err := io.ReadAll(io.LimitReader(file, MaxModule+1))
	if err != nil {
		return nil, refuse("", "the file cannot be read: %v", err)
	}
	return wasm, nil
}

func (h *Host) openBuiltin(name string) (fs.File, error) {
	if h.builtins == nil {
		return nil, refuse("name a .wasm file", "there are no built-in filters here")
	}
	if wire.CheckName([]byte(name)) == "" && fs.ValidPath(name) && !strings.Contains(name, "/") {
		if file, err := h.builtins.Open(name + "/" + name + ".wasm"); err == nil {
			return file, nil
		}
	}
	var have []string
	entries, _ := fs.ReadDir(h.builtins, ".")
	for _, e := range entries {
		if _, err := fs.Stat(h.builtins, e.Name()+"/"+e.Name()+".wasm"); err == nil {
			have = append(have, e.Name())
		}
	}
	return nil, refuse("there are: "+strings.Join(have, ", "), "there is no built-in filter %q", name)
}
