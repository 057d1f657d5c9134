package main

import (
	"encoding/json"
	"time"
)

// Config is the whole configuration. It is the one place where a key, its
// type, its default and its meaning are stated: the loader, the flags, the
// environment variables and the test of docs/configuration.md read the tags.
//
//	koanf    the key
//	default  as it would be written in YAML; absent: the type's zero value
//	unit     what the value counts, or its shape
//	enum     the words that are allowed
//	reload   "yes" if it is part of a generation, which can be replaced while running
//	doc      the meaning, in one line, as the help of the flag
//
// Every key outside a list has an environment variable and a flag; see
// schema.go for their names.
type Config struct {
	Listen               string          `koanf:"listen" default:"127.0.0.1:8080" unit:"host:port" doc:"where clients connect"`
	AllowUnauthenticated bool            `koanf:"allow_unauthenticated" doc:"admit anyone on a listener that is not loopback, if no filter has on_connect"`
	Anonymous            bool            `koanf:"anonymous" doc:"admit clients for whom no connect filter sets a user"`
	AllowedOrigins       []string        `koanf:"allowed_origins" unit:"origins" doc:"origins of browsers that may connect beside the node's own; \"*\" allows any"`
	TrustedProxies       []string        `koanf:"trusted_proxies" unit:"CIDRs" doc:"proxies whose X-Forwarded-For is believed"`
	AnnounceConnections  string          `koanf:"announce_connections" default:"auto" enum:"auto,on,off" doc:"tell everyone who connects and disconnects"`
	Demo                 bool            `koanf:"demo" doc:"serve a page at / that people can chat on, to try a node out"`
	Cache                string          `koanf:"cache" unit:"directory" doc:"where compiled filters are kept; \"\": the user's cache directory, off: nowhere"`
	Admin                AdminConfig     `koanf:"admin"`
	Broker               BrokerConfig    `koanf:"broker"`
	Limits               LimitsConfig    `koanf:"limits"`
	Heartbeat            HeartbeatConfig `koanf:"heartbeat"`
	Shutdown             ShutdownConfig  `koanf:"shutdown"`
	Log                  LogConfig       `koanf:"log"`
	DefaultGrants        []GrantConfig   `koanf:"default_grants"`
	Rooms                []RoomConfig    `koanf:"rooms"`
	Filters              []FilterConfig  `koanf:"filters"`
}

// AdminConfig is the listener for operators.
type AdminConfig struct {
	Listen string `koanf:"listen" default:"127.0.0.1:8081" unit:"host:port" doc:"where metrics and statistics are served; off: nowhere"`
	Token  string `koanf:"token" unit:"secret" doc:"bearer token of the admin listener; required unless it is on loopback"`
}

// BrokerConfig is what carries messages between nodes.
type BrokerConfig struct {
	Type string `koanf:"type" default:"memory" enum:"memory" doc:"what carries messages; memory: this process alone"`
}

// LimitsConfig is a node's limits towards its clients; see router.Limits.
type LimitsConfig struct {
	Frame                Size          `koanf:"frame" default:"64KiB" reload:"yes" doc:"largest frame of a client"`
	RoomsPerConnection   int           `koanf:"rooms_per_connection" default:"128" unit:"rooms" reload:"yes" doc:"rooms that one connection may be in"`
	Queue                Size          `koanf:"queue" default:"1MiB" reload:"yes" doc:"bytes that may wait for one connection"`
	Connections          int           `koanf:"connections" default:"0" unit:"connections" reload:"yes" doc:"connections of the node; 0: no limit"`
	ConnectionsPerUser   int           `koanf:"connections_per_user" default:"0" unit:"connections" reload:"yes" doc:"connections of one user on the node; 0: no limit"`
	HandshakesPerAddress float64       `koanf:"handshakes_per_address" default:"0" unit:"per second" reload:"yes" doc:"handshakes of one client address; 0: no limit"`
	HandshakeTimeout     time.Duration `koanf:"handshake_timeout" default:"10s" doc:"time for a client's request, up to the upgrade"`
	WriteTimeout         time.Duration `koanf:"write_timeout" default:"10s" reload:"yes" doc:"time for one write to a client"`
	CommandsPerSecond    float64       `koanf:"commands_per_second" default:"0" unit:"per second" reload:"yes" doc:"commands of one connection, slowed beyond it; 0: no limit"`
	MalformedFrames      int           `koanf:"malformed_frames" default:"10" unit:"frames" reload:"yes" doc:"malformed frames until a connection is closed with 4008"`
}

// HeartbeatConfig finds connections that are dead without saying so.
type HeartbeatConfig struct {
	Ping time.Duration `koanf:"ping" default:"25s" reload:"yes" doc:"time between two pings to a client"`
	Pong time.Duration `koanf:"pong" default:"8s" reload:"yes" doc:"silence after a ping until the connection is closed"`
}

// ShutdownConfig says how the node ends.
type ShutdownConfig struct {
	Drain time.Duration `koanf:"drain" default:"10s" doc:"time over which connections are closed at the end"`
}

// LogConfig says what is logged, on standard error.
type LogConfig struct {
	Level  string `koanf:"level" default:"info" enum:"debug,info,warn,error" doc:"least important level that is logged"`
	Format string `koanf:"format" default:"text" enum:"text,json" doc:"form of a log line"`
}

// GrantConfig is one thing that an identity without grants of its own may do.
type GrantConfig struct {
	Rooms string   `koanf:"rooms" unit:"pattern" reload:"yes" doc:"rooms that the entry is about, ${user} being the user; without it, it is about broadcast and direct"`
	Allow []string `koanf:"allow" unit:"words" required:"yes" reload:"yes" doc:"in rooms: join, send, presence, history; without: broadcast, direct"`
}

// RoomConfig is what holds in the rooms that a pattern matches.
type RoomConfig struct {
	Match    string `koanf:"match" unit:"pattern" required:"yes" reload:"yes" doc:"rooms that the rule is for; the first rule that matches a room is its rule"`
	Presence bool   `koanf:"presence" reload:"yes" doc:"members may ask who is in the room"`
	Announce string `koanf:"announce" default:"auto" enum:"auto,on,off" reload:"yes" doc:"tell members who joins and leaves; auto: in rooms of up to 100 members"`
	Slow     string `koanf:"slow" default:"disconnect" enum:"disconnect,drop_oldest,keep_latest" reload:"yes" doc:"what happens to a member that reads too slowly"`
}

// FilterConfig is one filter of the chain.
type FilterConfig struct {
	Name         string             `koanf:"name" unit:"name" required:"yes" reload:"yes" doc:"what logs, metrics and errors call the filter"`
	Plugin       string             `koanf:"plugin" unit:"path" required:"yes" reload:"yes" doc:"the .wasm, relative to the file that names it, or builtin:NAME"`
	Rooms        []string           `koanf:"rooms" unit:"patterns" reload:"yes" doc:"rooms whose joins, messages and leaves the filter sees; none: all"`
	Config       json.RawMessage    `koanf:"config" reload:"yes" doc:"the filter's own configuration, given to it as JSON"`
	Headers      []string           `koanf:"headers" unit:"names" reload:"yes" doc:"request headers that on_connect sees"`
	Query        []string           `koanf:"query" unit:"names" reload:"yes" doc:"query fields that on_connect sees"`
	Cookies      []string           `koanf:"cookies" unit:"names" reload:"yes" doc:"cookies that on_connect sees"`
	Capabilities []string           `koanf:"capabilities" unit:"names" reload:"yes" doc:"what the filter may import: log, now, random, verify"`
	Keys         []KeyConfig        `koanf:"keys"`
	May          MayConfig          `koanf:"may"`
	Limits       FilterLimitsConfig `koanf:"limits"`
	OnFailure    string             `koanf:"on_failure" default:"deny" enum:"deny,continue" reload:"yes" doc:"what becomes of an event when the filter fails"`

	// Dir is the base of Plugin: the directory of the file that names it.
	Dir string `koanf:"-"`
}

// KeyConfig is one key, or one set of keys, that a filter verifies signatures
// with; see keys.Spec. The filter never sees it.
type KeyConfig struct {
	Alg          string        `koanf:"alg" unit:"name" reload:"yes" doc:"the algorithm that the key is for, as HS256; a secret needs it"`
	Algs         []string      `koanf:"algs" unit:"names" reload:"yes" doc:"the same, where a key has several"`
	Kid          string        `koanf:"kid" unit:"name" reload:"yes" doc:"the key's identifier, as tokens name it in their header"`
	Secret       secretText    `koanf:"secret" unit:"secret" reload:"yes" doc:"the octets of the text, for HMAC; at least 32 for HS256"`
	SecretBase64 secretText    `koanf:"secret_base64" unit:"secret" reload:"yes" doc:"the same, written in base64 or base64url"`
	PEM          secretText    `koanf:"pem" unit:"secret" reload:"yes" doc:"a public key or a certificate as PEM text, or the path of a file with it"`
	JWK          secretText    `koanf:"jwk" unit:"secret" reload:"yes" doc:"a JSON Web Key as text, or the path of a file with it"`
	JWKS         secretText    `koanf:"jwks" unit:"secret" reload:"yes" doc:"a set of JSON Web Keys: an https URL, the path of a file, or text"`
	WhenDown     string        `koanf:"when_down" default:"refuse" enum:"refuse,wait" reload:"yes" doc:"the node starts only if the URL of jwks answers, or starts and admits nobody until it does"`
	Refresh      time.Duration `koanf:"refresh" default:"0s" reload:"yes" doc:"time between two fetches of the URL of jwks; 0: as its answer says, else 15m"`
}

// MayConfig is what a filter may decide beyond refusing.
type MayConfig struct {
	Allow   bool     `koanf:"allow" reload:"yes" doc:"the verdict allow skips the rest of the chain"`
	Reroute []string `koanf:"reroute" unit:"patterns" reload:"yes" doc:"rooms to which the filter may move a message"`
}

// FilterLimitsConfig bounds a filter.
type FilterLimitsConfig struct {
	Memory Size          `koanf:"memory" default:"32MiB" reload:"yes" doc:"memory of one instance"`
	Time   time.Duration `koanf:"time" default:"5ms" reload:"yes" doc:"time for one event"`
	State  Size          `koanf:"state" default:"1KiB" reload:"yes" doc:"what the filter may keep for each connection; at most 4KiB"`
}
