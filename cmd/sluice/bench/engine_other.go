//go:build !linux

package bench

func newEngine(r *run) (engine, error) { return newPlainEngine(r), nil }
