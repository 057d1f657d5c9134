package redisbroker

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"strconv"
	"strings"

	"github.com/cespare/xxhash/v2"

	"sluice/router"
)

// keys names what the broker has in one Redis. Every name is
//
//	PREFIX ":" [ "{" TAG "}:" ] KIND [ ":" NAME ]
//
// The tag is there in a Cluster. All keys of one room, or of one user, have one
// tag, and so one slot. Kinds:
//
//	r  channel of a room          u  channel of a user        a  channel of broadcasts and orders
//	s  stream: a room's history   m  its metadata             p* a room's presence (presence.lua)
//	n* the nodes (nodes.lua)
//	o  an idempotency key         f  the fence of publishes   t  channel of a node's probes
//
// In NAME braces, percent signs and control bytes are written %XX, so that a
// name has no tag of its own.
type keys struct {
	prefix string   // with the colon
	tags   []string // one per partition; nil: not a Cluster
}

const slots = 16384 // of a Cluster

// newKeys names with the prefix; partitions 0: not a Cluster.
func newKeys(prefix string, partitions int) keys {
	k := keys{prefix: prefix + ":"}
	if partitions > 0 {
		k.tags = partitionTags(partitions)
	}
	return k
}

// partitionTags finds for each partition the first number in base 36 whose slot
// falls into the partition's equal slice of all slots. Masters have contiguous
// ranges of slots, so each gets its share of partitions.
func partitionTags(partitions int) []string {
	tags := make([]string, partitions)
	for n, missing := uint64(0), partitions; missing > 0; n++ {
		tag := strconv.FormatUint(n, 36)
		if i := int(slotOf(tag)) * partitions / slots; tags[i] == "" {
			tags[i] = tag
			missing--
		}
	}
	return tags
}

// slotOf is the slot of a hash tag: its CRC-16/XMODEM modulo the slots.
func slotOf(tag string) uint16 {
	var crc uint16
	for i := range len(tag) {
		crc ^= uint16(tag[i]) << 8
		for range 8 {
			if crc&0x8000 != 0 {
				crc = crc<<1 ^ 0x1021
			} else {
				crc <<= 1
			}
		}
	}
	return crc % slots
}

// hashTopic spreads topics over shards and partitions. It is the same on every
// node and in every release.
func hashTopic(t router.Topic) uint64 {
	h := xxhash.Sum64String(t.Name)
	if t.User {
		h = ^h
	}
	return mix(h)
}

// mix is the finaliser of splitmix64: every bit of x moves every bit of the result.
func mix(x uint64) uint64 {
	x ^= x >> 30
	x *= 0xbf58476d1ce4e5b9
	x ^= x >> 27
	x *= 0x94d049bb133111eb
	return x ^ x>>31
}

// partition is that of a topic; that of broadcasts and orders is 0.
func (k keys) partition(t router.Topic) int {
	if len(k.tags) == 0 || t == (router.Topic{}) {
		return 0
	}
	return int(hashTopic(t) % uint64(len(k.tags)))
}

// in begins a name in a partition.
func (k keys) in(partition int) string {
	if k.tags == nil {
		return k.prefix
	}
	return k.prefix + "{" + k.tags[partition] + "}:"
}

// of is a name of some kind that belongs to the topic.
func (k keys) of(t router.Topic, kind string) string {
	return k.in(k.partition(t)) + kind + ":" + escape(t.Name)
}

func (k keys) ofRoom(room, kind string) string { return k.of(router.Topic{Name: room}, kind) }

// channel is a topic's; that of the zero topic is broadcast().
func (k keys) channel(t router.Topic) string {
	switch {
	case t == router.Topic{}:
		return k.broadcast()
	case t.User:
		return k.of(t, "u")
	}
	return k.of(t, "r")
}

// broadcast is the channel of broadcasts and orders.
func (k keys) broadcast() string { return k.in(0) + "a" }

func (k keys) stream(room string) string { return k.ofRoom(room, "s") }
func (k keys) meta(room string) string   { return k.ofRoom(room, "m") }

// presence are the keys of presence.lua.
func (k keys) presence(room string) []string {
	return []string{k.ofRoom(room, "pu"), k.ofRoom(room, "pe"), k.ofRoom(room, "pi"), k.ofRoom(room, "pn")}
}

// nodes are the keys of nodes.lua.
func (k keys) nodes() []string { return []string{k.in(0) + "n", k.in(0) + "nl"} }

// rooms is a pattern of the channels of all rooms.
func (k keys) rooms() string {
	if k.tags == nil {
		return k.prefix + "r:*"
	}
	return k.prefix + "{*}:r:*"
}

// fence is a key that never exists, in the slot of a topic.
func (k keys) fence(t router.Topic) string { return k.in(k.partition(t)) + "f" }

// probe is the channel of a node's probes in a partition.
func (k keys) probe(partition int, node string) string { return k.in(partition) + "t:" + escape(node) }

// once is the idempotency key of a message from a user to a topic, which is the
// zero topic for broadcasts. It is a digest: of one length, whatever a client chose.
func (k keys) once(t router.Topic, from, key string) string {
	var buf [1024]byte
	b := buf[:0]
	if t.User {
		b = append(b, 'u')
	} else {
		b = append(b, 'r')
	}
	for _, part := range []string{t.Name, from, key} {
		b = binary.AppendUvarint(b, uint64(len(part)))
		b = append(b, part...)
	}
	sum := sha256.Sum256(b)
	return k.in(k.partition(t)) + "o:" + base64.RawURLEncoding.EncodeToString(sum[:16])
}

// topic is that of a channel; ok is false if the channel is none of ours.
func (k keys) topic(channel string) (t router.Topic, ok bool) {
	rest, ok := strings.CutPrefix(channel, k.prefix)
	if !ok {
		return t, false
	}
	if k.tags != nil {
		if !strings.HasPrefix(rest, "{") {
			return t, false
		}
		if _, rest, ok = strings.Cut(rest, "}:"); !ok {
			return t, false
		}
	}
	if rest != "a" {
		kind, name, found := strings.Cut(rest, ":")
		if !found || name == "" || kind != "r" && kind != "u" {
			return t, false
		}
		if t.Name, ok = unescape(name); !ok {
			return router.Topic{}, false
		}
		t.User = kind == "u"
	}
	// The tag is the topic's, and nothing was written otherwise than channel writes it.
	if k.channel(t) != channel {
		return router.Topic{}, false
	}
	return t, true
}

const hexDigits = "0123456789ABCDEF"

func special(c byte) bool { return c < ' ' || c == 0x7f || c == '{' || c == '}' || c == '%' }

func escape(name string) string {
	n := 0
	for i := range len(name) {
		if special(name[i]) {
			n++
		}
	}
	if n == 0 {
		return name
	}
	b := make([]byte, 0, len(name)+2*n)
	for i := range len(name) {
		if c := name[i]; special(c) {
			b = append(b, '%', hexDigits[c>>4], hexDigits[c&15])
		} else {
			b = append(b, c)
		}
	}
	return string(b)
}

func unescape(name string) (string, bool) {
	if strings.IndexByte(name, '%') < 0 {
		return name, true
	}
	b := make([]byte, 0, len(name))
	for i := 0; i < len(name); i++ {
		if name[i] != '%' {
			b = append(b, name[i])
			continue
		}
		if i+2 >= len(name) {
			return "", false
		}
		high, low := strings.IndexByte(hexDigits, name[i+1]), strings.IndexByte(hexDigits, name[i+2])
		if high < 0 || low < 0 {
			return "", false
		}
		b = append(b, byte(high<<4|low))
		i += 2
	}
	return string(b), true
}
