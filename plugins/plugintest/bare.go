package plugintest

import (
	"io/fs"
	"testing/fstest"

	"sluice/plugins"
)

// WithoutSchema is a bundled filter whose module carries no schema: what its own
// on_configure says of a configuration can then be tested, since nothing refuses
// it before. builtins is what HostOptions.Builtins takes.
func WithoutSchema(builtins fs.FS, name string) (fs.FS, error) {
	path := name + "/" + name + ".wasm"
	wasm, err := fs.ReadFile(builtins, path)
	if err != nil {
		return nil, err
	}
	bare, err := plugins.ReplaceSections(wasm, plugins.CustomSection{Name: plugins.SectionSchema})
	if err != nil {
		return nil, err
	}
	return fstest.MapFS{path: &fstest.MapFile{Data: bare}}, nil
}
