package main

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/coder/websocket"
)

// devArgs are those of a node for development on a free port.
func devArgs(t *testing.T, more ...string) []string {
	t.Helper()
	return append([]string{"serve", "--dev", "--listen", "127.0.0.1:0", "--admin-listen", "off", "--log-format", "json", "--cache", t.TempDir()}, more...)
}

var linkLine = regexp.MustCompile(`(?m)^  (\w+)  (http://\S+)$`)

// links are what a node for development printed, by user.
func links(t *testing.T, output string) map[string]*url.URL {
	t.Helper()
	found := make(map[string]*url.URL)
	for _, m := range linkLine.FindAllStringSubmatch(output, -1) {
		u, err := url.Parse(m[2])
		if err != nil {
			t.Fatal(err)
		}
		found[m[1]] = u
	}
	return found
}

// enter connects as the demo page does, with the token as a subprotocol.
func (n *running) enter(token string) (*client, *http.Response, error) {
	n.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	conn, response, err := websocket.Dial(ctx, "ws://"+n.clients+"/ws", &websocket.DialOptions{Subprotocols: []string{"sluice.v1", "sluice.token." + token}})
	if err != nil {
		return nil, response, err
	}
	n.t.Cleanup(func() { conn.CloseNow() })
	if conn.Subprotocol() != "sluice.v1" {
		n.t.Errorf("the node selected the subprotocol %q", conn.Subprotocol())
	}
	return &client{n.t, conn}, response, nil
}

func TestForDevelopmentNoConfigurationIsNeededAndNoneIsReadUnlessNamed(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "config.yaml"), []byte("listen: nonsense\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	t.Chdir(dir)
	var out bytes.Buffer
	n := run(t, nil, &out, devArgs(t)...)
	n.stop()
	n.wait()
	found := links(t, out.String())
	if len(found) != 2 || found["ann"] == nil || found["bob"] == nil {
		t.Fatalf("it printed %s", &out)
	}
	for user, link := range found {
		if link.RawQuery != "" || !strings.HasPrefix(link.Fragment, "token=") || link.Host != n.clients {
			t.Errorf("%s: the token is not behind # alone: %s", user, link)
		}
	}
	if strings.Contains(n.logText(), "eyJ") {
		t.Errorf("a token is in the log:\n%s", n.logText())
	}
}

func TestForDevelopmentTheLinksUsersMayChatAndNoMore(t *testing.T) {
	out := new(lockedBuffer)
	n := run(t, nil, out, devArgs(t)...)
	found := links(t, out.String())
	var clients []*client
	for _, user := range devUsers {
		c, _, err := n.enter(strings.TrimPrefix(found[user].Fragment, "token="))
		if err != nil {
			t.Fatal(err)
		}
		if e := c.await("welcome"); e.UserID != user {
			t.Errorf("%s is welcomed as %s", user, e.UserID)
		}
		c.send(`{"type":"join_room","room":"chat:lobby"}`)
		c.await("joined")
		clients = append(clients, c)
	}
	ann, bob := clients[0], clients[1]
	ann.send(`{"type":"room_message","room":"chat:lobby","content":{"text":"hi"}}`)
	if e := bob.await("chat"); e.From != "ann" {
		t.Errorf("got %+v", e)
	}
	ann.send(`{"type":"presence","room":"chat:lobby"}`)
	if e := ann.await("presence"); e.Total != 2 {
		t.Errorf("got %+v", e)
	}
	ann.send(`{"type":"direct_message","target_user":"bob","content":"psst"}`)
	bob.await("chat")
	for frame, want := range map[string]event{
		`{"type":"room_message","room":"chat:lobby","content":{"text":"` + strings.Repeat("x", 5000) + `"}}`: {Code: "too_large", Filter: "size"},
		`{"type":"room_message","room":"chat:lobby","content":{"text":"` + strings.Repeat("x", 501) + `"}}`:  {Code: "invalid", Filter: "validate"},
		`{"type":"room_message","room":"chat:lobby","content":42}`:                                           {Code: "invalid", Filter: "validate"},
		`{"type":"join_room","room":"staff:payroll"}`:                                                        {Code: "forbidden"},
		`{"type":"chat","content":"to everyone"}`:                                                            {Code: "forbidden"},
	} {
		ann.send(frame)
		if e := ann.await("error"); e.Code != want.Code || e.Filter != want.Filter || e.Reason == "" {
			t.Errorf("%.60s: got %+v", frame, e)
		}
	}
	if _, response, err := n.enter("nonsense"); err == nil || response == nil || response.StatusCode != http.StatusUnauthorized {
		t.Errorf("a token that is none is answered with %v, %v", response, err)
	}
}

func TestForDevelopmentEveryRunHasAKeyOfItsOwnThatIsNotShown(t *testing.T) {
	seen := make(map[string]bool)
	for range 3 {
		l, err := load(sources{Dev: true})
		if err != nil {
			t.Fatal(err)
		}
		key := string(l.Filters[0].Keys[0].SecretBase64)
		if raw, err := base64.StdEncoding.DecodeString(key); err != nil || len(raw) != devKeyBytes {
			t.Errorf("the key has %d bytes, %v", len(raw), err)
		}
		seen[key] = true
	}
	if len(seen) != 3 {
		t.Error("two runs have the same key")
	}
}

func TestForDevelopmentAFileThatIsNamedGoesOverTheRest(t *testing.T) {
	path := filepath.Join(t.TempDir(), "mine.yaml")
	text := "demo: false\ndefault_grants:\n  - {allow: [broadcast]}\n  - {rooms: a, allow: [join]}\n"
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	// Many times: a map of places, whose order is random, is read on the way.
	for range 20 {
		l, err := load(sources{Dev: true, File: path})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := l.defaultGrants(); err != nil || l.Demo || len(l.Filters) != 3 || len(l.DefaultGrants) != 2 || l.DefaultGrants[0].Rooms != "" {
			t.Fatalf("%v, %+v", err, l.Config)
		}
	}
}

func TestForDevelopmentTheLinksFitTheFiltersOfAFileThatIsNamed(t *testing.T) {
	for filters, want := range map[string]string{
		`[]`: `#name=ann\n`,
		`[{name: own, plugin: "builtin:auth", keys: [{alg: HS256, secret: "of more than thirty-two bytes, for tests"}]}]`: `#token=eyJ\S+\n`,
		`[{name: own, plugin: "builtin:auth", keys: [{jwks: "http://127.0.0.1:1/keys", when_down: wait}]}]`:               `which asks for a token:\n\n  http://127.0.0.1:\d+/\n`,
	} {
		path := filepath.Join(t.TempDir(), "mine.yaml")
		if err := os.WriteFile(path, []byte("filters: "+filters+"\n"), 0o600); err != nil {
			t.Fatal(err)
		}
		out := new(lockedBuffer)
		run(t, nil, out, devArgs(t, "--config", path)...)
		if !regexp.MustCompile(want).MatchString(out.String()) {
			t.Errorf("%s: it printed %s", filters, out)
		}
	}
}

func TestForDevelopmentOnlyThisMachineIsServed(t *testing.T) {
	var out, errOut bytes.Buffer
	if code := Main(context.Background(), []string{"serve", "--dev", "--listen", ":0"}, nil, nil, &out, &errOut); code != 1 || out.Len() > 0 ||
		errOut.String() != "flag --listen: listen: :0 is not on loopback, and --dev is for this machine alone; listen on 127.0.0.1, or serve a configuration without --dev\n" {
		t.Errorf("exit %d: %s%s", code, &out, &errOut)
	}
}

func TestTheDemoPageIsServedOnlyWhenAskedFor(t *testing.T) {
	for config, want := range map[string]int{"": http.StatusNotFound, "demo: true\n": http.StatusOK} {
		n := start(t, config)
		if code, body := n.get(n.clients + "/"); code != want || want == http.StatusOK && !strings.Contains(body, "<title>Sluice demo</title>") {
			t.Errorf("%q: %d %.80s", config, code, body)
		}
		if code, _ := n.get(n.admin + "/demo.js"); code != http.StatusNotFound {
			t.Errorf("the admin listener serves the page: %d", code)
		}
	}
}

func TestANodeAdmitsWhoHasATokenThatTheCommandMade(t *testing.T) {
	config := "filters:\n  - {name: auth, plugin: \"builtin:auth\", keys: [{alg: HS512, secret: \"${KEY}\", kid: k}], config: {issuer: me, audience: [chat, other], required: {tenant: 7}}}\n"
	n := start(t, config, "KEY="+testSecret)
	path := filepath.Join(t.TempDir(), "config.yaml")
	if err := os.WriteFile(path, []byte(config), 0o600); err != nil {
		t.Fatal(err)
	}
	var out, errOut bytes.Buffer
	args := []string{"token", "--config", path, "--user", "ann", "--grants", `[{"rooms":"of:${user}","allow":["join"]}]`}
	if code := Main(context.Background(), args, []string{"KEY=" + testSecret}, nil, &out, &errOut); code != 0 {
		t.Fatalf("exit %d: %s", code, &errOut)
	}
	c, _, err := n.enter(strings.TrimSpace(out.String()))
	if err != nil {
		t.Fatal(err)
	}
	if e := c.await("welcome"); e.UserID != "ann" {
		t.Errorf("got %+v", e)
	}
	c.send(`{"type":"join_room","room":"of:bob","id":"other"}`)
	if e := c.await("error"); e.Code != "forbidden" {
		t.Errorf("got %+v", e)
	}
	c.send(`{"type":"join_room","room":"of:ann"}`)
	c.await("joined")
}

func TestTheConfigurationForDevelopmentIsInTheFormOfAnyOther(t *testing.T) {
	l, err := load(sources{Dev: true})
	if err != nil {
		t.Fatal(err)
	}
	if !l.Demo || len(l.Rooms) != 1 || !l.Rooms[0].Presence || len(l.DefaultGrants) != 2 || len(l.Filters) != 3 {
		t.Errorf("got %+v", l.Config)
	}
	var rules struct{ Rules []struct{ Rooms []string } }
	if err := json.Unmarshal(l.Filters[2].Config, &rules); err != nil || len(rules.Rules) != 1 || rules.Rules[0].Rooms[0] != "chat:*" {
		t.Errorf("validate has %s, %v", l.Filters[2].Config, err)
	}
}
