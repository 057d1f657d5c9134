package source

import (
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/hex"
	"strings"
)

// Trust is what a node demands of the modules that it loads. The zero value
// demands nothing.
type Trust struct {
	// Keys are those by which a module may be signed. If there are any, a
	// module's signature is checked where it has one.
	Keys []PublicKey

	// RequireSignatures refuses modules that no key of Keys has signed.
	RequireSignatures bool

	// RequirePins refuses modules of which the configuration does not say the
	// digest.
	RequirePins bool
}

// looks reports whether signatures matter.
func (t *Trust) looks() bool { return len(t.Keys) > 0 || t.RequireSignatures }

// checkPinned refuses a reference that anything could be behind.
func (t *Trust) checkPinned(q *Request, ref *reference) *Refusal {
	if !t.RequirePins || q.SHA256 != "" || ref.fixed() {
		return nil
	}
	return refuse(unpinned, "add sha256: to its entry; `sluice plugin inspect` prints it", "it is not pinned, and require_pins is set")
}

// check holds a module against the pin and the keys. signedBy is the ID of a
// trusted key that signed it, "" if none did and none had to.
func (t *Trust) check(wasm, signature []byte, pin string) (signedBy string, refused *Refusal) {
	if refused := CheckPin(wasm, pin); refused != nil {
		return "", refused
	}
	if !t.looks() {
		return "", nil
	}
	return t.checkSignature(sha256.Sum256(wasm), signature)
}

// CheckPin refuses a module that has another SHA-256 than pin, if that is not "".
func CheckPin(wasm []byte, pin string) *Refusal {
	if pin == "" {
		return nil
	}
	want, err := ParseDigest(pin)
	if err != nil {
		return refuse(badText, "", "sha256: %v", err)
	}
	if digest := sha256.Sum256(wasm); digest != want {
		return refuse(wrongPin, "if the module was meant to change, correct sha256; if not, find out who changed it",
			"its SHA-256 is %s, and the configuration says %s", hex.EncodeToString(digest[:]), hex.EncodeToString(want[:]))
	}
	return nil
}

func (t *Trust) checkSignature(digest [sha256.Size]byte, signature []byte) (signedBy string, refused *Refusal) {
	if len(signature) == 0 {
		if t.RequireSignatures {
			return "", refuse(unsigned, "sign it with `sluice plugin sign`, and put the signature beside it", "it is not signed, and require_signatures is set")
		}
		return "", nil
	}
	lines, err := parseSignatures(signature)
	if err != nil {
		return "", refuse(wrongSign, "sign it anew with `sluice plugin sign`", "%v", err)
	}
	message := signed(digest)
	var others []string
	known := ""
	for _, l := range lines {
		found := false
		for _, k := range t.Keys {
			if k.ID() != l.id {
				continue
			}
			found = true
			if ed25519.Verify(k.key, message, l.signature) {
				return l.id, nil
			}
			known = l.id
		}
		if !found {
			others = append(others, l.id)
		}
	}
	if known != "" {
		return "", refuse(wrongSign, "sign this very file with `sluice plugin sign`; if it should be signed already, find out who changed it",
			"its signature by the key %s is of another module", known)
	}
	return "", refuse(untrusted, "add the key to trusted_keys if you trust it, or sign with one that is there",
		"it is signed by %s, and none of trusted_keys is that key", strings.Join(others, ", "))
}
