//go:build !linux

package bench

import (
	"errors"
	"net/netip"
)

func processCPU(int) (float64, error) {
	return 0, errors.New("processes can be measured on Linux only")
}

func processRSS(int) int64 { return 0 }

func machineCPU() (float64, bool) { return 0, false }

func listeners(netip.AddrPort) []int { return nil }
