package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"sluice/plugins/keys"
	"sluice/router"
)

// loadText loads a file with the text, in a folder of its own.
func loadText(t *testing.T, text string, env ...string) (*loaded, error) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "config.yaml")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return load(sources{File: path, Env: env})
}

// errorText is the error without the folder of the file.
func errorText(err error) string {
	if err == nil {
		return ""
	}
	var lines []string
	for line := range strings.SplitSeq(err.Error(), "\n") {
		if i := strings.Index(line, "config.yaml"); i >= 0 && strings.HasPrefix(line, "/") {
			line = line[i:]
		}
		lines = append(lines, line)
	}
	return strings.Join(lines, "\n")
}

func TestWithoutAFileTheDefaultsHold(t *testing.T) {
	t.Chdir(t.TempDir())
	l, err := load(sources{})
	if err != nil {
		t.Fatal(err)
	}
	if l.File != "" || l.Listen != "127.0.0.1:8080" || l.Admin.Listen != "127.0.0.1:8081" || l.Shutdown.Drain != 10*time.Second {
		t.Errorf("got %+v", l.Config)
	}
	if got, want := l.Config.limits(), router.DefaultLimits(); got != want {
		t.Errorf("the default limits are\n%+v, the router's\n%+v", got, want)
	}
}

func TestTheFileOfTheWorkingDirectoryIsRead(t *testing.T) {
	t.Chdir(t.TempDir())
	if err := os.WriteFile("config.yaml", []byte("anonymous: true\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	l, err := load(sources{})
	if err != nil || !l.Anonymous || l.File != "config.yaml" {
		t.Errorf("got %+v, %v", l, err)
	}
}

func TestAFileOfCommentsMeansTheDefaults(t *testing.T) {
	l, err := loadText(t, "# listen: 127.0.0.1:9\n")
	if err != nil || l.Listen != "127.0.0.1:8080" {
		t.Errorf("got %+v, %v", l, err)
	}
}

func TestEveryKeyCanBeSetInTheFile(t *testing.T) {
	l, err := loadText(t, `
listen: ":9000"
allow_unauthenticated: true
anonymous: true
allowed_origins: ["https://example.org", "*.example.com"]
trusted_proxies: [10.0.0.0/8, "::1"]
announce_connections: off
demo: true
default_grants:
  - {rooms: "inbox:${user}", allow: [join, send]}
  - {allow: [direct]}
cache: /var/cache/sluice
trusted_keys: ["ibz7ls6Y7eHrnYPJUhyjgSl34KDH5hwqAzSIyRlsScU="]
require_signatures: true
require_pins: true
admin: {listen: ":9001", token: abc, pprof: true}
node_id: a1
broker: redis
redis:
  addresses: ["127.0.0.1:26379", "sentinel:26379"]
  mode: sentinel
  name: main
  master: group
  username: node
  password: hush
  sentinel_username: watcher
  sentinel_password: shh
  database: 3
  tls: {enabled: true, server_name: redis.example}
  prefix: "app:"
  partitions: 64
  timeout: 1s
  probe_interval: 2s
  presence_ttl: 30s
  unsubscribe_delay: 3s
  max_reconnect: 4s
  queue_messages: 100
  queue_bytes: 2MiB
  batch: 10
  workers: 2
  worker_queue: 20
history: {memory: 8MiB}
reload: {watch: false, poll: 30s}
rollback_on: {window: 2m, traps: 4, failures: 2%, latency: 300us, refusals: 6%, min_events: 50}
capture: {file: c.gz, for: 1m, max_size: 1MiB, sample: 10%, headers: true, redact: [/a]}
lookups: {redis: {address: "127.0.0.1:6379", username: node, password: hush, database: 2, tls: true, prefix: "looked:"}}
limits:
  frame: 128KiB
  rooms_per_connection: 5
  queue: 2MiB
  connections: 7
  connections_per_user: 3
  handshakes_per_address: 2.5
  handshake_timeout: 3s
  write_timeout: 4s
  commands_per_second: 50
  malformed_frames: 2
heartbeat: {ping: 30s, pong: 500ms}
compression: {level: 3, min_size: 1KiB}
shutdown: {drain: 1m}
log: {level: debug, format: json}
rooms:
  - {match: "chat:*", presence: true, announce: on, announce_per: connection, slow: drop_oldest, history: {size: 50, ttl: 1m, recover: 20}}
  - match: "**"
filters:
  - name: policy
    plugin: ./policy.wasm
    sha256: abababababababababababababababababababababababababababababababab
    rooms: ["chat:*"]
    config: {b: 1, a: [true, null, 2.5, "<x>"], 7: {d: 2020-01-02}, big: 18446744073709551615}
    headers: [authorization]
    query: [token]
    cookies: [session]
    capabilities: [log]
    keys:
      - {alg: HS256, kid: one, secret: 0123456789abcdefghijklmnopqrstuv}
      - {alg: HS256, kid: two, secret_base64: "YWJjZGVmZ2hpamtsbW5vcHFyc3R1dnd4eXowMTIzNDU="}
      - {jwks: "https://id.example.org/keys.json", algs: [ES256, EdDSA], when_down: wait, refresh: 5m}
    may: {allow: true, reroute: ["quarantine:*"]}
    limits: {memory: 1MiB, time: 2ms, state: 2KiB, counters: 100, values: 4MiB, series: 5}
    on_failure: continue
    lookup: {redis: {key: "banned:${user}"}, on: [message], ttl: 1s, miss_ttl: 2s, timeout: 3s, max_bytes: 1KiB, concurrency: 2, format: bytes, on_miss: deny, on_failure: pass}
    candidate: {plugin: ./next.wasm, sha256: cdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcd, config: {c: 1}, canary: 5%}
`)
	if err != nil {
		t.Fatal(err)
	}
	want := Config{
		Listen: ":9000", AllowUnauthenticated: true, Anonymous: true,
		AllowedOrigins: []string{"https://example.org", "*.example.com"}, TrustedProxies: []string{"10.0.0.0/8", "::1"},
		AnnounceConnections: "off", Demo: true, Cache: "/var/cache/sluice",
		TrustedKeys: []string{"ibz7ls6Y7eHrnYPJUhyjgSl34KDH5hwqAzSIyRlsScU="}, RequireSignatures: true, RequirePins: true,
		NodeID: "a1", Admin: AdminConfig{":9001", "abc", true}, Broker: "redis", History: HistoryConfig{8 << 20},
		Redis: RedisConfig{
			RedisConnection: RedisConnection{
				Addresses: []string{"127.0.0.1:26379", "sentinel:26379"}, Mode: "sentinel", Name: "main", Master: "group",
				Username: "node", Password: "hush", SentinelUsername: "watcher", SentinelPassword: "shh", Database: 3,
				TLS: RedisTLSConfig{Enabled: true, ServerName: "redis.example"},
			},
			Shards: []RedisConnection{}, Prefix: "app:", Partitions: 64,
			Timeout: time.Second, ProbeInterval: 2 * time.Second, PresenceTTL: 30 * time.Second, UnsubscribeDelay: 3 * time.Second, MaxReconnect: 4 * time.Second,
			QueueMessages: 100, QueueBytes: 2 << 20, Batch: 10, Workers: 2, WorkerQueue: 20,
		},
		Limits: LimitsConfig{
			Frame: 128 << 10, RoomsPerConnection: 5, Queue: 2 << 20, Connections: 7, ConnectionsPerUser: 3, HandshakesPerAddress: 2.5,
			HandshakeTimeout: 3 * time.Second, WriteTimeout: 4 * time.Second, CommandsPerSecond: 50, MalformedFrames: 2,
		},
		Heartbeat:     HeartbeatConfig{30 * time.Second, 500 * time.Millisecond},
		Compression:   CompressionConfig{3, 1 << 10},
		Shutdown:      ShutdownConfig{time.Minute},
		Log:           LogConfig{"debug", "json"},
		Reload:        ReloadConfig{false, 30 * time.Second},
		RollbackOn:    RollbackConfig{2 * time.Minute, 4, 0.02, 300 * time.Microsecond, 0.06, 50},
		Capture:       CaptureConfig{"c.gz", time.Minute, 1 << 20, 0.1, true, []string{"/a"}},
		Lookups:       LookupsConfig{LookupRedisConfig{"127.0.0.1:6379", "node", "hush", 2, true, "looked:"}},
		DefaultGrants: []GrantConfig{{"inbox:${user}", []string{"join", "send"}}, {"", []string{"direct"}}},
		Rooms:         []RoomConfig{{"chat:*", true, "on", "connection", "drop_oldest", RoomHistoryConfig{50, time.Minute, 20}}, {"**", false, "auto", "user", "disconnect", RoomHistoryConfig{0, 5 * time.Minute, 300}}},
		Filters: []FilterConfig{{
			Name: "policy", Plugin: "./policy.wasm", SHA256: strings.Repeat("ab", 32), Rooms: []string{"chat:*"},
			Config:  json.RawMessage(`{"b":1,"a":[true,null,2.5,"<x>"],"7":{"d":"2020-01-02"},"big":18446744073709551615}`),
			Headers: []string{"authorization"}, Query: []string{"token"}, Cookies: []string{"session"}, Capabilities: []string{"log"},
			Keys: []KeyConfig{
				{Alg: "HS256", Algs: []string{}, Kid: "one", Secret: "0123456789abcdefghijklmnopqrstuv", WhenDown: "refuse"},
				{Alg: "HS256", Algs: []string{}, Kid: "two", SecretBase64: "YWJjZGVmZ2hpamtsbW5vcHFyc3R1dnd4eXowMTIzNDU=", WhenDown: "refuse"},
				{JWKS: "https://id.example.org/keys.json", Algs: []string{"ES256", "EdDSA"}, WhenDown: "wait", Refresh: 5 * time.Minute},
			},
			May: MayConfig{true, []string{"quarantine:*"}}, Limits: FilterLimitsConfig{1 << 20, 2 * time.Millisecond, 2 << 10, 100, 4 << 20, 5},
			OnFailure: "continue", Dir: filepath.Dir(l.File),
			Lookup: LookupConfig{
				HTTP: LookupHTTPConfig{Method: "GET", Breaker: 5, RetryAfter: 5 * time.Second}, Redis: LookupKeyConfig{"banned:${user}"},
				On: []string{"message"}, TTL: time.Second, MissTTL: 2 * time.Second, Timeout: 3 * time.Second, MaxBytes: 1 << 10, Concurrency: 2,
				Format: "bytes", OnMiss: "deny", OnFailure: "pass",
			},
			Candidate: CandidateConfig{Plugin: "./next.wasm", SHA256: strings.Repeat("cd", 32), Config: json.RawMessage(`{"c":1}`), Canary: 0.05},
		}},
	}
	if !reflect.DeepEqual(l.Config, want) {
		t.Errorf("got\n%+v, want\n%+v", l.Config, want)
	}
	if specs := l.specs()[0].Keys; len(specs) != 3 || specs[0].WhenDown != "" || specs[2].WhenDown != keys.Wait || specs[2].Refresh != 5*time.Minute || specs[1].Kid != "two" {
		t.Errorf("the filter's keys are %v", specs)
	}
}

func TestLaterSourcesWinOverEarlierOnes(t *testing.T) {
	path := filepath.Join(t.TempDir(), "config.yaml")
	text := "listen: 127.0.0.1:1\nlimits: {frame: 1KiB, queue: 3MiB}\nlog: {level: warn}\n"
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	l, err := load(sources{
		Env:   []string{"SLUICE_CONFIG=" + path, "SLUICE_LIMITS_FRAME=2KiB", "SLUICE_LOG_LEVEL=error", "SLUICE_ALLOWED_ORIGINS=https://a.example, https://b.example"},
		Flags: map[string]string{"log.level": "debug"},
	})
	if err != nil {
		t.Fatal(err)
	}
	if l.Listen != "127.0.0.1:1" || l.Limits.Frame != 2<<10 || l.Limits.Queue != 3<<20 || l.Log.Level != "debug" || len(l.AllowedOrigins) != 2 {
		t.Errorf("got %+v", l.Config)
	}
	for path, want := range map[string]string{
		"listen": ":1", "limits.frame": "environment variable SLUICE_LIMITS_FRAME", "log.level": "flag --log-level",
	} {
		if got := l.placeOf(path).String(); !strings.HasSuffix(got, want) {
			t.Errorf("%s was written at %q, want %q", path, got, want)
		}
	}
}

func TestAnEntryHasTheDefaultsOfWhatItLeavesAway(t *testing.T) {
	l, err := loadText(t, "filters:\n  - {name: a, plugin: a.wasm, limits: {time: 1ms}}\nrooms:\n  - {match: a}\n")
	if err != nil {
		t.Fatal(err)
	}
	f := l.Filters[0]
	if f.Limits != (FilterLimitsConfig{32 << 20, time.Millisecond, 1 << 10, 100_000, 8 << 20, 32}) || f.OnFailure != "deny" || f.Config != nil {
		t.Errorf("got %+v", f)
	}
	if l.Rooms[0] != (RoomConfig{"a", false, "auto", "user", "disconnect", RoomHistoryConfig{0, 5 * time.Minute, 300}}) {
		t.Errorf("got %+v", l.Rooms[0])
	}
}

func TestAliasesAreFilledIn(t *testing.T) {
	l, err := loadText(t, `
filters:
  - {name: a, plugin: a.wasm, limits: &small {memory: 1MiB}, config: &c {x: "1"}}
  - {name: b, plugin: b.wasm, limits: *small, config: {c: *c}}
`)
	if err != nil {
		t.Fatal(err)
	}
	if l.Filters[1].Limits.Memory != 1<<20 || string(l.Filters[1].Config) != `{"c":{"x":"1"}}` {
		t.Errorf("got %+v", l.Filters[1])
	}
}

func TestSecretsComeFromVariablesAndFiles(t *testing.T) {
	dir := t.TempDir()
	write := func(name, text string) {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write("token", "from-a-file\n")
	write("config.yaml", `
admin: {token: "file:token"}
limits: {connections: "${N}"}
filters:
  - name: a
    plugin: a.wasm
    config: {key: "<${SLUICE_AUTH_KEY}>", grant: "user:${user}:${claims.org.team}", price: "$${N} $5"}
`)
	l, err := load(sources{File: filepath.Join(dir, "config.yaml"), Env: []string{"SLUICE_AUTH_KEY=k=\"1", "N=12"}})
	if err != nil {
		t.Fatal(err)
	}
	if l.Admin.Token != "from-a-file" || l.Limits.Connections != 12 {
		t.Errorf("got %+v", l.Config)
	}
	if got, want := string(l.Filters[0].Config), `{"key":"<k=\"1>","grant":"user:${user}:${claims.org.team}","price":"${N} $5"}`; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

func TestVariablesThatOthersSetForAServiceCalledSluiceAreLeftAlone(t *testing.T) {
	t.Chdir(t.TempDir())
	if _, err := load(sources{Env: []string{
		"SLUICE_SERVICE_HOST=10.0.0.1", "SLUICE_SERVICE_PORT=80", "SLUICE_SERVICE_PORT_HTTP=80", "SLUICE_PORT=tcp://10.0.0.1:80",
		"SLUICE_PORT_80_TCP=tcp://10.0.0.1:80", "SLUICE_PORT_80_TCP_ADDR=10.0.0.1", "SLUICE_EDGE_SERVICE_HOST=10.0.0.2",
	}}); err != nil {
		t.Error(err)
	}
	for _, k := range leaves() {
		if serviceVariable.MatchString(k.envName()) {
			t.Errorf("%s looks like a variable of a service", k.envName())
		}
	}
}

func TestNoTwoKeysShareAVariableOrAFlag(t *testing.T) {
	seen := make(map[string]string)
	for _, k := range leaves() {
		for _, name := range []string{k.envName(), k.flagName()} {
			if other, ok := seen[name]; ok {
				t.Errorf("%s and %s are both %s", k.Path, other, name)
			}
			seen[name] = k.Path
		}
	}
}
