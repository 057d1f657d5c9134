package redisbroker

import (
	"context"
	_ "embed"
	"fmt"
	"math/rand/v2"
	"strconv"
	"time"

	"github.com/redis/go-redis/v9"

	"sluice/router"
)

// What the broker's Redis user needs for history and keys: EVALSHA and EVAL, and
// for what the scripts call GET, SET, DEL, EXISTS, PTTL, PEXPIRE, PERSIST, XADD, XRANGE,
// XREVRANGE, INFO, PUBLISH (in a Cluster SPUBLISH), on keys and channels that begin
// with the prefix.
var (
	//go:embed publish.lua
	publishSource string
	//go:embed newest.lua
	newestSource string
	//go:embed history.lua
	historySource string

	publishScript = redis.NewScript(publishSource)
	newestScript  = redis.NewScript(newestSource)
	historyScript = redis.NewScript(historySource)
)

// metaGrace is by how much a room's position outlives its messages: for so long
// who comes back to a silent room is told that he missed nothing, and members see
// no new epoch when it speaks again.
const metaGrace = 24 * time.Hour

var metaGraceMillis = millis(metaGrace)

// publish publishes m. Without a history and a key that is one PUBLISH, else
// publish.lua.
func (s *shard) publish(ctx context.Context, m *router.Message) (router.Receipt, error) {
	t, ok := topicOf(m)
	if !ok {
		return router.Receipt{}, fmt.Errorf("redisbroker: message of unknown kind %d", m.Kind)
	}
	kept := m.Kind == router.RoomMessage && m.Keep.Size > 0
	if !kept && m.Key == "" {
		if err := s.publishes.publish(ctx, s.publishCommand(), s.keys.channel(t), m); err != nil {
			return router.Receipt{}, s.refusal(err, "PUBLISH")
		}
		return router.Receipt{ID: m.ID}, nil
	}

	var keys []string
	size, ttl, keyTTL := "0", "0", "0"
	if kept {
		keys = append(keys, s.keys.stream(m.Room), s.keys.meta(m.Room))
		size, ttl = strconv.Itoa(m.Keep.Size), millis(m.Keep.TTL)
	}
	if m.Key != "" {
		keys = append(keys, s.keys.once(t, m.From, string(rune('0'+m.Kind))+m.Key))
		keyTTL = millis(router.KeyTTL)
	}
	envelope := appendMessage(make([]byte, 0, envelopeSize(m)), m)
	reply, err := s.run(ctx, s.publishes, publishScript, publishSource, len(envelope), keys,
		s.publishCommand(), s.keys.channel(t), envelope, m.ID, keyTTL, size, ttl, metaGraceMillis, freshEpoch())
	if err != nil {
		return router.Receipt{}, err
	}
	if len(reply) == 1 { // a repetition
		s.b.count(keyRepeated)
		return firstReceipt(reply[0])
	}
	p, err := s.position(reply)
	return router.Receipt{ID: m.ID, Position: p}, err
}

// publishCommand is what publishes to one of the broker's channels.
func (s *shard) publishCommand() string {
	if s.cluster != nil {
		return "spublish"
	}
	return "publish"
}

// envelopeSize is room enough for a message's header and envelope.
func envelopeSize(m *router.Message) int {
	return 64 + len(m.ID) + len(m.From) + len(m.Key) + len(m.Info) + len(m.Content)
}

// freshEpoch is one that was never used: 64 random bits.
func freshEpoch() string { return strconv.FormatUint(rand.Uint64(), 36) }

// millis is a script's argument; what is not longer than 0 is 0, and no other
// duration is.
func millis(d time.Duration) string {
	if d <= 0 {
		return "0"
	}
	return strconv.FormatInt(int64((d+time.Millisecond-1)/time.Millisecond), 10)
}

// run calls a script, which Redis may have forgotten: then it is sent whole.
func (s *shard) run(ctx context.Context, q *batcher, script *redis.Script, source string, bytes int, keys []string, args ...any) ([]any, error) {
	call := make([]any, 0, 3+len(keys)+len(args))
	call = append(call, "evalsha", script.Hash(), len(keys))
	for _, k := range keys {
		call = append(call, k)
	}
	call = append(call, args...)
	cmd := redis.NewSliceCmd(ctx, call...)
	err := q.do(ctx, cmd, bytes)
	if err != nil && redis.HasErrorPrefix(err, "NOSCRIPT") {
		s.b.count(scriptLoaded)
		call[0], call[1] = "eval", source
		cmd = redis.NewSliceCmd(ctx, call...)
		err = q.do(ctx, cmd, bytes+len(source))
	}
	if err != nil {
		return nil, s.refusal(err, "a script of the broker")
	}
	return cmd.Val(), nil
}

// began are the reasons for which scripts begin an epoch.
var began = map[string]event{
	"new":     epochNew,
	"lost":    epochLost,
	"stamp":   epochStamp,
	"foreign": epochForeign,
}

// position reads {epoch, offset, why the epoch began}, and counts the reason.
func (s *shard) position(reply []any) (router.Position, error) {
	if len(reply) < 3 {
		return router.Position{}, errReply
	}
	epoch, ok := reply[0].(string)
	offset, isNumber := reply[1].(int64)
	why, _ := reply[2].(string)
	if !ok || !isNumber || offset < 0 {
		return router.Position{}, errReply
	}
	if e, ok := began[why]; ok {
		s.b.count(e)
	}
	return router.Position{Epoch: epoch, Offset: uint64(offset)}, nil
}

// firstReceipt reads what a key stands for: the header and the id of the first
// message.
func firstReceipt(stored any) (router.Receipt, error) {
	text, _ := stored.(string)
	h, ok := parseHeader([]byte(text))
	if !ok {
		return router.Receipt{}, fmt.Errorf("redisbroker: an idempotency key holds %.64q, which the broker did not write: nothing else may use its prefix", text)
	}
	return router.Receipt{ID: text[h.envelope:], Position: router.Position{Epoch: text[:h.epoch], Offset: h.offset}, Repeated: true}, nil
}

var errReply = fmt.Errorf("redisbroker: Redis answered a script of the broker with what it does not return")

// passing are answers of a Redis that cannot do now what it could before. None has
// executed anything.
var passing = []struct{ prefix, cause string }{
	{"OOM", "it has reached maxmemory, and evicts nothing"},
	{"READONLY", "it is a replica: the client has not found the new master yet"},
	{"LOADING", "it is reading its data after a start"},
	{"MASTERDOWN", "it is a replica without a master"},
	{"CLUSTERDOWN", "no master has that part of the Cluster"},
	{"TRYAGAIN", "that part of the Cluster is being moved"},
	{"MOVED", "that part of the Cluster has been moved"},
	{"ASK", "that part of the Cluster is being moved"},
	{"CROSSSLOT", "its Cluster and the configuration disagree"},
	{"BUSY", "it is executing a script of somebody else"},
	{"MISCONF", "it cannot write to its disk"},
	{"NOREPLICAS", "too few replicas are connected (min-replicas-to-write)"},
	{"UNBLOCKED", "it has become a replica"},
}

// refusal explains an error that a batcher returned. What Redis will accept
// later wraps router.ErrUnavailable.
func (s *shard) refusal(err error, what string) error {
	if !answered(err) {
		return err // of the connection, the context, or the batcher itself: explained there
	}
	for _, p := range passing {
		if redis.HasErrorPrefix(err, p.prefix+" ") {
			return fmt.Errorf("redis %s: %s: %w: %w", s.name, p.cause, router.ErrUnavailable, err)
		}
	}
	switch {
	case redis.HasErrorPrefix(err, "WRONGTYPE"):
		return fmt.Errorf("redis %s: a key of the broker holds data of another type: something else uses the prefix %q; delete the key or change the prefix: %w",
			s.name, s.b.options.Prefix, err)
	case redis.HasErrorPrefix(err, "NOPERM"):
		return fmt.Errorf("redis %s: its user may not do what %s does; docs/operations.md lists the permissions: %w", s.name, what, err)
	}
	return fmt.Errorf("redis %s: %s was refused: %w", s.name, what, err)
}
