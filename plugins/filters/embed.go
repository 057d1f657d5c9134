// Package filters holds the filters that come with a node, as the wasm modules
// that are committed beside their sources. The command hands FS to the plugin
// host, where builtin:size means size/size.wasm.
package filters

import "embed"

// FS has <name>/<name>.wasm for each bundled filter.
//
//go:embed auth/auth.wasm hook/hook.wasm ratelimit/ratelimit.wasm redact/redact.wasm rooms/rooms.wasm size/size.wasm validate/validate.wasm words/words.wasm
var FS embed.FS
