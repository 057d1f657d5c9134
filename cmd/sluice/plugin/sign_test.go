package plugin

import (
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// copied is a module that a node loads, in a folder of its own.
func copied(t *testing.T) (path string) {
	t.Helper()
	wasm, err := os.ReadFile("../../../sdk/c/examples/hello/hello.wasm")
	if err != nil {
		t.Fatal(err)
	}
	path = filepath.Join(t.TempDir(), "hello.wasm")
	if err := os.WriteFile(path, wasm, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestAModuleThatWasSignedIsVerifiedByThePublicKeyAlone(t *testing.T) {
	wasm := copied(t)
	key := filepath.Join(t.TempDir(), "release.pem")
	public := strings.TrimSuffix(key, ".pem") + ".pub.pem"
	out := must(t, "sign", "--generate", "--key", key, wasm)
	if !strings.Contains(out, "trusted_keys: [") || !strings.Contains(out, wasm+".sig: signed by ") {
		t.Errorf("it prints\n%s", out)
	}
	if info, err := os.Stat(key); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("the private key: %v, %v", info.Mode(), err)
	}
	private, err := os.ReadFile(key)
	if err != nil {
		t.Fatal(err)
	}
	if strings.Contains(out, strings.Split(string(private), "\n")[1]) {
		t.Error("the private key is printed")
	}
	out = must(t, "verify", "--key", public, wasm)
	inspected := must(t, "inspect", wasm)
	_, digest, _ := strings.Cut(out, "sha256: ")
	if digest = strings.TrimSpace(digest); len(digest) != 64 || !strings.Contains(inspected, digest) {
		t.Errorf("it prints\n%s", out)
	}

	server := httptest.NewServer(http.FileServer(http.Dir(filepath.Dir(wasm))))
	defer server.Close()
	must(t, "verify", "--key", public, server.URL+"/hello.wasm")

	other := filepath.Join(t.TempDir(), "other.pem")
	must(t, "sign", "--generate", "--key", other)
	otherPublic := strings.TrimSuffix(other, ".pem") + ".pub.pem"
	if out := fails(t, exitFailed, "verify", "--key", otherPublic, wasm); !strings.Contains(out, "none of trusted_keys") {
		t.Errorf("it says\n%s", out)
	}
	must(t, "verify", "--key", otherPublic, "--key", public, wasm)
	must(t, "sign", "--add", "--key", other, wasm)
	must(t, "verify", "--key", otherPublic, wasm)
	must(t, "verify", "--key", public, wasm)
	must(t, "sign", "--key", other, wasm)
	fails(t, exitFailed, "verify", "--key", public, wasm)

	data, err := os.ReadFile(wasm)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(wasm, append(data, 0, 1, 0), 0o600); err != nil {
		t.Fatal(err)
	}
	if out := fails(t, exitFailed, "verify", "--key", otherPublic, wasm); !strings.Contains(out, "of another module") {
		t.Errorf("it says\n%s", out)
	}
	if err := os.Remove(wasm + ".sig"); err != nil {
		t.Fatal(err)
	}
	if out := fails(t, exitFailed, "verify", "--key", otherPublic, wasm); !strings.Contains(out, "not signed") {
		t.Errorf("it says\n%s", out)
	}
}

func TestSigningRefusesWhatItShouldNotTouch(t *testing.T) {
	wasm := copied(t)
	dir := t.TempDir()
	key := filepath.Join(dir, "release.pem")
	must(t, "sign", "--generate", "--key", key)
	public := filepath.Join(dir, "release.pub.pem")
	before, err := os.ReadFile(key)
	if err != nil {
		t.Fatal(err)
	}
	if out := fails(t, 1, "sign", "--generate", "--key", key, wasm); !strings.Contains(out, "not overwritten") {
		t.Errorf("it says\n%s", out)
	}
	if after, err := os.ReadFile(key); err != nil || string(after) != string(before) {
		t.Error("the key was overwritten")
	}
	// A public key that is there already leaves no private one without it.
	if err := os.Remove(key); err != nil {
		t.Fatal(err)
	}
	fails(t, 1, "sign", "--generate", "--key", key)
	if _, err := os.Stat(key); err == nil {
		t.Error("a private key was left, and its public part is lost")
	}
	if err := os.WriteFile(key, before, 0o644); err != nil {
		t.Fatal(err)
	}
	if out := must(t, "sign", "--key", key, wasm); !strings.Contains(out, "others may read") {
		t.Errorf("of a key that others may read it says\n%s", out)
	}

	broken := filepath.Join(dir, "broken.wasm")
	if err := os.WriteFile(broken, []byte("\x00asm"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, args := range [][]string{
		{"sign", "--key", key, broken},
		{"sign", "--key", key, filepath.Join(dir, "absent.wasm")},
		{"sign", "--key", public, wasm},
		{"sign", "--key", wasm, wasm},
		{"sign", "--key", filepath.Join(dir, "absent.pem"), wasm},
	} {
		fails(t, 1, args...)
	}
	if _, err := os.Stat(broken + ".sig"); err == nil {
		t.Error("what no node would load was signed")
	}
	for _, args := range [][]string{
		{"sign", wasm}, {"sign", "--key", key}, {"verify", wasm}, {"verify", "--key", public},
		{"verify", "--key", key, wasm}, {"verify", "--key", wasm, wasm}, {"verify", "--key", filepath.Join(dir, "absent"), wasm},
	} {
		fails(t, exitUsage, args...)
	}
}

func TestASignatureThatOpenSSLMadeAsTheDocumentSaysIsOne(t *testing.T) {
	if _, err := exec.LookPath("openssl"); err != nil {
		t.Skip("there is no openssl")
	}
	text, err := os.ReadFile("../../../docs/trust.md")
	if err != nil {
		t.Fatal(err)
	}
	_, script, found := strings.Cut(string(text), "<!-- run: openssl -->\n```sh\n")
	script, _, closed := strings.Cut(script, "```")
	if !found || !closed {
		t.Fatal("the document has no script")
	}
	dir := t.TempDir()
	if err := os.Rename(copied(t), filepath.Join(dir, "policy.wasm")); err != nil {
		t.Fatal(err)
	}
	native(t, dir, nil, "openssl", "genpkey", "-algorithm", "ed25519", "-out", "release.pem")
	native(t, dir, nil, "openssl", "pkey", "-in", "release.pem", "-pubout", "-out", "release.pub.pem")
	native(t, dir, nil, "sh", "-ec", script)
	must(t, "verify", "--key", filepath.Join(dir, "release.pub.pem"), filepath.Join(dir, "policy.wasm"))
}
