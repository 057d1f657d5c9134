package source

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"net"
	"net/url"
	"strings"

	"oras.land/oras-go/v2/registry"

	"sluice/plugins/outbound"
)

const (
	ociPrefix    = "oci://"
	maxReference = 2048 // bytes
	defaultTag   = "latest"
)

// reference is where a module is. It has exactly one of the three.
type reference struct {
	file string
	url  *url.URL
	oci  *registry.Reference
}

// IsRemote reports whether a reference leads to another machine rather than to
// a file.
func IsRemote(text string) bool { return strings.Contains(text, "://") }

// CheckReference says what is wrong with a reference, without following it.
func CheckReference(text string) error {
	_, err := parseReference(text)
	return err
}

func parseReference(text string) (reference, error) {
	if !IsRemote(text) {
		return reference{file: text}, nil
	}
	if len(text) > maxReference {
		return reference{}, fmt.Errorf("the reference is longer than %d bytes", maxReference)
	}
	if artifact, ok := strings.CutPrefix(text, ociPrefix); ok {
		return parseOCI(artifact)
	}
	u, err := url.Parse(text)
	if err != nil {
		return reference{}, errors.New("the URL cannot be read") // the parser's words quote it
	}
	if u.Scheme != "https" && u.Scheme != "http" {
		return reference{}, fmt.Errorf("nothing is fetched by %.20q; write a path, https://…, oci://REGISTRY/REPOSITORY:TAG, or builtin:NAME", u.Scheme+"://")
	}
	if err := outbound.CheckURL(u); err != nil {
		return reference{}, err
	}
	if u.User != nil {
		return reference{}, errors.New("the URL has a user in it, and logs and statistics show where filters come from; a registry (oci://) can ask for a password")
	}
	return reference{url: u}, nil
}

func parseOCI(artifact string) (reference, error) {
	ref, err := registry.ParseReference(artifact)
	if err != nil {
		return reference{}, errors.New("the reference cannot be read; write oci://REGISTRY/REPOSITORY:TAG or oci://REGISTRY/REPOSITORY@sha256:DIGEST")
	}
	if ref.Reference == "" {
		ref.Reference = defaultTag
	}
	if strings.Contains(artifact, "@") && !strings.HasPrefix(ref.Reference, "sha256:") {
		return reference{}, errors.New("the digest is not one by SHA-256; write @sha256: and 64 hex digits")
	}
	r := reference{oci: &ref}
	// It says of addresses what it says of those in URLs.
	if err := outbound.CheckURL(&url.URL{Scheme: r.scheme(), Host: ref.Host()}); err != nil {
		return reference{}, err
	}
	return r, nil
}

// host is the machine that is asked, "" of a file.
func (r *reference) host() string {
	switch {
	case r.url != nil:
		return r.url.Host
	case r.oci != nil:
		return r.oci.Host()
	}
	return ""
}

// loopback reports whether the machine that is asked is this one by its name.
func (r *reference) loopback() bool {
	name := r.host()
	if host, _, err := net.SplitHostPort(name); err == nil {
		name = host
	}
	return outbound.IsLoopbackName(strings.Trim(name, "[]"))
}

// scheme is how the machine is asked. Registries on loopback speak plain HTTP,
// as they do to every other tool.
func (r *reference) scheme() string {
	switch {
	case r.url != nil:
		return r.url.Scheme
	case r.loopback():
		return "http"
	}
	return "https"
}

// fixed reports whether the reference itself says which content it leads to.
func (r *reference) fixed() bool {
	return r.oci != nil && strings.HasPrefix(r.oci.Reference, "sha256:")
}

// Show is a reference as it may be logged: a query may hold a key to what it
// leads to, and is left out.
func Show(text string) string {
	if strings.HasPrefix(text, ociPrefix) || !IsRemote(text) {
		return text
	}
	before, _, found := strings.Cut(text, "?")
	if u, err := url.Parse(before); err != nil || u.User != nil {
		return "a URL that is not shown"
	}
	if found {
		before += "?…"
	}
	return before
}

// ParseDigest reads a SHA-256 in hex, with or without "sha256:" before it.
func ParseDigest(text string) (digest [sha256.Size]byte, err error) {
	octets, err := hex.DecodeString(strings.TrimPrefix(text, "sha256:"))
	if err != nil || len(octets) != sha256.Size {
		return digest, fmt.Errorf("%.80q is no SHA-256; write its 64 hex digits, as `sha256sum` and `sluice plugin inspect` print them", text)
	}
	return [sha256.Size]byte(octets), nil
}
