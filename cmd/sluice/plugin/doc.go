// Package plugin is `sluice plugin`: the commands for those who write filters.
// Each works on a project: a folder with a plugin.yaml (project.go).
//
//	new.go         a project, from an example of the SDK that is in the binary
//	build.go       its sources into a .wasm: toolchains.go, plugins.ReplaceSections
//	test.go        its fixtures against the .wasm (plugins/plugintest)
//	bench.go       what its events cost
//	fuzz.go        events and configurations that nobody would write
//	sign.go        its signature, and the key that makes it
//	verify.go      whether it is signed, as a node finds out
//	replay.go      two modules against what a node captured (plugins/capture)
//	inspect.go     what a .wasm is, and why it would not load
//	dev.go         build, test and reload, whenever a source changes
//
// toolchains.go is the only place that knows compilers: their names, versions,
// how they are called and how they are installed.
//
// Goroutines: dev alone has one, fsnotify's, which ends with its watcher.
package plugin
