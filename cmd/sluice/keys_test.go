package main

import (
	"encoding/json"
	"fmt"
	"log/slog"
	"strings"
	"testing"
)

func TestNoKeyIsInAnyErrorAboutIt(t *testing.T) {
	const key = "hunter2"
	for _, text := range []string{
		"secret: 1" + strings.Repeat("0", 3) + "4711",
		"secret: hunter2",
		"secret: [hunter2]",
		"secret: {hunter2: 1}",
		"secret: !!binary hunter2",
		"secret: hunter2, alg: HS256",
		"secret_base64: \"hunter2 %%\", alg: HS256",
		"pem: hunter2",
		"pem: \"-----BEGIN PRIVATE KEY-----\\nhunter2\\n-----END PRIVATE KEY-----\\n\"",
		"jwk: hunter2",
		"jwk: '{\"kty\":\"oct\",\"k\":\"hunter2\"}'",
		"jwks: hunter2",
		"jwks: '{\"keys\":[{\"kty\":\"oct\",\"k\":\"hunter2\"}]}'",
		"jwks: \"https://ann:hunter2@id.example.org:port/\"",
		"jwks: \"http://id.example.org/?key=hunter2\"",
	} {
		_, err := loadText(t, "filters:\n  - name: auth\n    plugin: builtin:auth\n    keys:\n      - {"+text+"}\n")
		if err == nil {
			t.Errorf("%s is accepted", text)
			continue
		}
		// A key of YAML is no value: it is named.
		if message := err.Error(); !strings.Contains(text, "{hunter2") && (strings.Contains(message, key) || strings.Contains(message, "4711")) {
			t.Errorf("%s: %s", text, message)
		}
		if !strings.Contains(err.Error(), "config.yaml:5: filters[0].keys[0]") {
			t.Errorf("%s: the place is missing: %s", text, err)
		}
	}
}

func TestAConfigurationWithKeysPrintsNone(t *testing.T) {
	l, err := loadText(t, "filters:\n  - {name: auth, plugin: \"builtin:auth\", keys: [{alg: HS256, secret: \"0123456789 the secret that is not shown\"}]}\n")
	if err != nil {
		t.Fatal(err)
	}
	encoded, err := json.Marshal(l.Config)
	if err != nil {
		t.Fatal(err)
	}
	var logged strings.Builder
	slog.New(slog.NewTextHandler(&logged, nil)).Info("x", "config", l.Config, "keys", l.Filters[0].Keys)
	for _, text := range []string{fmt.Sprintf("%v %+v %#v %q", l, l.Config, l.Config, l.Filters[0].Keys[0].Secret), string(encoded), logged.String()} {
		if strings.Contains(text, "not shown") {
			t.Errorf("the secret is in %s", text)
		}
	}
}

func TestDefaultGrantsAreAbsentOrExactlyWhatIsWritten(t *testing.T) {
	for text, want := range map[string]bool{"anonymous: false\n": false, "default_grants:\n": false, "default_grants: []\n": true, "default_grants: [{allow: [broadcast]}]\n": true} {
		l, err := loadText(t, text)
		if err != nil {
			t.Fatalf("%q: %v", text, err)
		}
		g, err := l.defaultGrants()
		if err != nil || (g != nil) != want {
			t.Errorf("%q: %+v, %v", text, g, err)
		}
	}
}
