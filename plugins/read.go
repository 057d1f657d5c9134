package plugins

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"strings"

	"sluice/plugins/source"
	"sluice/router/wire"
)

// origin is where a filter's module came from.
type origin struct {
	from     string // builtin, or as source.Module has it
	signedBy string // ID of the trusted key that signed it; or ""
}

const fromBuiltin = "builtin"

// FromLastGood is Info.From of a filter whose source was away when it was loaded.
const FromLastGood = source.FromLastGood

// readPlugin reads a plugin, at most one byte more than MaxModule. Bundled
// filters are part of the program, and need neither a pin nor a signature. It is
// called by Build alone.
func (h *Host) readPlugin(ctx context.Context, s *Spec) ([]byte, origin, error) {
	if name, ok := strings.CutPrefix(s.Plugin, builtinPrefix); ok {
		wasm, err := h.readBuiltin(name)
		if err != nil {
			return nil, origin{}, err
		}
		if refused := source.CheckPin(wasm, s.SHA256); refused != nil {
			return nil, origin{}, refused
		}
		return wasm, origin{from: fromBuiltin}, nil
	}
	m, err := h.sources.Read(ctx, source.Request{Reference: s.location(), SHA256: s.SHA256, Trust: s.Trust})
	if err != nil {
		return nil, origin{}, err
	}
	if m.From == source.Fetched {
		h.fetched = append(h.fetched, m)
	}
	return m.Wasm, origin{m.From, m.SignedBy}, nil
}

func (h *Host) readBuiltin(name string) ([]byte, error) {
	file, err := h.openBuiltin(name)
	if err != nil {
		return nil, err
	}
	defer file.Close()
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

// KeepSources writes the modules that were fetched for a new chain to disk, as the last
// good ones of their sources: they are used when those are away. It is called
// once the chain has proven itself, before it is in force.
func (c *Chain) KeepSources() {
	for _, m := range c.fetched {
		c.host.sources.Keep(m)
	}
	c.fetched = nil
}

// Sources counts what came of reading plugins, over all chains of the host.
func (c *Chain) Sources() source.Stats { return c.host.sources.Stats() }

// sourceRefusal is why there is no plugin, if err says so.
func sourceRefusal(err error) *source.Refusal {
	var refused *source.Refusal
	if errors.As(err, &refused) {
		return refused
	}
	return nil
}
