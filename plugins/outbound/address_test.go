package outbound

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"testing"
)

// resolving answers every question for a name with address.
func resolving(address netip.Addr) *net.Resolver {
	return &net.Resolver{PreferGo: true, Dial: func(context.Context, string, string) (net.Conn, error) {
		client, server := net.Pipe()
		go func() {
			defer server.Close()
			var size [2]byte // a pipe is no packet connection, so messages have their length before them
			for {
				if _, err := io.ReadFull(server, size[:]); err != nil {
					return
				}
				question := make([]byte, binary.BigEndian.Uint16(size[:]))
				if _, err := io.ReadFull(server, question); err != nil {
					return
				}
				answer := dnsAnswer(question, address)
				answer = append(binary.BigEndian.AppendUint16(nil, uint16(len(answer))), answer...)
				if _, err := server.Write(answer); err != nil {
					return
				}
			}
		}()
		return client, nil
	}}
}

func dnsAnswer(question []byte, address netip.Addr) []byte {
	end := 12 // of the question's name
	for question[end] != 0 {
		end += 1 + int(question[end])
	}
	end += 5
	kind := binary.BigEndian.Uint16(question[end-4:])
	octets := address.AsSlice()
	matches := kind == 1 && len(octets) == 4 || kind == 28 && len(octets) == 16
	answer := append([]byte{question[0], question[1], 0x81, 0x80, 0, 1, 0, 0, 0, 0, 0, 0}, question[12:end]...)
	if matches {
		answer[7] = 1
		answer = append(answer, 0xc0, 12, 0, byte(kind), 0, 1, 0, 0, 0, 60, 0, byte(len(octets)))
		answer = append(answer, octets...)
	}
	return answer
}

func TestANameThatLeadsToARefusedAddressIsRefusedWhenItIsDialled(t *testing.T) {
	var reached netip.AddrPort
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.WriteString(w, "it is here")
	}))
	defer srv.Close()
	reached = netip.MustParseAddrPort(srv.Listener.Addr().String())
	for _, tt := range []struct {
		scheme, address string
		refused         bool
	}{
		{"http", "127.0.0.1", false}, // the control: the name is resolved, and the server reached
		{"http", "10.1.2.3", true},
		{"http", "169.254.169.254", true},
		{"https", "169.254.169.254", true},
		{"https", "0.0.0.0", true},
		{"https", "255.255.255.255", true},
		{"https", "224.0.0.1", true},
		{"https", "fe80::1", true},
		{"https", "::", true},
		{"https", "64:ff9b::a9fe:a9fe", true}, // the metadata address behind NAT64
		{"https", "::ffff:169.254.169.254", true},
		{"https", "100.100.100.200", true},
		{"https", "fd00:ec2::254", true},
		{"https", "fd00:ec2::23", true}, // credentials of containers
		{"https", "64:ff9b:1::a9fe:a9fe", true},
		{"https", "::ffff:0:169.254.169.254", true},
		{"https", "2002:a9fe:a9fe::1", true},
		{"http", "64:ff9b::127.0.0.1", true}, // behind NAT64 it is no loopback of ours
	} {
		c := New(Options{LoopbackOnly: tt.scheme == "http", resolver: resolving(netip.MustParseAddr(tt.address))})
		u := &url.URL{Scheme: tt.scheme, Host: fmt.Sprintf("policy.test:%d", reached.Port()), Path: "/"}
		_, err := c.Do(t.Context(), Request{Method: http.MethodGet, URL: u, MaxBytes: 100})
		var failed *Error
		if got := errors.As(err, &failed) && failed.Cause == Address; got != tt.refused || !tt.refused && err != nil {
			t.Errorf("%s to %s: %v", tt.scheme, tt.address, err)
		}
	}
}

func TestPrivateNetworksMayBeAsked(t *testing.T) {
	for _, address := range []string{"10.0.0.1", "192.168.1.1", "172.16.0.1", "fd00::1", "127.0.0.1", "::1", "8.8.8.8"} {
		if err := CheckAddress(netip.MustParseAddr(address)); err != nil {
			t.Errorf("%s: %v", address, err)
		}
	}
}

func TestAURLThatNoRequestMayGoToIsRefused(t *testing.T) {
	for text, ok := range map[string]bool{
		"https://policy.example.org/check?a=b":  true,
		"https://me:pw@policy.example.org:8443": true,
		"https://10.0.0.1/":                     true,
		"http://localhost:80/":                  true,
		"http://app.localhost./":                true,
		"http://127.0.0.1:80":                   true,
		"http://[::1]:80":                       true,
		"http://policy.example.org/":            false,
		"http://10.0.0.1/":                      false,
		"http://localhost.example.org":          false,
		"https://169.254.169.254/":              false,
		"https://[fe80::1%25eth0]/":             false,
		"https://0.0.0.0/":                      false,
		"ftp://policy.example.org/":             false,
		"file:///etc/passwd":                    false,
		"https:policy.example.org":              false,
		"https://:443/":                         false,
		"https://policy.example.org/#a":         false,
		"policy.example.org/check":              false,
		"":                                      false,
	} {
		u, err := url.Parse(text)
		if err == nil {
			err = CheckURL(u)
		}
		if (err == nil) != ok {
			t.Errorf("%q: %v", text, err)
		}
	}
}
