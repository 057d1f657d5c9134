// Package conformance holds the SDKs, their examples and ABI.md to the plugin
// ABI: its tests run what they build through the real host, against the vectors
// in vectors/ (see README.md). It has no code of its own.
package conformance
