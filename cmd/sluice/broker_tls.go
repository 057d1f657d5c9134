package main

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"path/filepath"
	"strings"
)

// tlsError is what is wrong with TLS, and with which of its keys.
type tlsError struct{ key, text string }

const pemMark = "-----BEGIN"

// tlsDirs are what the paths of a RedisTLSConfig are relative to.
type tlsDirs struct{ ca, cert, key string }

// dirs are the folders of the files that have the keys of a section tls, or for
// variables and flags the working directory.
func (l *loaded) dirs(path string) tlsDirs {
	dir := func(key string) string {
		if at := l.placeOf(path + "." + key); at.File != "" {
			return filepath.Dir(at.File)
		}
		return "."
	}
	return tlsDirs{dir("ca"), dir("cert"), dir("key")}
}

// config is the TLS of a connection to Redis; nil: none. A certificate that was given as files is read anew for each connection,
// for short-lived ones are replaced while the node runs.
func (c *RedisTLSConfig) config(in tlsDirs) (*tls.Config, *tlsError) {
	if !c.Enabled {
		return nil, nil
	}
	config := &tls.Config{MinVersion: tls.VersionTLS12, ServerName: c.ServerName}
	if c.CA != "" {
		text, err := pemText(c.CA, in.ca)
		if err != nil {
			return nil, &tlsError{"ca", err.Error()}
		}
		config.RootCAs = x509.NewCertPool()
		if !config.RootCAs.AppendCertsFromPEM(text) {
			return nil, &tlsError{"ca", "has no certificate as PEM; it begins with -----BEGIN CERTIFICATE-----"}
		}
	}
	switch {
	case c.Cert == "" && c.Key == "":
		return config, nil
	case c.Cert == "":
		return nil, &tlsError{"key", "needs cert, the certificate that it belongs to"}
	case c.Key == "":
		return nil, &tlsError{"cert", "needs key, its private key"}
	}
	pair, wrong := c.pair(in)
	if wrong != nil {
		return nil, wrong
	}
	config.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) {
		if renewed, wrong := c.pair(in); wrong == nil {
			return renewed, nil
		}
		return pair, nil // one file is written before the other: the next connection has both
	}
	return config, nil
}

func (c *RedisTLSConfig) pair(in tlsDirs) (*tls.Certificate, *tlsError) {
	cert, err := pemText(c.Cert, in.cert)
	if err != nil {
		return nil, &tlsError{"cert", err.Error()}
	}
	key, err := pemText(string(c.Key), in.key)
	if err != nil {
		// The value may be damaged key text rather than a path.
		return nil, &tlsError{"key", "its file cannot be read"}
	}
	pair, err := tls.X509KeyPair(cert, key)
	if err != nil {
		return nil, &tlsError{"cert", "it and key are not a certificate and its private key as PEM"}
	}
	return &pair, nil
}

// pemText is the value itself if it is PEM, else what is in the file that it names.
func pemText(value, dir string) ([]byte, error) {
	value = strings.TrimSpace(value)
	if strings.HasPrefix(value, pemMark) {
		return []byte(value), nil
	}
	if strings.ContainsAny(value, "\r\n") {
		return nil, errors.New("is neither PEM, which begins with " + pemMark + ", nor the path of a file")
	}
	if !filepath.IsAbs(value) {
		value = filepath.Join(dir, value)
	}
	return readSmall(value, maxConfigFile)
}
