package outbound

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"strings"
	"syscall"
)

// addressError is an address that is not to be dialled.
type addressError struct{ text string }

func (e *addressError) Error() string { return e.text }

// embedding are ranges of IPv6 in which an address of IPv4 is reached, and the
// byte that it begins at. IPv4-mapped ones are taken off by Unmap.
var embedding = []struct {
	prefix netip.Prefix
	at     int
}{
	{netip.MustParsePrefix("64:ff9b::/96"), 12},    // NAT64
	{netip.MustParsePrefix("64:ff9b:1::/48"), 12},  // NAT64 within a network
	{netip.MustParsePrefix("::ffff:0:0:0/96"), 12}, // SIIT
	{netip.MustParsePrefix("2002::/16"), 2},        // 6to4
}

// plain is an address without a zone, and of IPv4 where that is what is reached.
func plain(ip netip.Addr) netip.Addr {
	ip = ip.WithZone("").Unmap()
	for _, e := range embedding {
		if e.prefix.Contains(ip) {
			octets := ip.As16()
			return netip.AddrFrom4([4]byte(octets[e.at:]))
		}
	}
	return ip
}

// CheckAddress refuses addresses where a cloud has its metadata and a host its
// neighbours. Private networks are allowed: identity providers and policy
// services live there.
func CheckAddress(ip netip.Addr) error { return checkAddress(ip, false) }

func checkAddress(ip netip.Addr, loopbackOnly bool) error {
	dialled := ip.WithZone("").Unmap()
	ip = plain(ip)
	switch {
	case loopbackOnly && !dialled.IsLoopback():
		return &addressError{fmt.Sprintf("its name leads to %s, and http is for loopback; use https", ip)}
	case metadata[ip], amazon.Contains(ip):
		return &addressError{fmt.Sprintf("the address %s is that of a cloud's metadata, which is refused", ip)}
	case ip.IsLinkLocalUnicast(), ip.IsMulticast():
		return &addressError{fmt.Sprintf("the address %s is link-local or multicast, which is refused", ip)}
	case ip.IsUnspecified(), ip == netip.AddrFrom4([4]byte{255, 255, 255, 255}):
		return &addressError{fmt.Sprintf("the address %s is not one of a host, and is refused", ip)}
	}
	return nil
}

// amazon has metadata at 254, and credentials of containers at 23.
var amazon = netip.MustParsePrefix("fd00:ec2::/32")

// metadata are addresses of cloud metadata that are not link-local by their
// prefix.
var metadata = map[netip.Addr]bool{
	netip.MustParseAddr("fd20:ce::254"):    true, // Google
	netip.MustParseAddr("100.100.100.200"): true, // Alibaba
	netip.MustParseAddr("168.63.129.16"):   true, // Azure
}

// newDialer looks at each address after its name was resolved, so that a name
// cannot lead to one address when it is checked and another when it is used.
func newDialer(loopbackOnly bool, resolver *net.Resolver) *net.Dialer {
	return &net.Dialer{Resolver: resolver, Control: func(_, address string, _ syscall.RawConn) error {
		to, err := netip.ParseAddrPort(address)
		if err != nil {
			return &addressError{"its name leads to an address that cannot be read"}
		}
		return checkAddress(to.Addr(), loopbackOnly)
	}}
}

// IsLoopbackName reports whether a host is called what only loopback is called.
func IsLoopbackName(host string) bool {
	if ip, err := netip.ParseAddr(host); err == nil {
		return ip.Unmap().IsLoopback()
	}
	host = strings.ToLower(strings.TrimSuffix(host, "."))
	return host == "localhost" || strings.HasSuffix(host, ".localhost")
}

// CheckURL refuses a URL that no request may go to. The error says what to
// write instead, and quotes nothing of the URL but its scheme and an address.
func CheckURL(u *url.URL) error {
	switch {
	case u.Scheme != "https" && u.Scheme != "http":
		return errors.New("the URL does not begin with https://; write it out, as in https://policy.example.org/check")
	case u.Opaque != "" || u.Hostname() == "":
		return errors.New("the URL has no host; write it out, as in https://policy.example.org/check")
	case u.Scheme == "http" && !IsLoopbackName(u.Hostname()):
		return errors.New("http is for loopback alone; use https")
	case u.Fragment != "" || u.RawFragment != "":
		return errors.New("the URL has a fragment, which no server sees; leave out # and what follows, or write %23")
	}
	if ip, err := netip.ParseAddr(u.Hostname()); err == nil {
		return CheckAddress(ip)
	}
	return nil
}
