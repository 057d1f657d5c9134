package main

import (
	"bytes"
	"context"
	"crypto/tls"
	"fmt"
	"net"
	"net/http"
	"path/filepath"
	"strings"
	"testing"

	"github.com/redis/go-redis/v9"

	"sluice/router/redisbroker/redistest"
)

// documentedUsers are the commands of docs/operations.md that make users: the one
// of Redis, and the one of sentinels.
func documentedUsers(t *testing.T) (ofRedis, ofSentinels []string) {
	t.Helper()
	blocks := fencedBlocks(t, "../../docs/operations.md", "acl")
	if len(blocks) != 2 {
		t.Fatalf("the document has %d users", len(blocks))
	}
	for i, command := range blocks {
		if !strings.HasPrefix(command, "ACL SETUSER sluice on >PASSWORD ") {
			t.Fatalf("the document has %q", command)
		}
		blocks[i] = strings.Replace(command, ">PASSWORD", ">secret", 1)
	}
	return strings.Fields(blocks[0]), strings.Fields(blocks[1])
}

// documentedUser is the user as options of redis-server.
func documentedUser(t *testing.T) []string {
	t.Helper()
	command, _ := documentedUsers(t)
	return append([]string{"--user"}, command[2:]...)
}

// everything has two nodes do all that needs Redis, for the round-th time.
func everything(t *testing.T, a, b *running, round int) {
	t.Helper()
	ann, bob := a.dial("/ws?client_id=ann"), b.dial("/ws?client_id=bob")
	for _, room := range []string{"kept", "plain", "room {1}% ü"} {
		ann.enter(room)
		bob.enter(room)
		ann.send(fmt.Sprintf(`{"type":"room_message","room":%q,"content":%d,"key":"%s %d"}`, room, round, room, round))
		bob.hears(fmt.Sprint(round))
		ann.send(fmt.Sprintf(`{"type":"presence","room":%q}`, room))
		if e := ann.await("presence"); e.Total != 2 {
			t.Errorf("in %s: %+v", room, e)
		}
	}
	bob.send(`{"type":"history","room":"kept"}`)
	if e := bob.await("history"); len(e.Messages) != round {
		t.Errorf("got %+v", e)
	}
	bob.send(`{"type":"direct_message","target_user":"ann","content":"direct"}`)
	ann.hears(`"direct"`)
	ann.send(`{"type":"chat","content":"to all"}`)
	bob.hears(`"to all"`)
	until(t, "both nodes are in the list", func() bool {
		_, body := a.get(a.admin + "/api/info")
		return strings.Contains(body, `"id":"a"`) && strings.Contains(body, `"id":"b"`)
	})
	until(t, "the rooms are in the list", func() bool {
		_, body := a.get(a.admin + "/api/rooms")
		return strings.Contains(body, `"kept"`) && strings.Contains(body, `"plain"`)
	})
	if status, answer := postJSON(t, "http://"+a.admin+"/api/unsubscribe", `{"user":"bob","room":"plain"}`); status != http.StatusOK {
		t.Fatalf("got %d %s", status, answer)
	}
	bob.await("left")
	bob.conn.CloseNow()
	until(t, "bob is gone", func() bool {
		ann.send(`{"type":"presence","room":"kept"}`)
		return ann.await("presence").Total == 1
	})
}

// refusedTo are the commands, keys and channels that Redis refused to the user.
func refusedTo(t *testing.T, c *redis.Client, user string) (refused []string) {
	t.Helper()
	entries, err := c.ACLLog(t.Context(), 100).Result()
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		if e.Username == user {
			refused = append(refused, e.Reason+" "+e.Object+" ("+e.Context+")")
		}
	}
	return refused
}

func TestANodeNeedsNoMoreRightsThanTheDocumentedUser(t *testing.T) {
	s := redistest.Start(t, documentedUser(t)...)
	as := addressOf(s) + ", username: sluice, password: secret"
	a, b := start(t, onRedis("a", as)), start(t, onRedis("b", as))
	for _, n := range []*running{a, b} {
		n.awaitReady(http.StatusOK)
	}
	admin := s.Client(t)
	everything(t, a, b, 1)
	if err := admin.ScriptFlush(t.Context()).Err(); err != nil {
		t.Fatal(err)
	}
	if err := admin.ClientKillByFilter(t.Context(), "TYPE", "pubsub").Err(); err != nil {
		t.Fatal(err)
	}
	for _, n := range []*running{a, b} {
		until(t, "the subscriptions are back", func() bool { return strings.Contains(n.logText(), "was restored") })
		n.awaitReady(http.StatusOK)
	}
	everything(t, a, b, 2)
	if refused := refusedTo(t, admin, "sluice"); len(refused) > 0 {
		t.Errorf("Redis refused %s", strings.Join(refused, "; "))
	}
	if err := admin.Do(t.Context(), "acl", "setuser", "sluice", "-evalsha").Err(); err != nil {
		t.Fatal(err)
	}
	ann := a.dial("/ws?client_id=ann")
	ann.enter("kept")
	ann.send(`{"type":"room_message","room":"kept","content":1,"id":1}`)
	ann.await("error")
	if refused := refusedTo(t, admin, "sluice"); len(refused) == 0 {
		t.Error("Redis does not say what it refuses: the test above says nothing")
	}
}

func TestInAClusterTheDocumentedUserIsEnoughToo(t *testing.T) {
	c := redistest.StartCluster(t, 3, 0, documentedUser(t)...)
	as := fmt.Sprintf("mode: cluster, addresses: [%q], username: sluice, password: secret, partitions: 16", c.Nodes[0].Addr)
	a, b := start(t, onRedis("a", as)), start(t, onRedis("b", as))
	for _, n := range []*running{a, b} {
		n.awaitReady(http.StatusOK)
	}
	everything(t, a, b, 1)
	for _, s := range c.Nodes {
		if refused := refusedTo(t, s.Client(t), "sluice"); len(refused) > 0 {
			t.Errorf("Redis refused %s", strings.Join(refused, "; "))
		}
	}
}

func TestTheDocumentedUserOfSentinelsIsEnough(t *testing.T) {
	g := redistest.StartSentinel(t, documentedUser(t)...)
	_, command := documentedUsers(t)
	args := make([]any, len(command))
	for i, word := range command {
		args[i] = word
	}
	for _, s := range g.Sentinels {
		if err := s.Client(t).Do(t.Context(), args...).Err(); err != nil {
			t.Fatal(err)
		}
	}
	as := fmt.Sprintf("mode: sentinel, master: "+redistest.MasterName+", addresses: [%s], username: sluice, password: secret, sentinel_username: sluice, sentinel_password: secret", strings.Join(g.Addrs(), ", "))
	a, b := start(t, onRedis("a", as)), start(t, onRedis("b", as))
	for _, n := range []*running{a, b} {
		n.awaitReady(http.StatusOK)
	}
	everything(t, a, b, 1)
	for _, s := range append(g.Sentinels, g.Master()) {
		if refused := refusedTo(t, s.Client(t), "sluice"); len(refused) > 0 {
			t.Errorf("%s refused %s", s.Addr, strings.Join(refused, "; "))
		}
	}
}

func TestNodesMeetOverTLSWithCertificatesOnBothSides(t *testing.T) {
	dir := t.TempDir()
	identity(t, dir, 1)
	in := func(name string) string { return filepath.Join(dir, name) }
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := l.Addr().String()
	l.Close()
	_, port, _ := net.SplitHostPort(address)
	s := redistest.Start(t, "--tls-port", port, "--tls-cert-file", in("cert.pem"), "--tls-key-file", in("key.pem"), "--tls-ca-cert-file", in("cert.pem"), "--tls-auth-clients", "yes")
	if conn, err := tls.Dial("tcp", address, &tls.Config{InsecureSkipVerify: true}); err == nil {
		conn.Close()
	} else {
		t.Fatalf("%s was taken meanwhile, or this Redis has no TLS: %v\n%s", address, err, s.Log())
	}
	secured := fmt.Sprintf("addresses: [%q], tls: {enabled: true, ca: %s, cert: %s, key: %s}", address, in("cert.pem"), in("cert.pem"), in("key.pem"))
	a, b := start(t, onRedis("a", secured)), start(t, onRedis("b", secured))
	for _, n := range []*running{a, b} {
		n.awaitReady(http.StatusOK)
	}
	everything(t, a, b, 1)

	// Whoever does not trust the certificate says so, and does not go on in the clear.
	checked := func(keys string) (int, string) {
		path := filepath.Join(t.TempDir(), "config.yaml")
		writeFile(t, path, onRedis("c", keys))
		var out, errOut bytes.Buffer
		code := Main(context.Background(), []string{"check", "--connect", "--config", path, "--cache", "off"}, nil, nil, &out, &errOut)
		return code, out.String() + errOut.String()
	}
	if code, text := checked(secured); code != 0 || !strings.Contains(text, "messages come back") {
		t.Errorf("%d %s", code, text)
	}
	if code, text := checked(fmt.Sprintf("addresses: [%q], tls: {enabled: true}", address)); code != 1 || !strings.Contains(text, "certificate") {
		t.Errorf("%d %s", code, text)
	}
	if code, text := checked(fmt.Sprintf("addresses: [%q], tls: {enabled: true}", s.Addr)); code != 1 || !strings.Contains(text, "TLS") {
		t.Errorf("%d %s", code, text)
	}
}

func TestCheckConnectsIfItIsAskedTo(t *testing.T) {
	s := redistest.Start(t)
	path := filepath.Join(t.TempDir(), "config.yaml")
	writeFile(t, path, onRedis("a", addressOf(s)))
	check := func(args ...string) (int, string) {
		var out, errOut bytes.Buffer
		code := Main(t.Context(), append([]string{"check", "--config", path, "--cache", "off"}, args...), nil, nil, &out, &errOut)
		return code, out.String() + errOut.String()
	}
	if code, text := check("--connect"); code != 0 || !strings.Contains(text, "broker   redis, standalone "+s.Addr+": it answers, and messages come back") {
		t.Errorf("%d %s", code, text)
	}
	if keys, err := s.Client(t).HKeys(t.Context(), "sluice:n").Result(); err != nil || len(keys) > 0 {
		t.Errorf("the check leaves %v, %v behind", keys, err)
	}
	s.Kill()
	if code, text := check("--connect"); code != 1 || !strings.Contains(text, "config.yaml:4: redis: ") || !strings.Contains(text, s.Addr) {
		t.Errorf("%d %s", code, text)
	}
	if code, text := check(); code != 0 || strings.Contains(text, "answers") {
		t.Errorf("%d %s", code, text)
	}
	if code, text := check("--connect", "--broker", "embedded"); code != 1 || !strings.Contains(text, "nothing to connect to, for broker is embedded") {
		t.Errorf("%d %s", code, text)
	}
}
