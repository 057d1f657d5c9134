package main

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
)

// mistakes are files and the exact complaint about each.
var mistakes = []struct {
	name string
	text string
	want string
}{
	{"a mistyped key", "limits:\n  fraem: 1KiB\n", `config.yaml:2: limits.fraem: unknown key; did you mean limits.frame?`},
	{"a mistyped key of an entry", "rooms:\n  - match: a\n    presense: true\n", `config.yaml:3: rooms[0].presense: unknown key; did you mean rooms[0].presence?`},
	{"a key in the wrong section", "heartbeats: {ping: 1s}\n", `config.yaml:1: heartbeats: unknown key; did you mean heartbeat?`},
	{"a key without its section", "handshake_timeout: 1s\n", `config.yaml:1: handshake_timeout: unknown key; did you mean limits.handshake_timeout?`},
	{"a key like no other", "frobnicate: 1\n", `config.yaml:1: frobnicate: unknown key`},
	{"a text where a number belongs", "limits:\n  connections: many\n", `config.yaml:2: limits.connections: expected a whole number, found "many"`},
	{"a quoted number", "limits: {connections: \"5\"}\n", `config.yaml:1: limits.connections: expected a whole number, found "5"`},
	{"a fraction where a whole number belongs", "limits: {connections: 1.5}\n", `config.yaml:1: limits.connections: expected a whole number, found the number 1.5`},
	{"a negative number", "limits: {connections: -1}\n", `config.yaml:1: limits.connections: -1 is negative`},
	{"a number out of range", "limits: {connections: 99999999999999999999}\n", `config.yaml:1: limits.connections: expected a whole number, found the number 99999999999999999999`},
	{"a rate that is not a number", "limits: {commands_per_second: .nan}\n", `config.yaml:1: limits.commands_per_second: ".nan" is not a number`},
	{"a number where text belongs", "admin: {token: 12345}\n", `config.yaml:1: admin.token: expected text, found a value that is not text; put it into quotes`},
	{"a port alone", "listen: \"8080\"\n", `config.yaml:1: listen: "8080" is not an address; write host:port, as in 127.0.0.1:8080 or :8080`},
	{"an impossible port", "listen: \"127.0.0.1:99999\"\n", `config.yaml:1: listen: "127.0.0.1:99999" has no port between 0 and 65535`},
	{"a text where true or false belongs", "anonymous: maybe\n", `config.yaml:1: anonymous: expected true or false, found "maybe"`},
	{"a value where keys belong", "limits: 5\n", `config.yaml:1: limits: expected keys, found the number 5`},
	{"keys where a list belongs", "rooms: {match: a}\n", `config.yaml:1: rooms: expected a list, found keys`},
	{"a value where a list belongs", "allowed_origins: \"https://a.example\"\n", `config.yaml:1: allowed_origins: expected a list, as in ["a", "b"], found "https://a.example"`},
	{"an entry that is not keys", "rooms: [\"chat:*\"]\n", `config.yaml:1: rooms[0]: expected keys, found "chat:*"`},
	{"a key without a value", "listen:\n", `config.yaml:1: listen: expected text, found nothing`},
	{"an unknown word", "log: {level: debugg}\n", `config.yaml:1: log.level: "debugg" is not one of debug, info, warn, error; did you mean debug?`},
	{"a truth where a word belongs", "announce_connections: true\n", `config.yaml:1: announce_connections: expected one of auto, on, off, found "true"`},
	{"a size in decimal units", "limits: {frame: 64KB}\n", `config.yaml:1: limits.frame: "64KB" is not a size; write a whole number with B, KiB, MiB or GiB, as in 64KiB`},
	{"a size beyond all bounds", "limits: {queue: 99999999999GiB}\n", `config.yaml:1: limits.queue: 99999999999GiB is too large a size`},
	{"a frame of nothing", "limits: {frame: 0}\n", `config.yaml:1: limits.frame: 0B is out of range; it must be between 1B and 16MiB`},
	{"a queue smaller than a frame", "limits:\n  queue: 1KiB\n", `config.yaml:2: limits.queue: 1KiB is out of range; it must be between 64KiB and 1GiB`},
	{"a time without a unit", "heartbeat: {ping: 25}\n", `config.yaml:1: heartbeat.ping: 25 has no unit; write ms, s, m or h, as in 25s`},
	{"a time that is none", "heartbeat: {ping: soon}\n", `config.yaml:1: heartbeat.ping: "soon" is not a time; write a number with ms, s, m or h, as in 5ms`},
	{"a level of compression that there is not", "compression: {level: 10}\n", `config.yaml:1: compression.level: 10 is out of range; it must be between 1, the fastest, and 9, the smallest, or 0 for none`},
	{"a level of compression below none", "compression: {level: -1}\n", `config.yaml:1: compression.level: -1 is negative`},
	{"compression of nothing", "compression: {level: 1, min_size: 0}\n", `config.yaml:1: compression.min_size: 0B is out of range; it must be between 1B and 1MiB`},
	{"compression as a word", "compression: on\n", `config.yaml:1: compression: expected keys, found "on"`},
	{"a heartbeat without pause", "heartbeat: {ping: 0s, pong: 1s}\n", `config.yaml:1: heartbeat.ping: must be more than 0, as in 5s`},
	{"a wait for a pong beyond the next ping", "heartbeat:\n  ping: 5s\n", `config.yaml:1: heartbeat.pong: 8s is longer than heartbeat.ping, 5s; the next ping does not come before the wait for the last one is over`},
	{"a negative time", "shutdown: {drain: -1s}\n", `config.yaml:1: shutdown.drain: -1s is negative`},
	{"a key twice", "listen: \":1\"\nadmin: {}\nlisten: \":2\"\n", `config.yaml:3: listen: the key stands twice; it is first in line 1`},
	{"a key twice in a filter's configuration", "filters:\n  - name: a\n    plugin: a.wasm\n    config:\n      x: 1\n      x: 2\n", `config.yaml:6: filters[0].config.x: the key stands twice; it is first in line 5`},
	{"an empty file", " \n", `config.yaml: the file is empty; write at least one key, or remove the file to use the defaults`},
	{"two documents", "listen: \":1\"\n---\nlisten: \":2\"\n", `config.yaml:2: a second document starts here; a configuration is one document: remove the line ---`},
	{"a tab", "limits:\n\tframe: 1KiB\n", `config.yaml:2: the line is indented with a tab; YAML wants spaces`},
	{"bytes that are not UTF-8", "listen: \":1\"\n# caf\xe9\n", `config.yaml:2: the file is not UTF-8 text; save it as UTF-8`},
	{"text that is not YAML", "listen: [\n", `config.yaml:1: not valid YAML: did not find expected node content`},
	{"a list for a file", "- a\n", `config.yaml:1: expected keys, as in "listen: 127.0.0.1:8080", found a list`},
	{"a merge key", "limits: &l {frame: 1KiB}\nheartbeat: {<<: *l}\n", `config.yaml:2: heartbeat: << is not supported; write the keys out`},
	{"an alias to itself", "filters:\n  - name: a\n    plugin: a.wasm\n    config: &c {x: *c}\n", `config.yaml:4: filters[0].config` + strings.Repeat(".x", 62) + `: nested more than 64 deep`},
	{"an infinite number for a filter", "filters:\n  - {name: a, plugin: a.wasm, config: {x: .inf}}\n", `config.yaml:2: filters[0].config.x: .inf is not a number that JSON has`},
	{"a filter's configuration that is text", "filters:\n  - {name: a, plugin: a.wasm, config: text}\n", `config.yaml:2: filters[0].config: expected keys, found "text"`},
	{"a filter without a plugin", "filters:\n  - name: a\n", `config.yaml:2: filters[0]: plugin is missing: the .wasm, relative to the file that names it, https://…, oci://REGISTRY/REPOSITORY:TAG, or builtin:NAME`},
	{"a filter's name with a space", "filters:\n  - {name: a b, plugin: a.wasm}\n", `config.yaml:2: filters[0].name: "a b" is not a name; use at most 64 of a-z, 0-9, '_', '-' and '.'`},
	{"two filters of one name", "filters:\n  - {name: a, plugin: a.wasm}\n  - {name: a, plugin: b.wasm}\n", `config.yaml:3: filters[1].name: a is already the name of filters[0]; each filter needs its own`},
	{"no counters", "filters:\n  - {name: a, plugin: a.wasm, limits: {counters: 0}}\n", `config.yaml:2: filters[0].limits.counters: 0 is out of range; it must be between 1 and 10000000`},
	{"too many values", "filters:\n  - {name: a, plugin: a.wasm, limits: {values: 2GiB}}\n", `config.yaml:2: filters[0].limits.values: 2GiB is out of range; it must be between 1B and 1GiB`},
	{"too many series", "filters:\n  - {name: a, plugin: a.wasm, limits: {series: 1001}}\n", `config.yaml:2: filters[0].limits.series: 1001 is out of range; it must be between 1 and 1000`},
	{"too much state", "filters:\n  - {name: a, plugin: a.wasm, limits: {state: 5KiB}}\n", `config.yaml:2: filters[0].limits.state: 5KiB is out of range; it must be between 1B and 4KiB`},
	{"a filter without time", "filters:\n  - {name: a, plugin: a.wasm, limits: {time: 0s}}\n", `config.yaml:2: filters[0].limits.time: 0s is out of range; it must be between 100µs and 1s`},
	{"a network that is none", "trusted_proxies: [nonsense]\n", `config.yaml:1: trusted_proxies: "nonsense" is not a network; write a CIDR, as in 10.0.0.0/8, or an address`},
	{"an origin with a path", "allowed_origins: [\"https://a.example/chat\"]\n", `config.yaml:1: allowed_origins[0]: "https://a.example/chat" is not an origin; write scheme and host, as in https://example.org, or "*" for any`},
	{"a public admin listener without a token", "admin:\n  listen: \":9001\"\n", `config.yaml:2: admin.listen: :9001 is not on loopback, so admin.token is required; set it, as with the variable SLUICE_ADMIN_TOKEN, or listen on 127.0.0.1`},
	{"one address for both listeners", "listen: \"127.0.0.1:8081\"\n", `config.yaml: admin.listen: is the same as listen; choose another port`},
	{"a missing variable", "admin: {token: \"${ABSENT}\"}\n", `config.yaml:1: admin.token: the environment variable ABSENT is not set`},
	{"an empty variable", "admin: {token: \"${EMPTY}\"}\n", `config.yaml:1: admin.token: the environment variable EMPTY is empty`},
	{"a variable that is not closed", "admin: {token: \"${A\"}\n", `config.yaml:1: admin.token: ${ is not closed; write ${NAME}, or $${ for a literal ${`},
	{"a variable without a name", "admin: {token: \"${a-b}\"}\n", `config.yaml:1: admin.token: ${a-b} does not name an environment variable; write $${ for a literal ${`},
	{"a variable of the wrong form", "limits: {frame: \"${SECRET}\"}\n", `config.yaml:1: limits.frame: the value filled in does not have the right form`},
	{"a word that would steer a terminal", "log: {level: \"\\e[2J\\n\"}\n", `config.yaml:1: log.level: "\x1b[2J\n" is not one of debug, info, warn, error`},
	{"a key that would break the line", "\"a\\nb\": 1\n", `config.yaml:1: a b: unknown key`},
	{"a key of great length", strings.Repeat("k", 1000) + ": 1\n", `config.yaml:1: ` + strings.Repeat("k", 200) + `…: unknown key`},
	{"a grant without what it allows", "default_grants:\n  - rooms: \"chat:*\"\n", `config.yaml:2: default_grants[0]: allow is missing: in rooms: join, send, presence, history; without: broadcast, direct`},
	{"a grant that is unknown", "default_grants:\n  - {allow: [direct]}\n  - {rooms: \"chat:*\", allow: [jion]}\n", `config.yaml:3: default_grants[1]: allow: "jion" is unknown; rooms have join, send, presence and history`},
	{"a broadcast in a room", "default_grants: [{rooms: a, allow: [broadcast]}]\n", `config.yaml:1: default_grants[0]: allow: "broadcast" is not about rooms; write it as an entry of its own: {"allow":["broadcast"]}`},
	{"a grant for no room", "default_grants: [{rooms: \"\", allow: [join]}]\n", `config.yaml:1: default_grants[0]: rooms: the pattern is empty; write ** to match every room`},
	{"an empty list of keys", "filters:\n  - name: a\n    plugin: a.wasm\n    keys: []\n", `config.yaml:4: filters[0].keys: the list is empty; add a key, or leave keys out`},
	{"a key without a key", "filters:\n  - {name: a, plugin: a.wasm, keys: [{alg: HS256}]}\n", `config.yaml:2: filters[0].keys[0]: it has no key; add secret, secret_base64, pem, jwk or jwks (an empty value is none)`},
	{"a mistyped key of a key", "filters:\n  - name: a\n    plugin: a.wasm\n    keys:\n      - {alg: HS256, secrets: x}\n", `config.yaml:5: filters[0].keys[0].secrets: unknown key; did you mean filters[0].keys[0].secret?`},
	{"a set that is waited for without a URL", "filters:\n  - name: a\n    plugin: a.wasm\n    keys:\n      - {alg: HS256, secret: 0123456789abcdefghijklmnopqrstuv, when_down: wait}\n", `config.yaml:5: filters[0].keys[0]: when_down and refresh are for a jwks with a URL; leave them out, a file is read at every reload`},
	{"a broker that is none", "broker: kafka\n", `config.yaml:1: broker: "kafka" is not one of embedded, redis`},
	{"the older form with a broker that is none", "broker:\n  type: kafka\n", `config.yaml:2: broker: "kafka" is not one of embedded, redis`},
	{"the older form with more in it", "broker: {type: redis, addresses: [\"a:1\"]}\n", `config.yaml:1: broker: expected one of embedded, redis, found keys`},
	{"Redis without an address", "broker: redis\n", `config.yaml:1: broker: redis needs redis.addresses, as in redis: {addresses: ["127.0.0.1:6379"]}, or the variable SLUICE_REDIS_ADDRESSES`},
	{"Redis that is not used", "redis: {addresses: [\"a:1\"]}\n", `config.yaml:1: redis: it is not used, for broker is not written; add broker: redis, or broker: embedded to leave it unused`},
	{"an address without a host", redisWith(`addresses: [":6379"]`), `config.yaml:2: redis.addresses[0]: ":6379" is not an address; write host:port, as in 127.0.0.1:6379`},
	{"an address as a URL", redisWith(`addresses: ["redis://a:6379"]`), `config.yaml:2: redis.addresses[0]: "redis://a:6379" is not an address; write host:port, as in 127.0.0.1:6379`},
	{"one address that is no list", redisWith(`address: "a:1"`), `config.yaml:2: redis.address: unknown key; did you mean redis.addresses?`},
	{"two addresses of one Redis", redisWith(`addresses: ["a:1", "b:1"]`), `config.yaml:2: redis.addresses: a standalone Redis has one address; several belong to mode: sentinel, to mode: cluster, or to redis.shards`},
	{"a database of a Cluster", redisWith(`addresses: ["a:1"], mode: cluster, database: 1`), `config.yaml:2: redis.database: a Cluster has only database 0`},
	{"a master without sentinels", redisWith(`addresses: ["a:1"], master: m`), `config.yaml:2: redis.master: is for mode: sentinel, and the mode is standalone`},
	{"a user without a password", redisWith(`addresses: ["a:1"], username: u`), `config.yaml:2: redis.username: needs redis.password`},
	{"a password that is a number", redisWith(`addresses: ["a:1"], password: 12345678`), `config.yaml:2: redis.password: expected text, found a value that is not text; put it into quotes`},
	{"a prefix that Redis would read as a hash tag", redisWith(`addresses: ["a:1"], prefix: "{a}"`), `config.yaml:2: redis.prefix: "{a}" is not a prefix; use 1 to 64 letters, digits, '-', '_', '.' and ':'`},
	{"no partitions", redisWith(`addresses: ["a:1"], partitions: 0`), `config.yaml:2: redis.partitions: 0 is out of range; it must be between 1 and 16384`},
	{"a probe without pause", redisWith(`addresses: ["a:1"], probe_interval: 1ms`), `config.yaml:2: redis.probe_interval: 1ms is out of range; it must be at least 100ms`},
	{"deployments here and there", redisWith(`addresses: ["a:1"], shards: [{addresses: ["b:1"]}]`), `config.yaml:2: redis.addresses: redis.shards has the deployments; write it in each of their entries, or leave shards out`},
	{"a deployment without an address", redisWith(`shards: [{name: x}]`), `config.yaml:2: redis.shards[0]: addresses is missing: write host:port of the Redis, of the sentinels, or of some nodes of the Cluster`},
	{"a deployment twice", redisWith(`shards: [{addresses: ["b:1"]}, {addresses: ["b:1"]}]`), `config.yaml:2: redis.shards[1].addresses: b:1 is in redis.shards[0] already; each entry is a deployment of its own`},
	{"two deployments of one name", redisWith(`shards: [{name: x, addresses: ["a:1"]}, {name: x, addresses: ["b:1"]}]`), `config.yaml:2: redis.shards[1].name: x is the name of redis.shards[0] already; each entry needs its own`},
	{"TLS that is not on", redisWith(`addresses: ["a:1"], tls: {ca: ca.pem}`), `config.yaml:2: redis.tls.ca: has no effect without redis.tls.enabled: true`},
	{"a certificate without its key", redisWith(`addresses: ["a:1"], tls: {enabled: true, cert: c.pem}`), `config.yaml:2: redis.tls.cert: needs key, its private key`},
	{"an authority without a certificate", redisWith(`addresses: ["a:1"], tls: {enabled: true, ca: "-----BEGIN NOTHING-----"}`), `config.yaml:2: redis.tls.ca: has no certificate as PEM; it begins with -----BEGIN CERTIFICATE-----`},
	{"a history of nothing", "rooms:\n  - match: a\n    history: {ttl: 1m}\n", `config.yaml:3: rooms[0].history: nothing is kept, for size is 0; write size, the number of messages, or leave history out`},
	{"a history without time", "rooms: [{match: a, history: {size: 1, ttl: 0s}}]\n", `config.yaml:1: rooms[0].history.ttl: 0s is out of range; it must be at least 1s`},
	{"a recovery beyond the protocol's", "rooms: [{match: a, history: {size: 1, recover: 301}}]\n", `config.yaml:1: rooms[0].history.recover: 301 is out of range; it must be between 1 and 300`},
	{"a history without memory", "history: {memory: 1KiB}\n", `config.yaml:1: history.memory: 1KiB is out of range; it must be between 1MiB and 1024GiB`},
	{"a node's name with a space", "node_id: a b\n", `config.yaml:1: node_id: "a b" is not a node's name; use at most 32 letters, digits, '-', '_' and '.'`},
	{"several mistakes", "listne: \":1\"\nlog: {level: loud}\n", "config.yaml:1: listne: unknown key; did you mean listen?\n" +
		`config.yaml:2: log.level: "loud" is not one of debug, info, warn, error`},
}

// redisWith is a configuration with these keys in the section redis.
func redisWith(keys string) string { return "broker: redis\nredis: {" + keys + "}\n" }

func TestAMistakeIsNamedWithItsLineAndItsKey(t *testing.T) {
	for _, m := range mistakes {
		t.Run(m.name, func(t *testing.T) {
			_, err := loadText(t, m.text, "EMPTY=", "SECRET=hunter2")
			if got := errorText(err); got != m.want {
				t.Errorf("\n got %s\nwant %s", got, m.want)
			}
		})
	}
}

func TestAFileThatCannotBeReadIsNamed(t *testing.T) {
	dir := t.TempDir()
	large := filepath.Join(dir, "large.yaml")
	if err := os.WriteFile(large, bytes.Repeat([]byte("# padding\n"), 110_000), 0o600); err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string]string{
		filepath.Join(dir, "absent.yaml"): " does not exist",
		dir:                               " is not a file but a directory",
		large:                             " is larger than 1MiB",
	} {
		if _, err := load(sources{File: path}); err == nil || err.Error() != path+want {
			t.Errorf("got %v, want %s%s", err, path, want)
		}
	}
}

func TestASecretThatCannotBeReadIsNamed(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "empty"), []byte("\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for secret, want := range map[string]string{
		"file:" + dir + "/absent": dir + "/absent does not exist",
		"file:" + dir + "/empty":  dir + "/empty is empty",
		"file:":                   "file: names no file",
	} {
		_, err := loadText(t, fmt.Sprintf("admin: {token: %q}\n", secret))
		if got := errorText(err); got != "config.yaml:1: admin.token: "+want {
			t.Errorf("got %s, want %s", got, want)
		}
	}
}

func TestAVariableThatNoKeyHasIsAnError(t *testing.T) {
	t.Chdir(t.TempDir())
	for name, want := range map[string]string{
		"SLUICE_LISTN":       "environment variable SLUICE_LISTN: unknown: no key has it and no value refers to ${SLUICE_LISTN}; did you mean SLUICE_LISTEN?",
		"SLUICE_LIMIT_FRAME": "environment variable SLUICE_LIMIT_FRAME: unknown: no key has it and no value refers to ${SLUICE_LIMIT_FRAME}; did you mean SLUICE_LIMITS_FRAME?",
		"SLUICE_AUTH_KEY":    "environment variable SLUICE_AUTH_KEY: unknown: no key has it and no value refers to ${SLUICE_AUTH_KEY}",
	} {
		if _, err := load(sources{Env: []string{name + "=x"}}); err == nil || err.Error() != want {
			t.Errorf("\n got %v\nwant %s", err, want)
		}
	}
}

func TestAVariableOrFlagOfTheWrongFormIsNamed(t *testing.T) {
	t.Chdir(t.TempDir())
	_, err := load(sources{Env: []string{"SLUICE_LIMITS_FRAME=big"}, Flags: map[string]string{"heartbeat.ping": "5"}})
	want := "environment variable SLUICE_LIMITS_FRAME: limits.frame: \"big\" is not a size; write a whole number with B, KiB, MiB or GiB, as in 64KiB\n" +
		"flag --heartbeat-ping: heartbeat.ping: 5 has no unit; write ms, s, m or h, as in 5s"
	if err == nil || err.Error() != want {
		t.Errorf("\n got %v\nwant %s", err, want)
	}
}

// An alias bomb of 30 levels would be a billion values.
func TestAnAliasBombIsRefusedAtOnce(t *testing.T) {
	var b strings.Builder
	b.WriteString("filters:\n  - name: a\n    plugin: a.wasm\n    config:\n      a0: &a0 [x]\n")
	for i := 1; i <= 30; i++ {
		fmt.Fprintf(&b, "      a%d: &a%d [*a%d, *a%d]\n", i, i, i-1, i-1)
	}
	_, err := loadText(t, b.String())
	if got := errorText(err); !strings.HasSuffix(got, "the file becomes too large once its aliases are filled in") || strings.Count(got, "\n") > 0 {
		t.Errorf("got %s", got)
	}
}

// A key of half the file above as many values as fit would be written out with
// each of them.
func TestALongKeyOverManyValuesDoesNotTakeMuchMemory(t *testing.T) {
	text := "filters:\n  - name: a\n    plugin: a.wasm\n    config: {? " + strings.Repeat("k", 400_000) + "\n      : [" + strings.Repeat("1,", 200_000) + "]}\n"
	var err error
	bytes := allocated(func() { _, err = loadText(t, text) })
	if got := errorText(err); !strings.HasSuffix(got, "the file becomes too large once its aliases are filled in") {
		t.Errorf("got %.300s", got)
	}
	if bytes > 1<<30 {
		t.Errorf("%d bytes allocated", bytes)
	}
}

func allocated(f func()) uint64 {
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	f()
	runtime.ReadMemStats(&after)
	return after.TotalAlloc - before.TotalAlloc
}

func TestAFileThatIsNoConfigurationDoesNotFloodTheTerminal(t *testing.T) {
	var b strings.Builder
	for i := range 1000 {
		fmt.Fprintf(&b, "k%d: 1\n", i)
	}
	_, err := loadText(t, b.String())
	if n := strings.Count(errorText(err), "\n"); n != maxConfigErrors {
		t.Errorf("got %d lines", n+1)
	}
}

// FuzzConfig holds the reader to its bounds: whatever the file, it answers with
// a configuration or with errors, and never with a panic.
func FuzzConfig(f *testing.F) {
	for _, m := range mistakes {
		f.Add([]byte(m.text))
	}
	if text, err := os.ReadFile("../../config.yaml"); err == nil {
		f.Add(text)
	}
	f.Add([]byte("a: &a [*a]\n"))
	f.Add([]byte("!!binary x: y\n? [a]\n: b\n"))
	folder := f.TempDir()
	f.Fuzz(func(t *testing.T, text []byte) {
		if len(text) > maxConfigFile {
			return
		}
		l := &loaded{Places: make(map[string]place)}
		r := &strictReader{file: "f", dir: folder, secrets: newSecrets([]string{"A=1"}), places: l.Places}
		m := r.read(text)
		if len(r.errs) > maxConfigErrors+1 {
			t.Fatalf("%d errors", len(r.errs))
		}
		if r.errs.orNil() != nil {
			return
		}
		if err := l.merge([]map[string]any{schema.defaults(), m}); err != nil {
			t.Fatalf("accepted by the reader, but: %v", err)
		}
		_ = validate(l)
	})
}
