package main

import (
	"crypto/rand"
	_ "embed"
	"encoding/base64"
	"fmt"
	"io"
	"maps"
	"net/url"
	"strings"
	"time"
)

// devConfig is the configuration of --dev.
//
//go:embed dev.yaml
var devConfig []byte

const (
	devKey      = "DEV_KEY" // what devConfig calls the key of this run
	devKeyBytes = 32
	devExpires  = 12 * time.Hour // of the tokens in the links
)

// devUsers are those that --dev prints links for.
var devUsers = []string{"ann", "bob"}

// newDevKey makes the key of a run, which reloads keep.
func newDevKey() string {
	random := make([]byte, devKeyBytes)
	rand.Read(random) // never fails
	return base64.StdEncoding.EncodeToString(random)
}

// readDev reads dev.yaml as a layer, with the key of this run. It panics on errors: no
// user can cause one. Where the file has a key, the places stay the file's.
func (l *loaded) readDev(key string) map[string]any {
	r := &strictReader{
		file:    "dev.yaml",
		secrets: newSecrets([]string{devKey + "=" + key}),
		places:  make(map[string]place),
	}
	m := r.read(devConfig)
	if len(r.errs) > 0 {
		panic("cmd/sluice: " + r.errs.Error())
	}
	// A list of the file replaces that of dev.yaml as a whole.
	maps.DeleteFunc(r.places, func(path string, _ place) bool {
		top, _, _ := strings.Cut(path, "[")
		_, written := l.Places[top]
		return written
	})
	maps.Copy(l.Places, r.places)
	return m
}

// checkDev keeps a node for development on this machine: its page hands its
// links' tokens to whoever sees the terminal.
func (l *loaded) checkDev() error {
	if isLoopback(l.Listen) {
		return nil
	}
	var errs configErrors
	errs.add(l.placeOf("listen"), "listen", "%s is not on loopback, and --dev is for this machine alone; listen on 127.0.0.1, or serve a configuration without --dev", l.Listen)
	return errs
}

// printLinks prints a link to the demo page for each of devUsers.
func (n *node) printLinks(w io.Writer) error {
	if !n.config.Demo {
		return nil // the file, a variable or a flag switched the page off
	}
	page := url.URL{Scheme: "http", Host: n.clients.net.Addr().String(), Path: "/"}
	var links strings.Builder
	for _, user := range devUsers {
		who, err := n.devIdentity(user)
		if err != nil {
			n.log.Warn("no links with tokens", "error", err)
			_, err := fmt.Fprintf(w, "\nThe demo page, which asks for a token:\n\n  %s\n\n", &page)
			return err
		}
		// Behind # it stays in the browser: no server, proxy or log sees it.
		fmt.Fprintf(&links, "  %s  %s#%s\n\n", user, &page, who)
	}
	_, err := fmt.Fprintf(w, "\nTo chat with yourself, open each of these in a tab of its own:\n\n%s", &links)
	if err == nil && !n.router.Unauthenticated() {
		_, err = fmt.Fprintf(w, "Whoever has a link is its user for %d hours, as long as the key stays the same.\n\n", int(devExpires.Hours()))
	}
	return err
}

// devIdentity is what the fragment of a link says: a token or, on a node that
// authenticates nobody, a name.
func (n *node) devIdentity(user string) (string, error) {
	if n.router.Unauthenticated() {
		return "name=" + user, nil
	}
	name := strings.ToUpper(user[:1]) + user[1:]
	token, err := n.config.mint(&tokenRequest{User: user, Expires: devExpires, Claims: []string{"name=" + name}})
	return "token=" + token, err
}
