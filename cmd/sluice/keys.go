package main

import (
	"errors"
	"fmt"
	"path/filepath"
	"strings"

	"sluice/plugins/keys"
)

// keySpecs are the keys of a filter as plugins/keys reads them.
func (l *loaded) keySpecs(filter int) []keys.Spec {
	f := &l.Filters[filter]
	if len(f.Keys) == 0 {
		return nil
	}
	specs := make([]keys.Spec, len(f.Keys))
	for i, k := range f.Keys {
		specs[i] = keys.Spec{
			Alg: k.Alg, Algs: k.Algs, Kid: k.Kid,
			Secret:       keys.NewSecret(string(k.Secret)),
			SecretBase64: keys.NewSecret(string(k.SecretBase64)),
			PEM:          keys.NewSecret(string(k.PEM)),
			JWK:          keys.NewSecret(string(k.JWK)),
			JWKS:         keys.NewSecret(string(k.JWKS)),
			Refresh:      k.Refresh,
			Dir:          f.Dir,
		}
		// The default is none of a key that has no URL.
		if _, written := l.Places[fmt.Sprintf("filters[%d].keys[%d].when_down", filter, i)]; written {
			specs[i].WhenDown = k.WhenDown
		}
	}
	return specs
}

// keys checks a filter's keys. It reads their files, and fetches nothing.
func (v *validator) keys(filter int) {
	path := fmt.Sprintf("filters[%d].keys", filter)
	specs := v.l.keySpecs(filter)
	if len(specs) == 0 {
		if _, written := v.l.Places[path]; written {
			v.fail(path, "the list is empty; add a key, or leave keys out")
		}
		return
	}
	set, err := keys.NewSet(specs, keys.Options{})
	if err == nil {
		set.Close()
		return
	}
	text := err.Error()
	var entry int
	if _, scanErr := fmt.Sscanf(text, "keys[%d]: ", &entry); scanErr == nil {
		text = strings.TrimPrefix(text, fmt.Sprintf("keys[%d]: ", entry))
		path = fmt.Sprintf("%s[%d]", path, entry)
	}
	v.fail(path, "%s", strings.TrimPrefix(text, "keys: "))
}

// keyText is the text of a pem or jwk, which is the value itself if it begins
// with mark, or else in the file that it names. The value was validated.
func keyText(value secretText, mark, dir string) (string, error) {
	text := strings.TrimSpace(string(value))
	if strings.HasPrefix(text, mark) {
		return text, nil
	}
	if !filepath.IsAbs(text) {
		text = filepath.Join(dir, text)
	}
	data, err := readSmall(text, maxConfigFile)
	if err != nil {
		// The value may be damaged key text rather than a path.
		return "", errors.New("its file cannot be read")
	}
	return string(data), nil
}
