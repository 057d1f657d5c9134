package source

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"fmt"
	"strings"
	"testing"
)

func TestASignatureIsOfItsModuleAndItsKeyAlone(t *testing.T) {
	mine, other := newKey(t), newKey(t)
	text := sign(t, mine, first, nil)
	both := sign(t, other, first, text)
	stale := sign(t, other, second, sign(t, mine, first, nil))
	for _, tt := range []struct {
		name            string
		trust           *Trust
		wasm, signature []byte
		reason          string
		by              string
	}{
		{"by a trusted key", requiring(mine), first, text, "", mine.Public().ID()},
		{"by one of two trusted keys", requiring(other, mine), first, text, "", mine.Public().ID()},
		{"by two keys, of which one is trusted", requiring(other), first, both, "", other.Public().ID()},
		{"one of two signatures is of another module", trusting(mine, other), first, stale, "", mine.Public().ID()},
		{"of another module", requiring(mine), second, text, wrongSign, ""},
		{"of another module, though none is required", trusting(mine), second, text, wrongSign, ""},
		{"by another key", requiring(other), first, text, untrusted, ""},
		{"by another key, though none is required", trusting(other), first, text, untrusted, ""},
		{"none", requiring(mine), first, nil, unsigned, ""},
		{"none, and none is required", trusting(mine), first, nil, "", ""},
		{"nobody is trusted, and nothing is looked at", &Trust{}, first, []byte("garbage"), "", ""},
		{"nobody is trusted, and one is required", &Trust{RequireSignatures: true}, first, text, untrusted, ""},
	} {
		by, refused := tt.trust.check(tt.wasm, tt.signature, "")
		reason := ""
		if refused != nil {
			reason = refused.Reason
		}
		if reason != tt.reason || by != tt.by {
			t.Errorf("%s: %q by %q, want %q by %q (%v)", tt.name, reason, by, tt.reason, tt.by, refused)
		}
	}
}

func TestADamagedSignatureIsRefused(t *testing.T) {
	key := newKey(t)
	text := string(sign(t, key, first, nil))
	row := strings.Split(text, "\n")[1]
	id, encoded, _ := strings.Cut(row, " ")
	flipped := []byte(text)
	flipped[len(flipped)-20] ^= 1
	for name, damaged := range map[string]string{
		"one letter differs":    string(flipped),
		"no first line":         row + "\n",
		"another version":       strings.Replace(text, "1", "2", 1),
		"no signature":          signatureHead + "\n",
		"truncated":             text[:len(text)-10],
		"not base64":            signatureHead + "\n" + id + " !!!!\n",
		"no key":                signatureHead + "\n" + encoded + "\n",
		"a short signature":     signatureHead + "\n" + id + " AAAA\n",
		"an empty line between": signatureHead + "\n\n" + row + "\n",
		"too many":              signatureHead + strings.Repeat("\n"+row, maxSignatures+1),
		"too large":             text + strings.Repeat(" ", maxSignature),
		"binary":                string(sha256.New().Sum([]byte{0, 0xff, '\n'})),
	} {
		if _, refused := requiring(key).check(first, []byte(damaged), ""); refused == nil || refused.Reason != wrongSign {
			t.Errorf("%s: %v", name, refused)
		}
	}
	for name, fine := range map[string]string{"lines of Windows": strings.ReplaceAll(text, "\n", "\r\n"), "no newline at the end": strings.TrimSuffix(text, "\n")} {
		if _, refused := requiring(key).check(first, []byte(fine), ""); refused != nil {
			t.Errorf("%s: %v", name, refused)
		}
	}
}

// What docs/trust.md tells is enough to make a signature by other means.
func TestTheFormatIsWhatTheDocumentSays(t *testing.T) {
	public, private, err := ed25519.GenerateKey(nil)
	if err != nil {
		t.Fatal(err)
	}
	digest := sha256.Sum256(first)
	id := sha256.Sum256(public)
	message := append([]byte("sluice-module-v1\x00"), digest[:]...)
	text := fmt.Sprintf("sluice signature 1\n%x %s\n", id[:8], base64.StdEncoding.EncodeToString(ed25519.Sign(private, message)))
	key, err := ParsePublicKey(base64.StdEncoding.EncodeToString(public))
	if err != nil {
		t.Fatal(err)
	}
	trust := &Trust{Keys: []PublicKey{key}, RequireSignatures: true}
	if by, refused := trust.check(first, []byte(text), ""); refused != nil || by != key.ID() {
		t.Errorf("%q: %v", by, refused)
	}
	// A signature of the bare digest, made for something else, is none of the module.
	bare := fmt.Sprintf("sluice signature 1\n%x %s\n", id[:8], base64.StdEncoding.EncodeToString(ed25519.Sign(private, digest[:])))
	if _, refused := trust.check(first, []byte(bare), ""); refused == nil {
		t.Error("a signature of the bare digest is taken for one of the module")
	}
}

func TestAPublicKeyIsReadInEachOfItsForms(t *testing.T) {
	private := newKey(t)
	key := private.Public()
	block, _ := pem.Decode(key.PEM())
	secret, err := private.PEM()
	if err != nil {
		t.Fatal(err)
	}
	elliptical, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	otherKind, err := x509.MarshalPKIXPublicKey(elliptical.Public())
	if err != nil {
		t.Fatal(err)
	}
	identity := make([]byte, 32)
	identity[0] = 1
	for name, tt := range map[string]struct {
		text string
		ok   bool
	}{
		"PEM":                        {string(key.PEM()), true},
		"PEM with space around it":   {"\n" + string(key.PEM()) + "\n\n", true},
		"32 octets":                  {key.String(), true},
		"DER":                        {base64.StdEncoding.EncodeToString(block.Bytes), true},
		"a private key":              {string(secret), false},
		"a key of another kind":      {string(pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: otherKind})), false},
		"two keys":                   {string(key.PEM()) + string(key.PEM()), false},
		"damaged PEM":                {string(key.PEM()[:60]), false},
		"damaged DER":                {base64.StdEncoding.EncodeToString(block.Bytes[:20]), false},
		"a certificate":              {"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n", false},
		"a path":                     {"keys/release.pub.pem", false},
		"the identity":               {base64.StdEncoding.EncodeToString(identity), false},
		"the identity's other sign":  {base64.StdEncoding.EncodeToString(append(bytes.Clone(identity[:31]), 0x80)), false},
		"zero, which has order four": {base64.StdEncoding.EncodeToString(make([]byte, 32)), false},
		"nothing":                    {"", false},
	} {
		got, err := ParsePublicKey(tt.text)
		if (err == nil) != tt.ok || err == nil && got.ID() != key.ID() {
			t.Errorf("%s: %v, %v", name, got, err)
		}
		if err != nil && len(tt.text) > 40 && strings.Contains(err.Error(), tt.text[30:40]) {
			t.Errorf("%s: the error quotes the key: %v", name, err)
		}
	}
}

func TestAPrivateKeyIsReadAndNeverPrinted(t *testing.T) {
	key := newKey(t)
	text, err := key.PEM()
	if err != nil {
		t.Fatal(err)
	}
	again, err := ParsePrivateKey(text)
	if err != nil || !again.key.Equal(key.key) {
		t.Fatalf("%v", err)
	}
	if shown := fmt.Sprintf("%v %+v %#v %s %x", key, key, key, key, key); strings.ReplaceAll(strings.ReplaceAll(shown, "[redacted]", ""), " ", "") != "" {
		t.Errorf("a private key prints as %q", shown)
	}
	for name, text := range map[string]string{
		"nothing":      "",
		"a public key": string(key.Public().PEM()),
		"encrypted":    "-----BEGIN ENCRYPTED PRIVATE KEY-----\nAAAA\n-----END ENCRYPTED PRIVATE KEY-----\n",
		"damaged":      "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n",
		"for OpenSSH":  "-----BEGIN OPENSSH PRIVATE KEY-----\nAAAA\n-----END OPENSSH PRIVATE KEY-----\n",
	} {
		if _, err := ParsePrivateKey([]byte(text)); err == nil {
			t.Errorf("%s was taken for a private key", name)
		}
	}
}

func TestSigningAddsToTheSignaturesOfOthersAndReplacesItsOwn(t *testing.T) {
	mine, other := newKey(t), newKey(t)
	text := sign(t, mine, second, sign(t, other, first, sign(t, mine, first, nil)))
	lines, err := parseSignatures(text)
	if err != nil || len(lines) != 2 {
		t.Fatalf("%v, %v", lines, err)
	}
	if _, refused := requiring(mine).check(second, text, ""); refused != nil {
		t.Error(refused)
	}
	if _, err := Sign(mine, first, []byte("garbage")); err == nil {
		t.Error("garbage was signed over")
	}
}

func FuzzSignatureFilesNeverVerifyUnlessTheyAreTheKeys(f *testing.F) {
	key := newKey(f)
	text := sign(f, key, first, nil)
	f.Add(text)
	f.Add([]byte(signatureHead + "\n"))
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, damaged []byte) {
		_, refused := requiring(key).check(first, damaged, "")
		if refused == nil && !bytes.Contains(damaged, bytes.Fields(text)[4]) {
			t.Errorf("%q verifies", damaged)
		}
	})
}
