//go:build !unix

package bench

func raiseFileLimit(uint64) (limit uint64, known bool) { return 0, false }

func ownCPU() float64 { return 0 }
