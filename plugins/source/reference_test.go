package source

import (
	"strings"
	"testing"
)

func TestAReferenceThatLeadsNowhereIsRefusedWithoutBeingFollowed(t *testing.T) {
	digest := "@sha256:" + strings.Repeat("a", 64)
	for text, ok := range map[string]bool{
		"filters/size.wasm":                                                  true,
		"/etc/sluice/size.wasm":                                              true,
		"https://filters.example.org/size.wasm":                              true,
		"https://filters.example.org/size.wasm?v=1":                          true,
		"http://127.0.0.1:8000/size.wasm":                                    true,
		"oci://registry.example.org/filters/size":                            true,
		"oci://registry.example.org/filters/size:v1":                         true,
		"oci://registry.example.org/filters/size" + digest:                   true,
		"oci://registry.example.org:5000/size:v1" + digest:                   true,
		"oci://localhost:5000/size:v1":                                       true,
		"oci://docker.io/library/size:v1":                                    true,
		"http://filters.example.org/size.wasm":                               false,
		"https://me:word@filters.example.org/size.wasm":                      false,
		"https://169.254.169.254/size.wasm":                                  false,
		"https:///size.wasm":                                                 false,
		"https://filters.example.org/size.wasm#a":                            false,
		"ftp://filters.example.org/size.wasm":                                false,
		"file:///etc/size.wasm":                                              false,
		"://size.wasm":                                                       false,
		"oci://169.254.169.254/size:v1":                                      false,
		"oci://registry.example.org":                                         false,
		"oci://registry.example.org/Size":                                    false,
		"oci://registry.example.org/size:":                                   true, // the tag that it has is the default
		"oci://registry.example.org/size:v 1":                                false,
		"oci://registry.example.org/size@sha256:abc":                         false,
		"oci://registry.example.org/size@sha512:" + strings.Repeat("a", 128): false,
		"oci://me:word@registry.example.org/size:v1":                         false,
		"https://filters.example.org/" + strings.Repeat("a", maxReference):   false,
	} {
		if err := CheckReference(text); (err == nil) != ok {
			t.Errorf("%.80q: %v", text, err)
		} else if err != nil && strings.Contains(err.Error(), "word@") {
			t.Errorf("%q: the error shows a password: %v", text, err)
		}
	}
}

func TestWhatIsShownOfAReferenceHasNoQueryAndNoPassword(t *testing.T) {
	for text, want := range map[string]string{
		"filters/size.wasm?":                      "filters/size.wasm?",
		"https://f.example.org/size.wasm":         "https://f.example.org/size.wasm",
		"https://f.example.org/size.wasm?key=abc": "https://f.example.org/size.wasm?…",
		"https://me:word@f.example.org/size.wasm": "a URL that is not shown",
		"oci://registry.example.org/size:v1":      "oci://registry.example.org/size:v1",
	} {
		if got := Show(text); got != want {
			t.Errorf("%q: shown as %q, want %q", text, got, want)
		}
	}
}

func TestADigestIsReadWithAndWithoutItsAlgorithm(t *testing.T) {
	for text, ok := range map[string]bool{
		strings.Repeat("ab", 32):             true,
		strings.Repeat("AB", 32):             true,
		"sha256:" + strings.Repeat("ab", 32): true,
		"sha512:" + strings.Repeat("ab", 32): false,
		strings.Repeat("ab", 31):             false,
		strings.Repeat("xy", 32):             false,
		"":                                   false,
	} {
		if _, err := ParseDigest(text); (err == nil) != ok {
			t.Errorf("%q: %v", text, err)
		}
	}
}

func FuzzReferencesNeverLeadToAPanic(f *testing.F) {
	for _, seed := range []string{"a.wasm", "https://a/b", "oci://a/b:c@sha256:" + strings.Repeat("a", 64), "oci://[::1]:5000/a", "oci://@/:", "http://%"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		ref, err := parseReference(text)
		Show(text)
		if err != nil {
			return
		}
		if ref.scheme(); (ref.host() != "") != IsRemote(text) {
			t.Errorf("%q: its host is %q", text, ref.host())
		}
		if ref.scheme() == "http" && !ref.loopback() {
			t.Errorf("%q: asked by plain HTTP", text)
		}
	})
}
