package plugins

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"log/slog"
	"slices"
	"time"

	"sluice/plugins/meter"
)

// Inspection is what can be said of a module without running it. What could not
// be found out, because the module is refused, has its zero value.
type Inspection struct {
	Size   int    `json:"size"`   // bytes
	Digest string `json:"digest"` // SHA-256 of the file, in hex

	Refused *Refusal `json:"refused,omitempty"` // why it would not load; nil: it loads

	ABI          int        `json:"abi,omitempty"`        // the version that it is written for
	Hooks        []string   `json:"hooks,omitempty"`      // exported: on_configure, on_message, …
	StateVersion bool       `json:"state_version"`        // it versions what it keeps about connections
	Initialises  bool       `json:"initialises"`          // it has an _initialize, run once for each instance
	Capabilities []string   `json:"capabilities"`         // that its entry has to grant
	Imports      []Import   `json:"imports,omitempty"`    // all functions that it imports
	OddHooks     []string   `json:"odd_hooks,omitempty"`  // exports that look like hooks of a later version: never called
	Toolchain    []string   `json:"toolchain,omitempty"`  // what made it, as far as it says so
	Memory       *Memory    `json:"memory,omitempty"`     // nil: it has none
	Sections     []Section  `json:"sections,omitempty"`   // custom sections, in their order
	Properties   []Property `json:"properties,omitempty"` // of its configuration, as its schema has them

	Compile time.Duration `json:"compile_ns"` // checking, metering and compiling it, once
}

// Refusal is why a module would not load, and what to do about it.
type Refusal struct {
	Cause  string `json:"cause"`
	Remedy string `json:"remedy,omitempty"`
}

// Import is a function that a module imports.
type Import struct {
	Module     string `json:"module"`
	Name       string `json:"name"`
	Capability string `json:"capability,omitempty"` // that grants it; "": it needs none
	Off        bool   `json:"off,omitempty"`        // this version does not have it: calls answer "unsupported"
}

// Memory is a module's linear memory, in bytes.
type Memory struct {
	Initial   uint64  `json:"initial"`
	Declared  *uint64 `json:"declared,omitempty"` // the maximum that it declares; nil: none
	Effective uint64  `json:"effective"`          // the maximum that holds with the default limits.memory
}

// Section is a custom section.
type Section struct {
	Name string `json:"name"`
	Size int    `json:"size"` // bytes
}

// Property is one key of a filter's configuration.
type Property struct {
	Name        string          `json:"name"`
	Type        string          `json:"type"` // in words
	Required    bool            `json:"required"`
	Default     json.RawMessage `json:"default,omitempty"`
	Description string          `json:"description,omitempty"`
}

// Inspect looks at a module as Build would, with the default limits and without
// running any of it.
func Inspect(wasm []byte) *Inspection {
	digest := sha256.Sum256(wasm)
	in := &Inspection{Size: len(wasm), Digest: hex.EncodeToString(digest[:]), Capabilities: []string{}}
	layout := readLayout(wasm)
	in.Sections, in.Toolchain = layout.custom, toolchain(layout)

	c, err := newCompiler("", slog.New(slog.DiscardHandler))
	if err != nil {
		in.Refused = refusalOf(err)
		return in
	}
	defer func() { _ = c.close(context.Background()) }()
	begin := time.Now()
	m, err := newModule(c, wasm, moduleKey{digest, DefaultMemory / pageSize})
	in.Compile = time.Since(begin)
	if err != nil {
		in.Refused = refusalOf(err)
		in.describeMeagerly(wasm)
		return in
	}
	defer m.close()
	in.describe(m, layout)
	return in
}

func refusalOf(err error) *Refusal {
	e := loadError(Spec{}, err)
	return &Refusal{e.Cause, e.Remedy}
}

// describeMeagerly says what a refused module exports and imports, if the meter
// can read it: that may be what is wrong.
func (in *Inspection) describeMeagerly(wasm []byte) {
	metered, err := meter.Rewrite(wasm, meter.Options{MaxMemoryPages: DefaultMemory / pageSize, MaxModuleSize: MaxModule, StackBytes: stackBytes})
	if err != nil {
		return
	}
	in.describeImports(metered.Imports)
	for _, e := range metered.Exports {
		if e.Kind == meter.KindFunc && slices.Contains(hookExports[:], e.Name) {
			in.Hooks = append(in.Hooks, e.Name)
		}
	}
}

func (in *Inspection) describe(m *module, layout layout) {
	in.ABI = 1
	for h, name := range hookExports {
		if name != "" && m.hooks&(1<<h) != 0 {
			in.Hooks = append(in.Hooks, name)
		}
	}
	in.StateVersion, in.Initialises, in.OddHooks = m.hasState, m.hasInit, m.oddHooks
	in.describeImports(m.imports)
	in.Memory = &Memory{Initial: layout.memoryMin * pageSize, Effective: uint64(m.maxPages) * pageSize}
	if layout.memoryMax != nil {
		declared := *layout.memoryMax * pageSize
		in.Memory.Declared = &declared
	}
	in.Properties = m.config.properties(m.schema)
}

func (in *Inspection) describeImports(imports []meter.Import) {
	granting := make(map[string]bool)
	for _, im := range imports {
		one := Import{Module: im.Module, Name: im.Name}
		fn, ok := known(im.Module, im.Name)
		one.Off = !ok
		for _, c := range capabilityWords {
			if ok && fn.grant&c.cap != 0 {
				one.Capability = c.word
				granting[c.word] = true
			}
		}
		in.Imports = append(in.Imports, one)
	}
	for _, c := range capabilityWords {
		if granting[c.word] {
			in.Capabilities = append(in.Capabilities, c.word)
		}
	}
}

// LoadsAs returns the error that Build would give for the module, nil if it
// loads.
func (in *Inspection) LoadsAs(file string) error {
	if in.Refused == nil {
		return nil
	}
	text := in.Refused.Cause
	if in.Refused.Remedy != "" {
		text += "; " + in.Refused.Remedy
	}
	return errors.New(file + ": " + text)
}
