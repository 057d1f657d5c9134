package redisbroker

import (
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Mode is how a shard's Redis is deployed.
type Mode uint8

// The modes.
const (
	Standalone Mode = iota // one Redis, or one address that always leads to the master
	Sentinel               // a master and replicas under Sentinel
	Cluster                // Redis Cluster, with sharded pub/sub
)

var modeNames = [...]string{Standalone: "standalone", Sentinel: "sentinel", Cluster: "cluster"}

// String is the mode's name in a configuration.
func (m Mode) String() string {
	if int(m) < len(modeNames) {
		return modeNames[m]
	}
	return fmt.Sprintf("Mode(%d)", m)
}

// Options are a Broker's. All nodes of a deployment need the same Shards (in
// any order), Prefix and Partitions, or they do not hear each other.
type Options struct {
	Shards     []Shard      // independent deployments of Redis; rooms and users are spread over them. At least one
	Prefix     string       // begins every key and channel; default "sluice"
	Partitions int          // of a Cluster: hash tags over which rooms and users are spread; default 128, at most 16384
	NodeID     string       // unique among the nodes; required
	Log        *slog.Logger // default: discards

	QueueMessages int // commands that may wait per Redis and lane (publishes, reads); default 16384
	QueueBytes    int // their payloads together; default 64 MiB
	Batch         int // commands that leave in one pipeline at most; default 512
	Workers       int // goroutines that deliver, per shard; default 16
	WorkerQueue   int // messages that may wait for one of them; default 4096

	Timeout          time.Duration // of one call, connecting included; default 5 s
	ProbeInterval    time.Duration // between probes of a subscription connection, which is replaced after two without an answer; default 5 s
	UnsubscribeDelay time.Duration // for which a room's subscription outlives its last member here; default 1 s
	PresenceTTL      time.Duration // for which a dead node's presence is shown; refreshed at a third of it; default 60 s
	MaxReconnect     time.Duration // between attempts to reach a Redis that is away, at most; default 5 s
}

// Shard is one deployment of Redis.
type Shard struct {
	// Name identifies the shard: rooms are spread by it, so that addresses may
	// change without moving rooms. Default: made of Master or Addresses, and Database.
	Name string

	Mode      Mode
	Addresses []string // host:port of the Redis, of the sentinels, or of some nodes of the Cluster
	Master    string   // Sentinel: what the sentinels call the group; default "mymaster"

	Username, Password                 string // of an ACL user; without Username the default user
	SentinelUsername, SentinelPassword string

	Database int         // not with Cluster
	TLS      *tls.Config // nil: none. Without a ServerName that of each address is verified
}

const (
	defaultPrefix     = "sluice"
	defaultPartitions = 128
	maxPrefix         = 64 // bytes
)

// withDefaults is o with everything that was left open filled in, or an error
// that says what cannot work.
func (o Options) withDefaults() (Options, error) {
	if o.NodeID == "" {
		return o, errors.New("redisbroker: Options.NodeID is empty: each node needs an id of its own")
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.Prefix == "" {
		o.Prefix = defaultPrefix
	}
	if err := checkPrefix(o.Prefix); err != nil {
		return o, err
	}
	ints := []struct {
		name           string
		value          *int
		preset, lowest int
		most           int
	}{
		{"Partitions", &o.Partitions, defaultPartitions, 1, slots},
		{"QueueMessages", &o.QueueMessages, 16384, 1, 1 << 24},
		{"QueueBytes", &o.QueueBytes, 64 << 20, 1 << 20, 1 << 34},
		{"Batch", &o.Batch, 512, 1, 1 << 16},
		{"Workers", &o.Workers, 16, 1, 1024},
		{"WorkerQueue", &o.WorkerQueue, 4096, 1, 1 << 20},
	}
	for _, n := range ints {
		if *n.value == 0 {
			*n.value = n.preset
		}
		if *n.value < n.lowest || *n.value > n.most {
			return o, fmt.Errorf("redisbroker: Options.%s is %d; it is %d to %d", n.name, *n.value, n.lowest, n.most)
		}
	}
	times := []struct {
		name   string
		value  *time.Duration
		preset time.Duration
	}{
		{"Timeout", &o.Timeout, 5 * time.Second},
		{"ProbeInterval", &o.ProbeInterval, 5 * time.Second},
		{"UnsubscribeDelay", &o.UnsubscribeDelay, time.Second},
		{"PresenceTTL", &o.PresenceTTL, time.Minute},
		{"MaxReconnect", &o.MaxReconnect, 5 * time.Second},
	}
	for _, d := range times {
		if *d.value == 0 {
			*d.value = d.preset
		}
		if *d.value < time.Millisecond {
			return o, fmt.Errorf("redisbroker: Options.%s is %s; it is at least 1 ms", d.name, *d.value)
		}
	}
	return o, o.checkShards()
}

func checkPrefix(prefix string) error {
	if len(prefix) > maxPrefix {
		return fmt.Errorf("redisbroker: the prefix has %d bytes; at most %d are allowed", len(prefix), maxPrefix)
	}
	if strings.ContainsFunc(prefix, func(r rune) bool {
		return r <= ' ' || r > '~' || strings.ContainsRune("{}%*?[]\\^", r)
	}) {
		return fmt.Errorf("redisbroker: the prefix %q has a character that means something to Redis: use letters, digits, '-', '_', '.' and ':'", prefix)
	}
	return nil
}

// checkShards checks the shards, and names those without a name.
func (o *Options) checkShards() error {
	if len(o.Shards) == 0 {
		return errors.New("redisbroker: no shard: give at least one Redis")
	}
	o.Shards = slices.Clone(o.Shards)
	names := make(map[string]bool)
	for i := range o.Shards {
		s := &o.Shards[i]
		if s.Mode == Sentinel && s.Master == "" {
			s.Master = "mymaster"
		}
		if s.Name == "" {
			s.Name = s.defaultName()
		}
		if err := s.check(); err != nil {
			return fmt.Errorf("redisbroker: shard %s: %w", s.Name, err)
		}
		if names[s.Name] {
			return fmt.Errorf("redisbroker: two shards are called %s: a room would be in both; give them different addresses or names", s.Name)
		}
		names[s.Name] = true
	}
	return nil
}

// defaultName does not depend on the order of the addresses.
func (s *Shard) defaultName() string {
	addresses := slices.Clone(s.Addresses)
	slices.Sort(addresses)
	name := strings.Join(addresses, ",")
	if s.Mode == Sentinel {
		name = s.Master + "@" + name
	}
	if s.Database != 0 {
		name += "/" + strconv.Itoa(s.Database)
	}
	return name
}

func (s *Shard) check() error {
	if len(s.Addresses) == 0 {
		return errors.New("no address: give host:port")
	}
	for _, a := range s.Addresses {
		if host, port, err := net.SplitHostPort(a); err != nil || host == "" || port == "" {
			return fmt.Errorf("the address %q is not host:port", a)
		}
	}
	switch s.Mode {
	case Standalone:
		if len(s.Addresses) > 1 {
			return errors.New("mode standalone has one address; several independent Redis are several shards, a Cluster needs mode cluster")
		}
	case Sentinel:
	case Cluster:
		if s.Database != 0 {
			return errors.New("a Redis Cluster has database 0 only: use a prefix to keep deployments apart")
		}
	default:
		return fmt.Errorf("unknown mode %d", s.Mode)
	}
	if s.Mode != Sentinel && s.Master != "" {
		return fmt.Errorf("a master's name is for mode sentinel, the mode is %s", s.Mode)
	}
	if s.Mode != Sentinel && (s.SentinelUsername != "" || s.SentinelPassword != "") {
		return fmt.Errorf("credentials of sentinels are for mode sentinel, the mode is %s", s.Mode)
	}
	if s.Database < 0 {
		return fmt.Errorf("the database is %d; it is at least 0", s.Database)
	}
	if s.Username != "" && s.Password == "" {
		return errors.New("a user without a password: give both")
	}
	return nil
}
