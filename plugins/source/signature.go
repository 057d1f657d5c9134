package source

import (
	"bytes"
	"crypto/ed25519"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/hex"
	"encoding/pem"
	"errors"
	"fmt"
	"strings"
)

// SignatureSuffix is what the name of a module's signature has after the
// module's own.
const SignatureSuffix = ".sig"

const (
	maxSignature  = 8 << 10 // bytes of a signature's file
	maxSignatures = 16      // in one file
	signatureHead = "sluice signature 1"

	// signedPrefix stands before the digest in what is signed, so that no other
	// use of a key can be made to look like a module's signature.
	signedPrefix = "sluice-module-v1\x00"
)

// signed is what is signed of a module.
func signed(digest [sha256.Size]byte) []byte { return append([]byte(signedPrefix), digest[:]...) }

// PublicKey verifies signatures of modules.
type PublicKey struct{ key ed25519.PublicKey }

// ID names the key in signatures, logs and errors: the first 16 hex digits of
// the SHA-256 of its 32 octets.
func (k PublicKey) ID() string {
	sum := sha256.Sum256(k.key)
	return hex.EncodeToString(sum[:8])
}

// String is the key as base64 of its 32 octets.
func (k PublicKey) String() string { return base64.StdEncoding.EncodeToString(k.key) }

// PEM is the key as a block PUBLIC KEY.
func (k PublicKey) PEM() []byte {
	der, err := x509.MarshalPKIXPublicKey(k.key)
	if err != nil {
		panic("source: " + err.Error()) // not of an ed25519.PublicKey
	}
	return pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der})
}

// ParsePublicKey reads an Ed25519 public key: PEM text, or base64 of its 32
// octets or of what is in the PEM block. The error does not quote the text.
func ParsePublicKey(text string) (PublicKey, error) {
	text = strings.TrimSpace(text)
	if !strings.HasPrefix(text, "-----BEGIN ") {
		octets, err := base64.StdEncoding.DecodeString(text)
		switch {
		case err != nil:
			return PublicKey{}, errors.New("it is neither PEM text nor base64; give the public key that `sluice plugin sign --generate` printed, or file: and the path of its file")
		case len(octets) == ed25519.PublicKeySize:
			return checkPoint(octets)
		}
		return parsePKIX(octets)
	}
	block, rest := pem.Decode([]byte(text))
	switch {
	case block == nil:
		return PublicKey{}, errors.New("the PEM text is damaged")
	case strings.Contains(block.Type, "PRIVATE"):
		return PublicKey{}, errors.New("it is a private key, which belongs to who signs and to nobody else; give its public key")
	case block.Type != "PUBLIC KEY":
		return PublicKey{}, fmt.Errorf("a PEM block %.40q is no public key; it should be PUBLIC KEY", block.Type)
	case len(bytes.TrimSpace(rest)) > 0:
		return PublicKey{}, errors.New("something follows the key; give each key an entry of its own")
	}
	return parsePKIX(block.Bytes)
}

func parsePKIX(der []byte) (PublicKey, error) {
	parsed, err := x509.ParsePKIXPublicKey(der)
	if err != nil {
		return PublicKey{}, errors.New("the key cannot be read: it is damaged, or of an unknown kind")
	}
	key, ok := parsed.(ed25519.PublicKey)
	if !ok {
		return PublicKey{}, fmt.Errorf("it is a key of another kind (%T); modules are signed by Ed25519", parsed)
	}
	return checkPoint(key)
}

// checkPoint refuses keys of which anyone can make signatures: the points of
// small order, under which one signature fits many messages.
func checkPoint(key ed25519.PublicKey) (PublicKey, error) {
	if smallOrder[string(clearSign(key))] {
		return PublicKey{}, errors.New("it is no key: anyone could sign for it")
	}
	return PublicKey{bytes.Clone(key)}, nil
}

// clearSign clears the bit that tells a point from its negative.
func clearSign(key ed25519.PublicKey) []byte {
	out := bytes.Clone(key)
	out[len(out)-1] &= 0x7f
	return out
}

// smallOrder are the encodings of the points of order 1, 2, 4 and 8, without
// their sign, those that are not canonical included.
var smallOrder = func() map[string]bool {
	points := make(map[string]bool)
	for _, text := range []string{
		"0000000000000000000000000000000000000000000000000000000000000000",
		"0100000000000000000000000000000000000000000000000000000000000000",
		"26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05",
		"c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a",
		"ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
		"edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
		"eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
	} {
		octets, err := hex.DecodeString(text)
		if err != nil {
			panic(err)
		}
		points[string(octets)] = true
	}
	return points
}()

// PrivateKey signs modules. It prints as nothing of itself.
type PrivateKey struct{ key ed25519.PrivateKey }

// Format prints no key, whatever the verb.
func (k PrivateKey) Format(f fmt.State, _ rune) { _, _ = f.Write([]byte("[redacted]")) }

// GenerateKey makes a key.
func GenerateKey() (PrivateKey, error) {
	_, key, err := ed25519.GenerateKey(nil)
	return PrivateKey{key}, err
}

// ParsePrivateKey reads an Ed25519 private key from a PEM block PRIVATE KEY, as
// PEM writes it and `openssl genpkey -algorithm ed25519`. The error does not quote
// the text.
func ParsePrivateKey(text []byte) (PrivateKey, error) {
	block, _ := pem.Decode(text)
	switch {
	case block == nil:
		return PrivateKey{}, errors.New("it is no PEM text; make a key with `sluice plugin sign --generate`")
	case block.Type == "PUBLIC KEY":
		return PrivateKey{}, errors.New("it is a public key; signing takes the private one")
	case block.Type == "ENCRYPTED PRIVATE KEY":
		return PrivateKey{}, errors.New("it is encrypted; decrypt it with `openssl pkey`, and keep the result to yourself")
	case block.Type != "PRIVATE KEY":
		return PrivateKey{}, fmt.Errorf("a PEM block %.40q is no key that signs modules; make one with `sluice plugin sign --generate`", block.Type)
	}
	parsed, err := x509.ParsePKCS8PrivateKey(block.Bytes)
	if err != nil {
		return PrivateKey{}, errors.New("the key cannot be read: it is damaged, or of an unknown kind")
	}
	key, ok := parsed.(ed25519.PrivateKey)
	if !ok {
		return PrivateKey{}, errors.New("it is a key of another kind; modules are signed by Ed25519: make one with `sluice plugin sign --generate`")
	}
	return PrivateKey{key}, nil
}

// PEM is the key as a block PRIVATE KEY. It is a secret.
func (k PrivateKey) PEM() ([]byte, error) {
	der, err := x509.MarshalPKCS8PrivateKey(k.key)
	return pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}), err
}

// Public is the key's public part.
func (k PrivateKey) Public() PublicKey { return PublicKey{k.key.Public().(ed25519.PublicKey)} }

// Sign makes the text of a signature file of a module. The signatures of other keys in
// before, which may be nil, stay.
func Sign(key PrivateKey, wasm, before []byte) ([]byte, error) {
	lines, err := parseSignatures(before)
	if err != nil {
		return nil, err
	}
	mine := line{key.Public().ID(), ed25519.Sign(key.key, signed(sha256.Sum256(wasm)))}
	var out strings.Builder
	out.WriteString(signatureHead + "\n")
	count := 1
	for _, l := range lines {
		if l.id != mine.id {
			count++
			fmt.Fprintln(&out, l)
		}
	}
	if count > maxSignatures {
		return nil, fmt.Errorf("there would be %d signatures; at most %d", count, maxSignatures)
	}
	fmt.Fprintln(&out, mine)
	return []byte(out.String()), nil
}

// line is one signature: which key made it, and its 64 octets.
type line struct {
	id        string
	signature []byte
}

func (l line) String() string { return l.id + " " + base64.StdEncoding.EncodeToString(l.signature) }

// parseSignatures reads the text of a signature file; none of an empty one.
func parseSignatures(text []byte) ([]line, error) {
	if len(text) == 0 {
		return nil, nil
	}
	if len(text) > maxSignature {
		return nil, fmt.Errorf("the signature is larger than %d bytes", maxSignature)
	}
	rows := strings.Split(strings.TrimRight(string(text), "\r\n"), "\n")
	if strings.TrimSuffix(rows[0], "\r") != signatureHead {
		return nil, fmt.Errorf("the signature does not begin with the line %q", signatureHead)
	}
	if len(rows) == 1 || len(rows)-1 > maxSignatures {
		return nil, fmt.Errorf("the signature has %d lines after its first; there should be 1 to %d", len(rows)-1, maxSignatures)
	}
	var lines []line
	for i, row := range rows[1:] {
		id, encoded, _ := strings.Cut(strings.TrimSuffix(row, "\r"), " ")
		name, idErr := hex.DecodeString(id)
		octets, err := base64.StdEncoding.DecodeString(encoded)
		// A decoder skips line ends and odd bits: there is one text for a signature.
		if idErr != nil || len(name) != 8 || err != nil || len(octets) != ed25519.SignatureSize || base64.StdEncoding.EncodeToString(octets) != encoded {
			return nil, fmt.Errorf("line %d of the signature is damaged; it should be a key's 16 hex digits, a space, and 64 octets in base64", i+2)
		}
		lines = append(lines, line{strings.ToLower(id), octets})
	}
	return lines, nil
}
