package redisbroker

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/redis/go-redis/v9"
)

const oldestRedis = 7 // sharded pub/sub, script flags

// check is an error if the shard's Redis answers what no waiting changes. That
// it does not answer is none: publishes fail at once then, until it does.
func (s *shard) check(ctx context.Context) error {
	masters, err := s.masters(ctx)
	if err != nil {
		return s.refusalOf(err)
	}
	for _, c := range masters {
		err := s.checkMaster(ctx, c)
		if refused := s.refusalOf(err); refused != nil {
			return refused
		}
		if err != nil {
			s.publishes.tripUnchecked(c, err)
			s.reads.trip(c, err)
		}
	}
	return nil
}

// refusalOf is what to tell of an error that no waiting changes; nil: it may pass.
func (s *shard) refusalOf(err error) error {
	if err == nil {
		return nil
	}
	if s.remedy(err) != "" {
		return fmt.Errorf("redis %s: %w", s.name, s.explained(err))
	}
	return nil
}

// explained is an error with its remedy, if there is one.
func (s *shard) explained(err error) error {
	if remedy := s.remedy(err); remedy != "" {
		return fmt.Errorf("%w: %s", err, remedy)
	}
	return err
}

// checkMaster asks who answers, and whether he allows what the broker does.
func (s *shard) checkMaster(ctx context.Context, c *redis.Client) error {
	hello := redis.NewMapStringInterfaceCmd(ctx, "hello", 2)
	if err := c.Process(ctx, hello); err != nil {
		return err
	}
	mode, _ := hello.Val()["mode"].(string)
	want := "standalone"
	if s.mode == Cluster {
		want = "cluster"
	}
	if mode != want {
		return &wrongMode{s.mode, mode}
	}
	version, _ := hello.Val()["version"].(string)
	if major, err := strconv.Atoi(strings.SplitN(version, ".", 2)[0]); err != nil || major < oldestRedis {
		return tooOld(version)
	}
	return s.checkPermissions(ctx, c)
}

// allowed are the rules of the ACL user that may do what the broker does, and
// nothing else. docs/operations.md has the same.
const allowed = "-@all +auth +hello +ping +select +cluster|slots +publish +spublish +subscribe +unsubscribe +ssubscribe +sunsubscribe" +
	" +pubsub|channels +pubsub|shardchannels +eval +evalsha +info +time +get +set +del +unlink +exists +pttl +pexpire +persist" +
	" +xadd +xrange +xrevrange +hget +hmget +hset +hdel +hincrby +zadd +zrem +zcard +zcount +zscore +zrange +zrangebylex +zrangebyscore"

// attempts are what the broker, its scripts and the client need, on a key that is
// never there and a channel that nobody subscribes to, in forms that change
// nothing: Redis looks at the permission first.
func (s *shard) attempts(key string) [][]any {
	publish, list := "publish", "channels"
	if s.cluster != nil {
		publish, list = "spublish", "shardchannels"
	}
	return [][]any{
		{"del", key}, {publish, key, ""}, {"pubsub", list, key}, {"ping"}, {"time"}, {"info", "replication"},
		{"eval", "return 0", 1, key}, {"evalsha", strings.Repeat("0", 40), 1, key},
		{"get", key}, {"set", key, "", "xx"}, {"unlink", key}, {"exists", key}, {"pttl", key}, {"pexpire", key, 1}, {"persist", key},
		{"xadd", key, "nomkstream", "*", "m", ""}, {"xrange", key, "-", "+", "count", 1}, {"xrevrange", key, "+", "-", "count", 1},
		{"hget", key, ""}, {"hmget", key, ""}, {"hdel", key, ""},
		{"hset", key, "", "", "a field without a value"}, {"hincrby", key, "", "no number"},
		{"zadd", key, "xx", 0, ""}, {"zrem", key, ""}, {"zcard", key}, {"zcount", key, 0, 0}, {"zscore", key, ""},
		{"zrange", key, 0, 0}, {"zrangebylex", key, "-", "+"}, {"zrangebyscore", key, 0, 0},
	}
}

// checkPermissions tries what the broker needs, without any effect.
func (s *shard) checkPermissions(ctx context.Context, c *redis.Client) error {
	partition, ok := s.partitionAt(ctx, c.Options().Addr)
	if !ok {
		return nil // a master without a partition
	}
	key := s.keys.in(partition) + "f"
	pipeline := c.Pipeline()
	for _, args := range s.attempts(key) {
		_ = pipeline.Process(ctx, redis.NewCmd(ctx, args...))
	}
	sent, err := pipeline.Exec(ctx)
	if setupFailed(sent, err) {
		return err
	}
	for _, cmd := range sent {
		if err := cmd.Err(); !answered(err) || err != nil && err != redis.Nil && (notAlive(err) || s.remedy(err) != "") {
			return err
		}
	}
	subscribe := c.Subscribe
	if s.cluster != nil {
		subscribe = c.SSubscribe
	}
	p := subscribe(ctx, key)
	defer p.Close()
	if _, err = p.Receive(ctx); err != nil && redirects(err) {
		return nil
	}
	return err
}

// wrongMode is that what answers is deployed otherwise than configured.
type wrongMode struct {
	want Mode
	got  string
}

func (e *wrongMode) Error() string {
	return fmt.Sprintf("it runs in mode %q, and %s is configured", e.got, e.want)
}

type tooOld string

func (e tooOld) Error() string {
	return fmt.Sprintf("its version is %s; %d is the oldest that works", string(e), oldestRedis)
}

// remedy is what to do about an error that no waiting changes; "" for others.
func (s *shard) remedy(err error) string {
	var mode *wrongMode
	var old tooOld
	var certificate *tls.CertificateVerificationError
	switch {
	case errors.As(err, &mode):
		if mode.got == "sentinel" {
			return "these are sentinels; use mode sentinel"
		}
		return "use the mode that it runs in, or another address"
	case errors.As(err, &old):
		return "upgrade it"
	case errors.As(err, &certificate):
		return "give the authority that signed the certificate, and the name it is for"
	}
	for _, r := range remedies {
		if strings.Contains(err.Error(), r.word) && (answered(err) || r.unwrapped) && (r.word != redis.Nil.Error() || s.mode == Sentinel) {
			return strings.NewReplacer("PREFIX", s.b.options.Prefix, "MASTER", s.master, "ALLOWED", allowed).Replace(r.remedy)
		}
	}
	return ""
}

// remedies are for answers, by what they contain. The client loses the type of
// what sentinels answer.
var remedies = []struct {
	word      string
	unwrapped bool
	remedy    string
}{
	{"WRONGPASS", true, "check username and password"},
	{"NOAUTH", true, "it wants a password"},
	{"invalid password", false, "check the password"},
	{"NOPERM", true, "the user lacks a permission that docs/operations.md lists; run, with the user's name: ACL SETUSER name resetkeys ~PREFIX:* resetchannels &PREFIX:* ALLOWED"},
	{"can't run this command", false, "the user lacks the permission for a command of a script; run, with the user's name: ACL SETUSER name resetkeys ~PREFIX:* resetchannels &PREFIX:* ALLOWED"},
	{"DB index is out of range", false, "it has fewer databases: use a lower one"},
	{"cluster support disabled", false, "it is no Cluster: use mode standalone"},
	{"unknown command 'sentinel'", true, "these addresses are no sentinels: use mode standalone, or the sentinels' addresses"},
	{"unknown command 'HELLO'", false, "its version is before 6; 7 is the oldest that works: upgrade it"},
	{"unknown command", false, "a command is disabled or renamed that the broker needs: allow it"},
	{"redis: nil", true, "the sentinels do not know a group called MASTER: use the name in their \"sentinel monitor\""},
}
