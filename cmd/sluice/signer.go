package main

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"errors"
	"fmt"
	"strings"

	"github.com/go-jose/go-jose/v4"
)

// signer returns what signs tokens for a filter: its first key that can sign
// and, if kid is not "", has that kid.
func (f *FilterConfig) signer(kid string) (jose.Signer, error) {
	var why []string
	for i := range f.Keys {
		k := &f.Keys[i]
		key, err := k.signingKey(f.Dir)
		switch {
		case err != nil:
			why = append(why, fmt.Sprintf("keys[%d] %v", i, err))
			continue
		case kid != "" && kid != key.KeyID:
			why = append(why, fmt.Sprintf("keys[%d] has the kid %q", i, key.KeyID))
			continue
		}
		options := (&jose.SignerOptions{}).WithType("JWT")
		if key.KeyID != "" {
			options = options.WithHeader(jose.HeaderKey("kid"), key.KeyID) // the library leaves out that of a secret
		}
		signer, err := jose.NewSigner(jose.SigningKey{Algorithm: jose.SignatureAlgorithm(key.Algorithm), Key: key.Key}, options)
		if err != nil {
			return nil, fmt.Errorf("filter %s: keys[%d] cannot sign with %s", f.Name, i, key.Algorithm)
		}
		return signer, nil
	}
	if kid != "" {
		return nil, fmt.Errorf("filter %s has no key with the kid %q that can sign: %s", f.Name, kid, strings.Join(why, ", "))
	}
	return nil, fmt.Errorf("filter %s has no key that can sign: %s; tokens for it are made where the private key is, or add a key of its own for development: {alg: HS256, secret_base64: …}", f.Name, strings.Join(why, ", "))
}

// signingKey is the secret or private half of a key, with its algorithm and
// kid. The error is a verb and its object, and quotes nothing of the key.
func (k *KeyConfig) signingKey(dir string) (jose.JSONWebKey, error) {
	key := jose.JSONWebKey{KeyID: k.Kid, Algorithm: k.Alg}
	if k.Alg == "" && len(k.Algs) > 0 {
		key.Algorithm = k.Algs[0]
	}
	var err error
	switch {
	case k.Secret != "":
		key.Key = []byte(k.Secret)
	case k.SecretBase64 != "":
		key.Key, err = decodeSecret(string(k.SecretBase64))
	case k.PEM != "":
		key.Key, err = privatePEM(k.PEM, dir)
	case k.JWK != "":
		err = k.privateJWK(&key, dir)
	default:
		err = errors.New("is a set of public keys")
	}
	if err == nil && key.Algorithm == "" {
		key.Algorithm = usualAlgorithm(key.Key)
	}
	return key, err
}

func decodeSecret(text string) ([]byte, error) {
	text = strings.NewReplacer("-", "+", "_", "/").Replace(strings.TrimRight(strings.TrimSpace(text), "="))
	secret, err := base64.RawStdEncoding.DecodeString(text)
	if err != nil {
		return nil, errors.New("is not base64")
	}
	return secret, nil
}

var errPublic = errors.New("is a public key")

// privatePEM is the private key of PEM text, or of a file with it.
func privatePEM(value secretText, dir string) (crypto.PrivateKey, error) {
	text, err := keyText(value, "-----BEGIN ", dir)
	if err != nil {
		return nil, err
	}
	for rest := []byte(text); ; {
		var block *pem.Block
		if block, rest = pem.Decode(rest); block == nil {
			return nil, errPublic
		}
		var key any
		switch block.Type {
		case "PRIVATE KEY":
			key, err = x509.ParsePKCS8PrivateKey(block.Bytes)
		case "RSA PRIVATE KEY":
			key, err = x509.ParsePKCS1PrivateKey(block.Bytes)
		case "EC PRIVATE KEY":
			key, err = x509.ParseECPrivateKey(block.Bytes)
		default:
			continue
		}
		if err != nil {
			return nil, errors.New("is damaged")
		}
		return key, nil
	}
}

// privateJWK reads a JSON Web Key into key. What the configuration says of it
// goes before what it says itself.
func (k *KeyConfig) privateJWK(key *jose.JSONWebKey, dir string) error {
	text, err := keyText(k.JWK, "{", dir)
	if err != nil {
		return err
	}
	var own jose.JSONWebKey
	if own.UnmarshalJSON([]byte(text)) != nil {
		return errors.New("is not a JSON Web Key")
	}
	if _, secret := own.Key.([]byte); own.IsPublic() && !secret {
		return errPublic
	}
	key.Key = own.Key
	if own.KeyID != "" {
		key.KeyID = own.KeyID
	}
	if own.Algorithm != "" {
		key.Algorithm = own.Algorithm
	}
	return nil
}

// usualAlgorithm is the algorithm that the node binds a key to of which
// nothing says what it is for.
func usualAlgorithm(key any) string {
	switch k := key.(type) {
	case *rsa.PrivateKey:
		return string(jose.RS256)
	case *ecdsa.PrivateKey:
		return map[int]string{256: string(jose.ES256), 384: string(jose.ES384), 521: string(jose.ES512)}[k.Params().BitSize]
	case ed25519.PrivateKey:
		return string(jose.EdDSA)
	}
	return ""
}
