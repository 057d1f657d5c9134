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
	Listen               string            `koanf:"listen" default:"127.0.0.1:8080" unit:"host:port" doc:"where clients connect"`
	AllowUnauthenticated bool              `koanf:"allow_unauthenticated" doc:"admit anyone on a listener that is not loopback, if no filter has on_connect"`
	Anonymous            bool              `koanf:"anonymous" doc:"admit clients for whom no connect filter sets a user"`
	AllowedOrigins       []string          `koanf:"allowed_origins" unit:"origins" doc:"origins of browsers that may connect beside the node's own; \"*\" allows any"`
	TrustedProxies       []string          `koanf:"trusted_proxies" unit:"CIDRs" doc:"proxies whose X-Forwarded-For is believed"`
	AnnounceConnections  string            `koanf:"announce_connections" default:"auto" enum:"auto,on,off" doc:"tell everyone who connects and disconnects"`
	Demo                 bool              `koanf:"demo" doc:"serve a page at / that people can chat on, to try a node out"`
	Cache                string            `koanf:"cache" unit:"directory" doc:"where compiled and fetched filters are kept; \"\": the user's cache directory, off: nowhere"`
	TrustedKeys          []string          `koanf:"trusted_keys" unit:"keys" reload:"yes" doc:"public keys by which filters are signed, as PEM or base64; where there are some, signatures are checked"`
	RequireSignatures    bool              `koanf:"require_signatures" reload:"yes" doc:"refuse filters that no trusted key has signed"`
	RequirePins          bool              `koanf:"require_pins" reload:"yes" doc:"refuse filters of which the configuration does not say the digest"`
	NodeID               string            `koanf:"node_id" unit:"name" doc:"the node's name in message ids, logs and the list of nodes; \"\": a random one"`
	Admin                AdminConfig       `koanf:"admin"`
	Broker               string            `koanf:"broker" default:"embedded" enum:"embedded,redis" doc:"what carries messages; embedded: this process alone"`
	Redis                RedisConfig       `koanf:"redis"`
	History              HistoryConfig     `koanf:"history"`
	Lookups              LookupsConfig     `koanf:"lookups"`
	Limits               LimitsConfig      `koanf:"limits"`
	Heartbeat            HeartbeatConfig   `koanf:"heartbeat"`
	Compression          CompressionConfig `koanf:"compression"`
	Shutdown             ShutdownConfig    `koanf:"shutdown"`
	Log                  LogConfig         `koanf:"log"`
	Reload               ReloadConfig      `koanf:"reload"`
	RollbackOn           RollbackConfig    `koanf:"rollback_on"`
	Capture              CaptureConfig     `koanf:"capture"`
	DefaultGrants        []GrantConfig     `koanf:"default_grants"`
	Rooms                []RoomConfig      `koanf:"rooms"`
	Filters              []FilterConfig    `koanf:"filters"`
}

// AdminConfig is the listener for operators.
type AdminConfig struct {
	Listen string `koanf:"listen" default:"127.0.0.1:8081" unit:"host:port" doc:"where metrics and statistics are served; off: nowhere"`
	Token  string `koanf:"token" unit:"secret" doc:"bearer token of the admin listener; required unless it is on loopback"`
	Pprof  bool   `koanf:"pprof" reload:"yes" doc:"serve profiles of the process at /debug/pprof/ of the admin listener"`
}

// HistoryConfig bounds what the embedded broker keeps of all rooms together.
type HistoryConfig struct {
	Memory Size `koanf:"memory" default:"64MiB" doc:"most that the embedded broker keeps of all rooms' histories; beyond it the longest unused go"`
}

// LookupsConfig is what the lookups of all filters share.
type LookupsConfig struct {
	Redis LookupRedisConfig `koanf:"redis"`
}

// LookupRedisConfig is the Redis whose keys filters look up. It is only read.
type LookupRedisConfig struct {
	Address  string     `koanf:"address" unit:"host:port" doc:"the Redis whose keys filters may look up; \"\": there is none"`
	Username string     `koanf:"username" unit:"name" doc:"its user, of an access control list"`
	Password secretText `koanf:"password" unit:"secret" doc:"its password"`
	Database int        `koanf:"database" default:"0" unit:"number" doc:"its database"`
	TLS      bool       `koanf:"tls" doc:"connect to it by TLS"`
	Prefix   string     `koanf:"prefix" default:"sluice:lookup:" unit:"text" doc:"what every key that is looked up begins with; it ends in a colon"`
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

// CompressionConfig is permessage-deflate; see router.Compression.
type CompressionConfig struct {
	Level   int  `koanf:"level" default:"0" unit:"1 to 9" reload:"yes" doc:"compress messages for clients that ask for it, 1 fastest to 9 smallest; 0: never"`
	MinSize Size `koanf:"min_size" default:"512B" reload:"yes" doc:"size of a message from which it is compressed"`
}

// ShutdownConfig says how the node ends.
type ShutdownConfig struct {
	Drain time.Duration `koanf:"drain" default:"10s" doc:"time over which connections are closed at the end"`
}

// LogConfig says what is logged, on standard error.
type LogConfig struct {
	Level  string `koanf:"level" default:"info" enum:"debug,info,warn,error" reload:"yes" doc:"least important level that is logged"`
	Format string `koanf:"format" default:"text" enum:"text,json" doc:"form of a log line"`
}

// ReloadConfig says when the node reads its configuration anew by itself.
type ReloadConfig struct {
	Watch bool          `koanf:"watch" default:"true" doc:"read everything anew when one of the files changes"`
	Poll  time.Duration `koanf:"poll" default:"10s" doc:"time between two looks at the files, for changes that nothing tells of; 0s: none"`
}

// RollbackConfig says when the node goes back to the generation before by itself.
// Each margin is over what was before, per filter.
type RollbackConfig struct {
	Window    time.Duration `koanf:"window" default:"1m" reload:"yes" doc:"time for which a generation is compared with the one before, and over which that is taken"`
	Traps     int           `koanf:"traps" default:"0" unit:"traps" reload:"yes" doc:"traps of a filter, beyond those to be expected, on which the node goes back; 0: they are not looked at"`
	Failures  Percent       `koanf:"failures" default:"0%" unit:"of events" reload:"yes" doc:"margin of failures; 0%: they are not looked at"`
	Latency   time.Duration `koanf:"latency" default:"0s" reload:"yes" doc:"margin of the mean time of a call; 0s: it is not looked at"`
	Refusals  Percent       `koanf:"refusals" default:"0%" unit:"of events" reload:"yes" doc:"margin of events that are denied, dropped or end the connection; 0%: they are not looked at"`
	MinEvents int           `koanf:"min_events" default:"100" unit:"events" reload:"yes" doc:"events of a filter below which rates and times say nothing"`
}

// CaptureConfig says what is recorded of filters, for sluice plugin replay.
type CaptureConfig struct {
	File    string        `koanf:"file" unit:"path" doc:"the file that what filters are asked and answer is recorded in, relative to the configuration file; \"\": nothing is recorded"`
	For     time.Duration `koanf:"for" default:"10m" doc:"time from the start of the node for which it is recorded"`
	MaxSize Size          `koanf:"max_size" default:"64MiB" doc:"largest size of the file"`
	Sample  Percent       `koanf:"sample" default:"100%" unit:"of connections" doc:"connections whose events are recorded"`
	Headers bool          `koanf:"headers" doc:"record the values of request headers too, but for those that carry credentials"`
	Redact  []string      `koanf:"redact" unit:"pointers and names" doc:"what is left out: JSON pointers into content, as /card/number, and names of claims"`
}

// GrantConfig is one thing that an identity without grants of its own may do.
type GrantConfig struct {
	Rooms string   `koanf:"rooms" unit:"pattern" reload:"yes" doc:"rooms that the entry is about, ${user} being the user; without it, it is about broadcast and direct"`
	Allow []string `koanf:"allow" unit:"words" required:"yes" reload:"yes" doc:"in rooms: join, send, presence, history; without: broadcast, direct"`
}

// RoomConfig is what holds in the rooms that a pattern matches.
type RoomConfig struct {
	Match       string            `koanf:"match" unit:"pattern" required:"yes" reload:"yes" doc:"rooms that the rule is for; the first rule that matches a room is its rule"`
	Presence    bool              `koanf:"presence" reload:"yes" doc:"members may ask who is in the room"`
	Announce    string            `koanf:"announce" default:"auto" enum:"auto,on,off" reload:"yes" doc:"tell members who joins and leaves; auto: in rooms of up to 100 members"`
	AnnouncePer string            `koanf:"announce_per" default:"user" enum:"user,connection" reload:"yes" doc:"announce a user's first and last connection in the room, or each one"`
	Slow        string            `koanf:"slow" default:"disconnect" enum:"disconnect,drop_oldest,keep_latest" reload:"yes" doc:"what happens to a member that reads too slowly"`
	History     RoomHistoryConfig `koanf:"history"`
}

// RoomHistoryConfig is what is kept of what is said in a room; see router.Keep.
type RoomHistoryConfig struct {
	Size    int           `koanf:"size" default:"0" unit:"messages" reload:"yes" doc:"messages of a room that are kept; 0: none"`
	TTL     time.Duration `koanf:"ttl" default:"5m" reload:"yes" doc:"time since the room's last message after which its history is gone"`
	Recover int           `koanf:"recover" default:"300" unit:"messages" reload:"yes" doc:"most messages that a member who comes back is given; who missed more is told so"`
}

// FilterConfig is one filter of the chain.
type FilterConfig struct {
	Name         string             `koanf:"name" unit:"name" required:"yes" reload:"yes" doc:"what logs, metrics and errors call the filter"`
	Plugin       string             `koanf:"plugin" unit:"path" required:"yes" reload:"yes" doc:"the .wasm, relative to the file that names it, https://…, oci://REGISTRY/REPOSITORY:TAG, or builtin:NAME"`
	SHA256       string             `koanf:"sha256" unit:"digest" reload:"yes" doc:"the SHA-256 that the .wasm has to have, in hex; none: any"`
	Rooms        []string           `koanf:"rooms" unit:"patterns" reload:"yes" doc:"rooms whose joins, messages and leaves the filter sees; none: all"`
	Config       json.RawMessage    `koanf:"config" reload:"yes" doc:"the filter's own configuration, given to it as JSON"`
	Headers      []string           `koanf:"headers" unit:"names" reload:"yes" doc:"request headers that on_connect sees"`
	Query        []string           `koanf:"query" unit:"names" reload:"yes" doc:"query fields that on_connect sees"`
	Cookies      []string           `koanf:"cookies" unit:"names" reload:"yes" doc:"cookies that on_connect sees"`
	Capabilities []string           `koanf:"capabilities" unit:"names" reload:"yes" doc:"what the filter may import: log, now, random, verify, metric_add, counter_add, bucket_take, kv_get, kv_set"`
	Keys         []KeyConfig        `koanf:"keys"`
	Lookup       LookupConfig       `koanf:"lookup"`
	May          MayConfig          `koanf:"may"`
	Limits       FilterLimitsConfig `koanf:"limits"`
	OnFailure    string             `koanf:"on_failure" default:"deny" enum:"deny,continue" reload:"yes" doc:"what becomes of an event when the filter fails"`
	Candidate    CandidateConfig    `koanf:"candidate"`

	// Dir is the base of Plugin: the directory of the file that names it.
	Dir string `koanf:"-"`
}

// CandidateConfig is another version of the filter that is tried out beside it;
// see plugins.Candidate. It has either canary or shadow.
type CandidateConfig struct {
	Plugin string          `koanf:"plugin" unit:"path" reload:"yes" doc:"the candidate's .wasm, as plugin"`
	SHA256 string          `koanf:"sha256" unit:"digest" reload:"yes" doc:"the SHA-256 that the candidate's .wasm has to have; none: any"`
	Config json.RawMessage `koanf:"config" reload:"yes" doc:"its configuration; none: the filter's"`
	Canary Percent         `koanf:"canary" default:"0%" unit:"of connections" reload:"yes" doc:"connections that it judges in the filter's place"`
	Shadow Percent         `koanf:"shadow" default:"0%" unit:"of events" reload:"yes" doc:"events that it is asked about beside the filter, with no effect"`
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

// LookupConfig is what the node fetches for a filter before it asks it; see
// lookup.Spec. It has either http or redis.
type LookupConfig struct {
	HTTP        LookupHTTPConfig `koanf:"http"`
	Redis       LookupKeyConfig  `koanf:"redis"`
	On          []string         `koanf:"on" unit:"hooks" reload:"yes" doc:"connect, join, message: for which it is made; none: for those of them that the filter has"`
	TTL         time.Duration    `koanf:"ttl" default:"0s" reload:"yes" doc:"time for which an answer is kept; 0s: it is not"`
	MissTTL     time.Duration    `koanf:"miss_ttl" default:"0s" reload:"yes" doc:"time for which it is kept that there is none; 0s: as ttl"`
	Timeout     time.Duration    `koanf:"timeout" default:"500ms" reload:"yes" doc:"time for one answer"`
	MaxBytes    Size             `koanf:"max_bytes" default:"16KiB" reload:"yes" doc:"largest answer"`
	Concurrency int              `koanf:"concurrency" default:"64" unit:"questions" reload:"yes" doc:"questions on their way at one time"`
	Format      string           `koanf:"format" unit:"json or bytes" reload:"yes" doc:"form of an answer; none: json of http, bytes of redis"`
	OnMiss      string           `koanf:"on_miss" default:"pass" enum:"pass,deny,skip" reload:"yes" doc:"what becomes of an event for which there is nothing"`
	OnFailure   string           `koanf:"on_failure" default:"deny" enum:"deny,pass,skip" reload:"yes" doc:"what becomes of an event whose lookup fails"`
}

// LookupHTTPConfig is a question over HTTP.
type LookupHTTPConfig struct {
	URL        secretText      `koanf:"url" unit:"template" reload:"yes" doc:"where to ask, with fields of the event in path and query"`
	Method     string          `koanf:"method" default:"GET" enum:"GET,POST" reload:"yes" doc:"GET, or a POST of the event as JSON"`
	Headers    json.RawMessage `koanf:"headers" unit:"names and text" reload:"yes" doc:"headers of the request"`
	Key        string          `koanf:"key" unit:"template" reload:"yes" doc:"what answers to a POST are kept and shared by"`
	Breaker    int             `koanf:"breaker" default:"5" unit:"failures" reload:"yes" doc:"failures in a row after which nothing is asked for a while; 0: never"`
	RetryAfter time.Duration   `koanf:"retry_after" default:"5s" reload:"yes" doc:"that while"`
}

// LookupKeyConfig is a question to Redis.
type LookupKeyConfig struct {
	Key string `koanf:"key" unit:"template" reload:"yes" doc:"the key below lookups.redis.prefix, with fields of the event"`
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

	Counters int  `koanf:"counters" default:"100000" unit:"number" reload:"yes" doc:"counters and buckets that the filter may keep on the node"`
	Values   Size `koanf:"values" default:"8MiB" reload:"yes" doc:"what the values that the filter keeps on the node may take, 64 bytes for each included"`
	Series   int  `koanf:"series" default:"32" unit:"number" reload:"yes" doc:"series of metrics that the filter may have"`
}
