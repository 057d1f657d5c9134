package keys

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
)

// parsePEM takes the public key out of PEM text. The warning, if any, says
// what else the text has that should not be there or is not looked at.
func parsePEM(text []byte) (public crypto.PublicKey, warning string, err error) {
	var first string
	for {
		var block *pem.Block
		block, text = pem.Decode(text)
		switch {
		case block == nil && public == nil:
			return nil, "", errors.New("the PEM text holds no key; it should have a block -----BEGIN PUBLIC KEY-----")
		case block == nil:
			return public, warning, nil
		case block.Type == "EC PARAMETERS": // openssl puts it before a key
			continue
		case public != nil && first == "CERTIFICATE" && block.Type == "CERTIFICATE": // the rest of its chain
			continue
		case public != nil:
			return nil, "", errors.New("the PEM text holds more than one key; give each an entry of its own")
		}
		if public, warning, err = parseBlock(block); err != nil {
			return nil, "", err
		}
		first = block.Type
	}
}

func parseBlock(block *pem.Block) (public crypto.PublicKey, warning string, err error) {
	var private any
	switch block.Type {
	case "PUBLIC KEY":
		public, err = x509.ParsePKIXPublicKey(block.Bytes)
	case "RSA PUBLIC KEY":
		public, err = x509.ParsePKCS1PublicKey(block.Bytes)
	case "CERTIFICATE":
		var certificate *x509.Certificate
		if certificate, err = x509.ParseCertificate(block.Bytes); err == nil {
			public, warning = certificate.PublicKey, "only the public key of the certificate is used: neither its dates nor its issuer are checked"
		}
	case "PRIVATE KEY":
		private, err = x509.ParsePKCS8PrivateKey(block.Bytes)
	case "RSA PRIVATE KEY":
		private, err = x509.ParsePKCS1PrivateKey(block.Bytes)
	case "EC PRIVATE KEY":
		private, err = x509.ParseECPrivateKey(block.Bytes)
	default:
		return nil, "", fmt.Errorf("a PEM block %.40q is no public key; make one of a private key with `openssl pkey -pubout`", block.Type)
	}
	if err != nil {
		// The parser's own words may quote what it read.
		return nil, "", fmt.Errorf("the PEM block %q cannot be read: it is damaged, or of an unknown kind", block.Type)
	}
	if private != nil {
		warning = "it is a private key, of which only the public part is used; give the public key, and keep the private one with who signs"
		switch p := private.(type) {
		case *rsa.PrivateKey:
			public = &p.PublicKey
		case *ecdsa.PrivateKey:
			public = &p.PublicKey
		case ed25519.PrivateKey:
			public = p.Public()
		}
	}
	return public, warning, nil
}
