package plugins

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"path/filepath"
	"strings"

	"sluice/plugins/keys"
	"sluice/plugins/meter"
	"sluice/plugins/source"
	"sluice/router"
)

const builtinPrefix = "builtin:"

// Build loads a chain: all of it, or nothing. Filters that are in prev with the
// same file, configuration, keys, name and memory limit keep their instances. The
// error joins a *LoadError or more for each filter that cannot be used. Build runs off
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
	h.fetched = nil
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
			errs = append(errs, loadErrors(spec, err)...)
			continue
		}
		c.filters = append(c.filters, f)
	}
	for _, f := range versionsOf(c.filters) {
		if h.recorder != nil {
			f.source = f.sourceOf(f.pool)
		}
		if f.pool.shadow == nil {
			c.hooks |= f.pool.module.hooks
			c.looks = c.looks || f.looker != nil
		}
	}
	if len(errs) > 0 {
		h.fetched = nil
		h.abandon(c.filters)
		prev.applyQuotas()
		return nil, errors.Join(errs...)
	}
	c.applyQuotas()
	c.fetched, h.fetched = h.fetched, nil
	return c, nil
}

// abandon undoes what a failed Build has made: pools that are in no chain.
func (h *Host) abandon(filters []filter) {
	h.releaseLookers(filters)
	dead := h.releasePools(filters)
	for _, p := range dead {
		p.endShadow()
		p.closeSlots()
	}
	h.releaseModules(dead)
}

// loadErrors are the *LoadErrors of one filter: one, or one for each place in its
// configuration that its schema refuses.
func loadErrors(spec Spec, err error) []error {
	var candidate *candidateError
	if errors.As(err, &candidate) {
		all := loadErrors(candidate.spec, candidate.err)
		for _, err := range all {
			if load := new(LoadError); errors.As(err, &load) {
				load.Candidate = true
			}
		}
		return all
	}
	var refused schemaErrors
	if errors.As(err, &refused) {
		return refused.loadErrors(spec)
	}
	return []error{loadError(spec, err)}
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
	default:
		if refused := sourceRefusal(err); refused != nil {
			e.Cause, e.Remedy = refused.Cause, refused.Remedy
		}
	}
	return e
}

// file is where the plugin is, as it may be shown.
func (s Spec) file() string { return source.Show(s.location()) }

func (s Spec) location() string {
	if strings.HasPrefix(s.Plugin, builtinPrefix) || s.Plugin == "" || source.IsRemote(s.Plugin) || filepath.IsAbs(s.Plugin) {
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
	f, err := h.buildVersion(ctx, &s, prev, nil)
	if err == nil && s.Candidate != nil {
		if err = h.addCandidate(ctx, &f, prev); err != nil {
			h.abandon([]filter{f})
		}
	}
	return f, err
}

// buildVersion loads one version of a filter: active is nil, or, of a candidate,
// the version that it is tried out beside.
func (h *Host) buildVersion(ctx context.Context, s *settings, prev *Chain, active *filter) (filter, error) {
	wasm, from, err := h.readPlugin(ctx, &s.Spec)
	if err != nil {
		return filter{}, err
	}
	set, err := h.keySet(s)
	if err != nil {
		return filter{}, err
	}
	key := poolKey{module: moduleKey{sha256.Sum256(wasm), s.pages}, name: s.Name, config: string(s.Config)}
	known := prev.keysOf(s.Name)
	if active != nil {
		known = active.pool.keys
		if active.Candidate.Role == RoleShadow {
			key.beside = besideKey(active.pool)
		}
	}
	p := h.share(prev, key, set, active)
	shared := p != nil
	if shared {
		closeKeys(set) // it was never started
		if err := s.suits(h, p.module); err != nil {
			h.abandon([]filter{{pool: p}})
			return filter{}, err
		}
	} else if p, err = h.makePool(ctx, s, wasm, key, set, known); err != nil {
		closeKeys(set)
		return filter{}, err
	}
	f := filter{settings: *s, pool: p, origin: from}
	if key.beside == ([32]byte{}) { // a shadow is told what the active version's lookup found
		f.looker = h.takeLooker(s, prev, active)
	}
	if !shared {
		h.warn(s, p.module)
		if p.module.fixtures && !strings.HasPrefix(s.Plugin, builtinPrefix) {
			f.unproved = wasm
		}
	}
	return f, nil
}

// makePool loads the module, starts instances of it, and fetches keys, in this
// order: what needs the network comes last.
func (h *Host) makePool(ctx context.Context, s *settings, wasm []byte, key poolKey, set, known *keys.Set) (*pool, error) {
	m, err := h.load(key.module, wasm)
	if err != nil {
		return nil, err
	}
	if err := s.suits(h, m); err != nil {
		h.releaseModule(m)
		return nil, err
	}
	if m.config != nil {
		if err := m.config.check(s.Config); err != nil {
			h.releaseModule(m)
			return nil, err
		}
	}
	p, fail := newPool(h, m, key, set, s.Quota)
	if fail != nil {
		h.releaseModule(m)
		return nil, startRefusal(fail)
	}
	h.adopt(p)
	if err := p.startKeys(ctx, known); err != nil {
		h.abandon([]filter{{pool: p}})
		return nil, err
	}
	return p, nil
}

// suits completes the settings, and refuses those that do not go with what the
// plugin is.
func (s *settings) suits(h *Host, m *module) error {
	if err := s.complete(m); err != nil {
		return err
	}
	if s.failOpen && m.hooks.has(router.HookConnect) {
		return refuse("set on_failure: deny: if the filter failed, anyone would be let in",
			"on_failure: continue does not go with a filter that has on_connect")
	}
	if err := s.planLookup(h, m); err != nil {
		return err
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
