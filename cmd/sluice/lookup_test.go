package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"sluice/plugins/lookup"
	"sluice/plugins/outbound"
)

// redisServer is a redis-server of a test, on a free port.
type redisServer struct {
	address string
	client  *redis.Client
	process *exec.Cmd
}

func startRedis(t *testing.T, options ...string) *redisServer {
	t.Helper()
	binary, err := exec.LookPath("redis-server")
	if err != nil {
		t.Fatal("redis-server is not installed; apt-get install redis-server")
	}
	// The port was free a moment ago. Should another have taken it since, try again.
	for range 5 {
		if s := tryRedis(t, binary, options); s != nil {
			return s
		}
	}
	t.Fatal("redis-server does not start")
	return nil
}

func tryRedis(t *testing.T, binary string, options []string) *redisServer {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := l.Addr().String()
	_, port, _ := net.SplitHostPort(address)
	l.Close()
	process := exec.Command(binary, append([]string{"--port", port, "--bind", "127.0.0.1", "--save", "", "--appendonly", "no", "--dir", t.TempDir()}, options...)...)
	out, err := process.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := process.Start(); err != nil {
		t.Fatal(err)
	}
	ready := false
	lines := bufio.NewScanner(out)
	for !ready && lines.Scan() {
		ready = strings.Contains(lines.Text(), "Ready to accept connections")
	}
	if !ready {
		process.Wait()
		return nil
	}
	drained := make(chan struct{})
	go func() { defer close(drained); _, _ = io.Copy(io.Discard, out) }()
	o := &redis.Options{Addr: address}
	for i, option := range options {
		if option == "--requirepass" {
			o.Password = options[i+1]
		}
	}
	s := &redisServer{address: address, client: redis.NewClient(o), process: process}
	t.Cleanup(func() {
		s.client.Close()
		process.Process.Kill()
		<-drained
		process.Wait()
	})
	return s
}

func (s *redisServer) set(t *testing.T, key, value string) {
	t.Helper()
	if err := s.client.Set(context.Background(), key, value, 0).Err(); err != nil {
		t.Fatal(err)
	}
}

func lookupEntry(t *testing.T, rest string) string {
	t.Helper()
	path, err := filepath.Abs("../../plugins/testdata/lookup.wasm")
	if err != nil {
		t.Fatal(err)
	}
	return "filters:\n  - name: policy\n    plugin: " + path + "\n    limits: {time: 1s}\n    lookup:\n" + rest
}

func (n *running) lookups(result string) int {
	return n.counter(`sluice_lookups_total\{filter="policy",result="` + result + `"\}`)
}

func TestAMessageIsJudgedByAnHTTPLookup(t *testing.T) {
	t.Parallel()
	const secret = "a-secret-of-the-policy-service"
	var asked atomic.Int64
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked.Add(1)
		if r.Header.Get("Authorization") != "Bearer "+secret || r.URL.Query().Get("room") != "chat:1" {
			t.Errorf("asked %s with %v", r.RequestURI, r.Header)
		}
		switch r.URL.Query().Get("user") {
		case "mallory":
			fmt.Fprint(w, `{"state":"banned"}`)
		case "broken":
			w.WriteHeader(http.StatusTeapot)
		case "ann":
			fmt.Fprint(w, `{"state":"fine"}`)
		default:
			http.NotFound(w, r)
		}
	}))
	t.Cleanup(srv.Close)
	n := start(t, lookupEntry(t, `      http: {url: "`+srv.URL+`/check?key=${KEY}&user=${user}&room=${room}", headers: {Authorization: "Bearer ${KEY}"}}
      ttl: 1h
`), "KEY="+secret)
	say := func(user string) event {
		c := n.dial("/ws?client_id=" + user)
		c.send(`{"type":"join_room","room":"chat:1"}`)
		c.await("joined")
		c.send(`{"id":1,"type":"room_message","room":"chat:1","content":"hello"}`)
		for {
			if e, err := c.read(); err != nil {
				t.Fatal(err)
			} else if e.Event == "error" || e.Event == "chat" && e.From == user {
				return e
			}
		}
	}
	if e := say("mallory"); e.Code != "invalid" || e.Filter != "policy" {
		t.Errorf("%+v", e)
	}
	if e := say("ann"); string(e.Content) != `{"s":1,"v":{"state":"fine"}}` {
		t.Errorf("%+v %s", e, e.Content)
	}
	if e := say("ann"); string(e.Content) != `{"s":1,"v":{"state":"fine"}}` {
		t.Errorf("%+v %s", e, e.Content)
	}
	if e := say("bob"); string(e.Content) != `{"s":2,"v":null}` {
		t.Errorf("%+v %s", e, e.Content)
	}
	if e := say("broken"); e.Code != "unavailable" || e.Filter != "policy" {
		t.Errorf("%+v", e)
	}
	for result, want := range map[string]int{"found": 2, "missed": 1, "cached": 1, "status": 1, "timeout": 0} {
		if got := n.lookups(result); got != want {
			t.Errorf("%s is %d, want %d", result, got, want)
		}
	}
	if asked.Load() != 4 {
		t.Errorf("asked %d times", asked.Load())
	}
	_, stats := n.get(n.admin + "/stats")
	for _, want := range []string{`"lookup":{"target":"` + srv.URL + `"`, `"breaker":"closed"`, `"cache_entries":3`} {
		if !strings.Contains(stats, want) {
			t.Errorf("%s is not in %s", want, stats)
		}
	}
	n.stop()
	n.wait()
	if log := n.logText(); !strings.Contains(log, "a lookup of a filter failed") || strings.Contains(log+stats, secret) {
		t.Errorf("the log says too little or too much: %s", log)
	}
}

func TestAMessageIsJudgedByAKeyInRedis(t *testing.T) {
	t.Parallel()
	const password = "a-password-of-redis"
	r := startRedis(t, "--requirepass", password)
	r.set(t, "sluice:lookup:state:ann", `7`)
	r.set(t, "sluice:lookup:state:mallory", `"banned"`)
	r.set(t, "sluice:lookup:state:x%3Astate%3Aann", `8`)
	r.set(t, "elsewhere", `"banned"`)
	if err := r.client.LPush(context.Background(), "sluice:lookup:state:list", "x").Err(); err != nil {
		t.Fatal(err)
	}
	n := start(t, "lookups: {redis: {address: \""+r.address+"\", password: \"${REDIS_PASSWORD}\"}}\n"+
		lookupEntry(t, "      redis: {key: \"state:${user}\"}\n      on_failure: pass\n"), "REDIS_PASSWORD="+password)
	for user, want := range map[string]string{"ann": `{"s":1,"v":7}`, "bob": `{"s":2,"v":null}`, "x:state:ann": `{"s":1,"v":8}`, "list": `{"s":3,"v":null}`} {
		c := n.dial("/ws?client_id=" + user)
		c.send(`{"type":"join_room","room":"chat:1"}`)
		c.await("joined")
		c.send(`{"type":"room_message","room":"chat:1","content":"hello"}`)
		if e := c.await("chat"); string(e.Content) != want {
			t.Errorf("%s: %s, want %s", user, e.Content, want)
		}
	}
	c := n.dial("/ws?client_id=mallory")
	c.send(`{"type":"direct_message","target_user":"ann","content":"hello"}`)
	if e := c.await("error"); e.Code != "invalid" {
		t.Errorf("%+v", e)
	}
	if got := n.lookups("source"); got != 1 {
		t.Errorf("%d errors of Redis are counted", got)
	}
	r.process.Process.Kill()
	r.process.Process.Wait()
	for range lookup.DefaultBreaker + 1 {
		c.send(`{"type":"direct_message","target_user":"ann","content":"hello","id":1}`)
		c.await("ack")
	}
	if got := n.lookups("connect") + n.lookups("protocol"); got != lookup.DefaultBreaker || n.lookups("open") != 1 {
		t.Errorf("%d failures are counted, and %d with the breaker open", got, n.lookups("open"))
	}
	n.stop()
	n.wait()
	if log := n.logText(); strings.Contains(log, password) {
		t.Errorf("the log has the password: %s", log)
	}
}

func TestOnlyAsMuchOfAValueAsIsAllowedIsReadFromRedis(t *testing.T) {
	r := startRedis(t)
	r.set(t, "p:long", strings.Repeat("x", 1<<20))
	r.set(t, "p:empty", "")
	var c Config
	c.Lookups.Redis = LookupRedisConfig{Address: r.address, Prefix: "p:"}
	client := c.lookupRedis()
	defer client.Close()
	for key, want := range map[string]string{"long": "xxxxx", "empty": "", "none": "-"} {
		value, found, err := client.Get(t.Context(), key, 5)
		if err != nil || found != (want != "-") || found && string(value) != want {
			t.Errorf("%s: %q, %v, %v", key, value, found, err)
		}
	}
	// It hangs without ending the connection.
	if err := r.client.Do(context.Background(), "CLIENT", "PAUSE", "10000", "ALL").Err(); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	_, _, err := client.Get(ctx, "long", 5)
	var failed *outbound.Error
	if !errors.As(err, &failed) || failed.Cause != outbound.Timeout {
		t.Errorf("a Redis that hangs: %v", err)
	}
}

func TestMistakesOfALookupAreToldWithTheirPlace(t *testing.T) {
	head := "  - name: policy\n    plugin: policy.wasm\n    lookup:\n"
	for config, want := range map[string]string{
		"      htp: {url: a}\n":                                                               "config.yaml:5: filters[0].lookup.htp: unknown key; did you mean filters[0].lookup.http?",
		"      ttl: 10s\n":                                                                    "config.yaml:4: filters[0].lookup: it has to have either http or redis; write one of them",
		"      http: {url: \"https://${user}/\"}\n":                                           "config.yaml:5: filters[0].lookup.http.url: scheme, host and port cannot have fields of the event",
		"      http:\n        url: \"https://a.example/${usr}\"\n":                            "config.yaml:6: filters[0].lookup.http.url: the environment variable usr is not set; nor is it a field of the event: these are user, room",
		"      http:\n        url: \"https://a.example/${claim.x}\"\n":                        "config.yaml:6: filters[0].lookup.http.url: ${claim.x} does not name an environment variable; nor is it a field",
		"      http: {url: \"https://a.example/\", headers: {A: 7}}\n":                        "filters[0].lookup.http.headers: the value of \"A\" is not text; put it into quotes",
		"      http: {url: \"https://a.example/\", headers: {A: \"${user}\"}}\n":              "headers have no fields of the event",
		"      http: {url: \"https://a.example/\", headers: {A: \"${room}\"}}\n":              "the environment variable room is not set",
		"      http: {url: \"http://a.example/\"}\n":                                          "http is for loopback alone; use https",
		"      http: {url: \"https://a.example/\"}\n      timeout: 1m\n":                      "config.yaml:6: filters[0].lookup.timeout: 1m0s is not between 1ms and 10s",
		"      http: {url: \"https://a.example/\"}\n      timeout: 0s\n":                      "config.yaml:6: filters[0].lookup.timeout: must be more than 0",
		"      http: {url: \"https://a.example/\"}\n      on_miss: drop\n":                    "config.yaml:6: filters[0].lookup.on_miss: \"drop\" is not one of pass, deny, skip",
		"      redis: {key: \"a:${user}\"}\n":                                                 "config.yaml:5: filters[0].lookup.redis: the node has no Redis for lookups; set lookups.redis.address",
		"      http: {url: \"https://a.example/\"}\nlookups: {redis: {prefix: \"a\"}}\n":      "config.yaml:6: lookups.redis.prefix: \"a\" is not a prefix",
		"      http: {url: \"https://a.example/\"}\nlookups: {redis: {address: \"redis\"}}\n": "config.yaml:6: lookups.redis.address: \"redis\" is not an address; write host:port",
		"      http: {url: \"https://a.example/\", method: POST}\n      ttl: 1s\n":            "config.yaml:6: filters[0].lookup.ttl: answers to a POST are kept by a key, and there is none; add http.key",
		"      http: {url: \"https://a.example/?u=${user}&k=${KEY}\", method: GET, key: a}\n": "filters[0].lookup.http.key: answers to a GET are kept by its URL; leave it out, or set method: POST",
	} {
		path := filepath.Join(t.TempDir(), "config.yaml")
		if err := os.WriteFile(path, []byte("filters:\n"+head+config), 0o600); err != nil {
			t.Fatal(err)
		}
		_, err := load(sources{File: path, Env: []string{"KEY=hidden"}})
		if err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "hidden") {
			t.Errorf("%s: %v\nwant %s", config, err, want)
		}
	}
}
