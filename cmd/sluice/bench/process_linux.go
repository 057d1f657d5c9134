package bench

import (
	"bytes"
	"encoding/hex"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// ticks is how many units of the kernel's processor times a second has: USER_HZ,
// the same on all architectures that Go runs on.
const ticks = 100

// processCPU is the user and system time of a process in seconds.
func processCPU(pid int) (seconds float64, err error) {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return 0, err
	}
	// The command's name, in parentheses, may have blanks.
	fields := strings.Fields(string(b[bytes.LastIndexByte(b, ')')+1:]))
	if len(fields) < 13 {
		return 0, fmt.Errorf("/proc/%d/stat is not understood", pid)
	}
	user, _ := strconv.ParseFloat(fields[11], 64)
	system, _ := strconv.ParseFloat(fields[12], 64)
	return (user + system) / ticks, nil
}

// processRSS is the resident memory of a process in bytes.
func processRSS(pid int) int64 {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/statm", pid))
	if err != nil {
		return 0
	}
	fields := strings.Fields(string(b))
	if len(fields) < 2 {
		return 0
	}
	pages, _ := strconv.ParseInt(fields[1], 10, 64)
	return pages * int64(os.Getpagesize())
}

// machineCPU is what all processors together were busy for, in seconds.
func machineCPU() (seconds float64, known bool) {
	b, err := os.ReadFile("/proc/stat")
	if err != nil {
		return 0, false
	}
	line, _, _ := strings.Cut(string(b), "\n")
	fields := strings.Fields(line) // cpu user nice system idle iowait irq softirq …
	if len(fields) < 8 || fields[0] != "cpu" {
		return 0, false
	}
	for _, i := range []int{1, 2, 3, 6, 7} {
		t, _ := strconv.ParseFloat(fields[i], 64)
		seconds += t / ticks
	}
	return seconds, true
}

// listeners are the processes that listen on an address of this machine, as far as
// they are not somebody else's.
func listeners(addr netip.AddrPort) (pids []int) {
	var sockets []string
	for _, table := range []string{"/proc/net/tcp", "/proc/net/tcp6"} {
		b, err := os.ReadFile(table)
		if err != nil {
			continue
		}
		for line := range strings.Lines(string(b)) {
			if fields := strings.Fields(line); len(fields) > 9 && fields[3] == "0A" && listensOn(fields[1], addr) {
				sockets = append(sockets, "socket:["+fields[9]+"]")
			}
		}
	}
	if len(sockets) == 0 {
		return nil
	}
	links, _ := filepath.Glob("/proc/[0-9]*/fd/*")
	for _, link := range links {
		if to, err := os.Readlink(link); err == nil && slices.Contains(sockets, to) {
			pid, _ := strconv.Atoi(strings.Split(link, "/")[2])
			if !slices.Contains(pids, pid) {
				pids = append(pids, pid)
			}
		}
	}
	slices.Sort(pids)
	return pids
}

// listensOn reads a local address of the kernel's table, such as 0100007F:1F90:
// words of four bytes in the machine's order, which is little-endian where it
// matters, and the port.
func listensOn(text string, addr netip.AddrPort) bool {
	host, port, _ := strings.Cut(text, ":")
	number, err := strconv.ParseUint(port, 16, 16)
	if err != nil || uint16(number) != addr.Port() {
		return false
	}
	raw, err := hex.DecodeString(host)
	if err != nil || len(raw)%4 != 0 {
		return false
	}
	for i := 0; i < len(raw); i += 4 {
		slices.Reverse(raw[i : i+4])
	}
	on, ok := netip.AddrFromSlice(raw)
	return ok && (on.IsUnspecified() || on.Unmap() == addr.Addr())
}
