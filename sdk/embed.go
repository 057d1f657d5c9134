// Package sdk holds the sources of the SDKs and of their example hello, from
// which `sluice plugin new` makes projects. What else is in the folders (tests,
// other examples, what builds leave) is not in it.
package sdk

import "embed"

// FS has <language>/…, as this folder has.
//
//go:embed c/*.h c/*.hpp c/examples/hello/*.c c/examples/hello/*.yaml c/examples/hello/*.json c/examples/hello/tests
//go:embed go/*.go go/config/*.go go/examples/hello/*.go go/examples/hello/*.yaml go/examples/hello/*.json go/examples/hello/tests
//go:embed rust/Cargo.toml rust/src rust/examples/hello/Cargo.toml rust/examples/hello/*.yaml rust/examples/hello/*.json rust/examples/hello/src rust/examples/hello/tests
//go:embed assemblyscript/assembly assemblyscript/*.mjs assemblyscript/examples/hello/*.ts assemblyscript/examples/hello/*.mjs
//go:embed assemblyscript/examples/hello/*.yaml assemblyscript/examples/hello/*.json assemblyscript/examples/hello/tests
//go:embed zig/*.zig zig/examples/hello/*.zig zig/examples/hello/*.yaml zig/examples/hello/*.json zig/examples/hello/tests
//go:embed wat/examples/hello/*.wat wat/examples/hello/*.yaml wat/examples/hello/*.json wat/examples/hello/tests
var FS embed.FS
