package main

import (
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"

	"sluice/plugins/source"
)

// trust is what is demanded of filters.
func (l *loaded) trust() *source.Trust {
	t := &source.Trust{RequireSignatures: l.RequireSignatures, RequirePins: l.RequirePins}
	for _, text := range l.TrustedKeys {
		key, err := source.ParsePublicKey(text)
		if err != nil {
			continue // validated before
		}
		t.Keys = append(t.Keys, key)
	}
	return t
}

// trust checks the keys by which filters are signed.
func (v *validator) trust() {
	for i, text := range v.l.TrustedKeys {
		if _, err := source.ParsePublicKey(text); err != nil {
			v.fail(fmt.Sprintf("trusted_keys[%d]", i), "%v", err)
		}
	}
	if v.l.RequireSignatures && len(v.l.TrustedKeys) == 0 {
		v.fail("require_signatures", "there are no trusted_keys: no filter could be loaded; add the public key that `sluice plugin sign --generate` printed")
	}
}

// plugin checks where a filter is and what its digest has to be, without
// looking there. path is that of the section that has the two.
func (v *validator) plugin(path, plugin, digest string) {
	if !strings.HasPrefix(plugin, "builtin:") {
		if err := source.CheckReference(plugin); err != nil {
			v.fail(path+".plugin", "%v", err)
		}
	}
	if digest == "" {
		return
	}
	if _, err := source.ParseDigest(digest); err != nil {
		v.fail(path+".sha256", "%v", err)
	}
}

// filterSources reads filters from where they are, and keeps what it fetched
// beside the compiled ones.
func (l *loaded) filterSources(log *slog.Logger) *source.Reader {
	o := source.Options{Log: log, Credentials: registryPasswords()}
	if dir := l.cacheDir(); dir != "" {
		o.Dir = filepath.Join(dir, "sources")
	}
	return source.New(o)
}

// registryPasswords is the file in which docker and oras keep the passwords of
// registries; "" where there is no home for it.
func registryPasswords() string {
	dir := os.Getenv("DOCKER_CONFIG")
	if dir == "" {
		home, err := os.UserHomeDir()
		if err != nil {
			return ""
		}
		dir = filepath.Join(home, ".docker")
	}
	return filepath.Join(dir, "config.json")
}
