package plugins

import "testing"

// BenchmarkCall is one filter that does nothing: what the host itself costs.
func BenchmarkCall(b *testing.B) {
	benchJudge(b, newTestHost(b, HostOptions{}).chain(nil, guest("noop")), 128)
}
