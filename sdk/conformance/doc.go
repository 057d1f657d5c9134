// Package conformance holds the SDKs, their examples and ABI.md to the plugin
// ABI: its tests run what they build through the real host. It has no code of
// its own.
package conformance
