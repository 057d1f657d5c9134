package main

import (
	"crypto/sha256"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"sluice/plugins/filters"
	"sluice/plugins/source"
)

// sizeModules are two modules that differ and do the same.
func sizeModules(t *testing.T) (one, two []byte) {
	t.Helper()
	one, err := filters.FS.ReadFile("size/size.wasm")
	if err != nil {
		t.Fatal(err)
	}
	return one, append(one[:len(one):len(one)], 0, 2, 1, 'x') // an empty custom section
}

func hexDigest(data []byte) string { return fmt.Sprintf("%x", sha256.Sum256(data)) }

func signingKey(t *testing.T) source.PrivateKey {
	t.Helper()
	key, err := source.GenerateKey()
	if err != nil {
		t.Fatal(err)
	}
	return key
}

func signatureOf(t *testing.T, key source.PrivateKey, wasm []byte) []byte {
	t.Helper()
	text, err := source.Sign(key, wasm, nil)
	if err != nil {
		t.Fatal(err)
	}
	return text
}

// artifacts is a registry that is read: one tag, of which a test says what it
// leads to.
type artifacts struct {
	*httptest.Server
	mu       sync.Mutex
	manifest []byte // nil: there is nothing
	blobs    map[string][]byte
}

func serveArtifacts(t *testing.T) *artifacts {
	a := &artifacts{blobs: make(map[string][]byte)}
	a.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		a.mu.Lock()
		defer a.mu.Unlock()
		data := a.manifest
		if strings.Contains(r.URL.Path, "/blobs/") {
			data = a.blobs[r.URL.Path[strings.LastIndex(r.URL.Path, ":")+1:]]
		} else {
			w.Header().Set("Content-Type", "application/vnd.oci.image.manifest.v1+json")
		}
		if data == nil {
			http.NotFound(w, r)
			return
		}
		_, _ = w.Write(data)
	}))
	t.Cleanup(a.Close)
	return a
}

func (a *artifacts) reference() string {
	return "oci://" + strings.TrimPrefix(a.URL, "http://") + "/filters/size:v1"
}

// push moves the tag; without a module there is nothing any more.
func (a *artifacts) push(wasm, signature []byte) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.manifest = nil; wasm == nil {
		return
	}
	var layers []string
	for kind, data := range map[string][]byte{source.ModuleType: wasm, source.SignatureType: signature} {
		if data != nil {
			a.blobs[hexDigest(data)] = data
			layers = append(layers, fmt.Sprintf(`{"mediaType":%q,"size":%d,"digest":"sha256:%s"}`, kind, len(data), hexDigest(data)))
		}
	}
	a.manifest = fmt.Appendf(nil, `{"schemaVersion":2,"layers":[%s]}`, strings.Join(layers, ","))
}

func limitOf(plugin, more string) string {
	return fmt.Sprintf("filters:\n  - name: size\n    plugin: %q\n    config: {max_bytes: 10}\n    capabilities: [log]\n%s", plugin, more)
}

func TestASignedFilterOfARegistryIsServedAndNoOtherTakesItsPlace(t *testing.T) {
	one, two := sizeModules(t)
	key := signingKey(t)
	registry := serveArtifacts(t)
	registry.push(one, signatureOf(t, key, one))
	config := fmt.Sprintf("cache: %s\nrequire_signatures: true\ntrusted_keys: [%q]\n", filepath.Join(t.TempDir(), "kept"), key.Public()) + limitOf(registry.reference(), "")
	n := startReloadable(t, "")
	write := func(config string) {
		t.Helper()
		if err := os.WriteFile(n.file, []byte("listen: 127.0.0.1:0\nadmin: {listen: \"127.0.0.1:0\"}\nlog: {format: json}\n"+config), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	n.stop()
	n.wait()
	write(config)
	begin := func() {
		t.Helper()
		n.running = run(t, []string{"SLUICE_RELOAD_WATCH=false"}, nil, "--config", n.file)
	}
	shows := func(texts ...string) {
		t.Helper()
		_, stats := n.get(n.admin + "/stats")
		_, metrics := n.get(n.admin + "/metrics")
		for _, text := range texts {
			if !strings.Contains(stats+metrics, text) {
				t.Errorf("neither /stats nor /metrics has %s", text)
			}
		}
	}
	begin()
	c := n.dial("/ws?client_id=ann")
	c.join("a")
	judges := func() {
		t.Helper()
		if c.accepted() {
			t.Fatal("the filter does not judge")
		}
	}
	judges()
	shows(`"from":"fetched"`, `"signed_by":"`+key.Public().ID()+`"`, `"digest":"`+hexDigest(one)+`"`, `sluice_filter_source_away{filter="size"} 0`)

	refuses := func(words ...string) {
		t.Helper()
		code, _, errs := n.command("reload")
		for _, word := range words {
			if code == 0 || !strings.Contains(errs, word) {
				t.Errorf("exit %d: %s: does not say %q", code, errs, word)
			}
		}
		judges()
	}
	registry.push(two, nil)
	refuses("filters[0]", "not signed", "sluice plugin sign")
	registry.push(two, signatureOf(t, key, one))
	refuses("of another module")
	registry.push(two, signatureOf(t, signingKey(t), two))
	refuses("none of trusted_keys")
	shows(`"digest":"`+hexDigest(one)+`"`, `sluice_filter_source_failures_total{reason="unsigned"} 1`, `sluice_filter_source_failures_total{reason="signature"} 1`,
		`sluice_filter_source_failures_total{reason="untrusted"} 1`, `sluice_filter_source_reads_total{result="refused"} 3`)

	registry.push(nil, nil)
	if code, out, errs := n.command("reload"); code != 0 {
		t.Fatalf("exit %d: %s%s", code, out, errs)
	}
	judges()
	shows(`"from":"last_good"`, `"digest":"`+hexDigest(one)+`"`, `sluice_filter_source_away{filter="size"} 1`, `sluice_filter_source_failures_total{reason="not_found"} 1`)
	if !strings.Contains(n.logText(), "its last good module is used") {
		t.Error("that the last good module is used is not logged")
	}

	n.stop()
	n.wait()
	begin()
	c = n.dial("/ws?client_id=ann")
	c.join("a")
	judges()
	shows(`"from":"last_good"`, `"digest":"`+hexDigest(one)+`"`)

	registry.push(two, signatureOf(t, key, two))
	if code, out, errs := n.command("reload"); code != 0 {
		t.Fatalf("exit %d: %s%s", code, out, errs)
	}
	judges()
	shows(`"from":"fetched"`, `"digest":"`+hexDigest(two)+`"`, `sluice_filter_source_away{filter="size"} 0`)
}

func TestAPinHoldsAFilterOfAFileStill(t *testing.T) {
	one, two := sizeModules(t)
	path := filepath.Join(t.TempDir(), "size.wasm")
	put := func(data []byte) {
		t.Helper()
		if err := os.WriteFile(path, data, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	put(one)
	pinned := "require_pins: true\n" + limitOf(path, "    sha256: "+hexDigest(one)+"\n")
	n := startReloadable(t, pinned)
	put(two)
	if code, _, errs := n.command("reload"); code == 0 || !strings.Contains(errs, hexDigest(one)) || !strings.Contains(errs, hexDigest(two)) {
		t.Errorf("exit %d: %s", code, errs)
	}
	n.write(t, "require_pins: true\n"+limitOf(path, ""))
	if code, _, errs := n.command("reload"); code == 0 || !strings.Contains(errs, "not pinned") {
		t.Errorf("exit %d: %s", code, errs)
	}
	n.write(t, "require_pins: true\n"+limitOf("builtin:size", ""))
	if code, _, errs := n.command("reload"); code != 0 {
		t.Errorf("a bundled filter needs a pin: exit %d: %s", code, errs)
	}
	n.write(t, limitOf("builtin:size", "    sha256: "+hexDigest(two)+"\n"))
	if code, _, errs := n.command("reload"); code == 0 || !strings.Contains(errs, hexDigest(one)) {
		t.Errorf("a bundled filter is not held against its pin: exit %d: %s", code, errs)
	}
	n.write(t, "require_pins: true\n"+limitOf(path, "    sha256: "+hexDigest(two)+"\n"))
	if code, _, errs := n.command("reload"); code != 0 {
		t.Errorf("exit %d: %s", code, errs)
	}
}

func TestACandidateIsHeldAgainstItsOwnPinAndSignature(t *testing.T) {
	one, two := sizeModules(t)
	key := signingKey(t)
	dir := t.TempDir()
	for name, data := range map[string][]byte{
		"one.wasm": one, "one.wasm.sig": signatureOf(t, key, one),
		"two.wasm": two,
	} {
		if err := os.WriteFile(filepath.Join(dir, name), data, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	config := func(digest string) string {
		return fmt.Sprintf("require_signatures: true\nrequire_pins: true\ntrusted_keys: [%q]\n", key.Public()) +
			limitOf(filepath.Join(dir, "one.wasm"), "    sha256: "+hexDigest(one)+"\n    candidate: {plugin: "+filepath.Join(dir, "two.wasm")+", "+digest+"shadow: 10%}\n")
	}
	build := func(digest string) error {
		l := mustLoad(t, config(digest))
		g, err := buildGeneration(t.Context(), l, testHost(t, l), nil)
		if err == nil {
			retire(g)
		}
		return err
	}
	pin := "sha256: " + hexDigest(two) + ", "
	for _, tt := range []struct{ digest, says string }{
		{"", "not pinned"},
		{"sha256: " + hexDigest(one) + ", ", hexDigest(two)},
		{pin, "not signed"},
	} {
		if err := build(tt.digest); err == nil || !strings.Contains(err.Error(), tt.says) || !strings.Contains(err.Error(), "candidate") {
			t.Errorf("%q: %v; want it to say %q of the candidate", tt.digest, err, tt.says)
		}
	}
	if err := os.WriteFile(filepath.Join(dir, "two.wasm.sig"), signatureOf(t, key, two), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := build(pin); err != nil {
		t.Error(err)
	}
}

func TestSettingsOfTrustThatMakeNoSenseAreRefused(t *testing.T) {
	key := signingKey(t)
	private, err := key.PEM()
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "release.pub.pem")
	if err := os.WriteFile(file, key.Public().PEM(), 0o600); err != nil {
		t.Fatal(err)
	}
	filter := "filters:\n  - name: size\n    plugin: builtin:size\n    config: {max_bytes: 10}\n"
	for config, says := range map[string]string{
		"trusted_keys: [abc]\n":                                      "trusted_keys[0]",
		fmt.Sprintf("trusted_keys: [%q]\n", private):                 "private key",
		"require_signatures: true\n":                                 "no trusted_keys",
		filter + "    sha256: abc\n":                                 "64 hex digits",
		limitOf("http://filters.example.org/size.wasm", ""):          "use https",
		limitOf("ftp://filters.example.org/size.wasm", ""):           "oci://",
		limitOf("https://me:word@filters.example.org/size.wasm", ""): "has a user",
		limitOf("oci://registry.example.org", ""):                    "oci://REGISTRY/REPOSITORY:TAG",
		limitOf("https://169.254.169.254/size.wasm", ""):             "link-local",
	} {
		_, err := loadText(t, config)
		if text := errorText(err); !strings.Contains(text, says) || strings.Contains(text, "word@") {
			t.Errorf("%s: %q does not say %q", config, text, says)
		}
	}
	for _, config := range []string{
		fmt.Sprintf("trusted_keys: [%q, \"file:%s\"]\nrequire_signatures: true\n", key.Public(), file),
		limitOf("oci://registry.example.org/filters/size:v1", ""),
		limitOf("https://filters.example.org/size.wasm?v=1", ""),
		filter + "    sha256: sha256:" + strings.Repeat("a", 64) + "\n",
	} {
		if _, err := loadText(t, config); err != nil {
			t.Errorf("%s: %s", config, errorText(err))
		}
	}
}
