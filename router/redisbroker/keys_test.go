package redisbroker

import (
	"fmt"
	"math"
	"strings"
	"testing"

	"github.com/redis/go-redis/v9"

	"sluice/router"
	"sluice/router/redisbroker/redistest"
)

// masterOfSlot is who has a slot if masters have equal, contiguous ranges, as
// redis-cli makes them.
func masterOfSlot(slot uint16, masters int) int {
	return int(math.Round(float64(slot)*float64(masters)/slots - 0.5))
}

func TestEveryMasterHasItsShareOfThePartitions(t *testing.T) {
	for _, partitions := range []int{16, 128, 1000} {
		k := newKeys("sluice", partitions)
		for _, masters := range []int{1, 2, 3, 4, 5, 6, 7, 16} {
			share := make([]int, masters)
			for _, tag := range k.tags {
				share[min(masterOfSlot(slotOf(tag), masters), masters-1)]++
			}
			for i, n := range share {
				if want := float64(partitions) / float64(masters); math.Abs(float64(n)-want) >= 2 {
					t.Errorf("%d partitions, %d masters: master %d has %d, want %.1f", partitions, masters, i, n, want)
				}
			}
		}
	}
}

func TestEveryPartitionHasATagOfItsOwn(t *testing.T) {
	for _, partitions := range []int{1, 2, 3, 128, slots} {
		seen := make(map[string]bool)
		for _, tag := range newKeys("x", partitions).tags {
			if tag == "" || seen[tag] {
				t.Fatalf("%d partitions: tag %q is empty or comes twice", partitions, tag)
			}
			seen[tag] = true
		}
		if len(seen) != partitions {
			t.Errorf("%d partitions have %d tags", partitions, len(seen))
		}
	}
}

func TestSlotsAreThoseOfRedis(t *testing.T) {
	t.Parallel()
	c := redistest.StartCluster(t, 1, 0)
	client := redis.NewClient(&redis.Options{Addr: c.Addrs()[0], Protocol: 2, DisableIdentity: true})
	defer client.Close()
	k := newKeys("sluice", 16)
	for i, tag := range k.tags {
		if want := client.ClusterKeySlot(t.Context(), k.in(i)+"r:lobby").Val(); int64(slotOf(tag)) != want {
			t.Errorf("slotOf(%q) is %d, of Redis %d", tag, slotOf(tag), want)
		}
	}
}

func TestTopicsSpreadEvenlyOverPartitions(t *testing.T) {
	k := newKeys("sluice", 128)
	count := make([]int, 128)
	const topics = 128 * 500
	for i := range topics / 2 {
		count[k.partition(router.Topic{Name: fmt.Sprint("room:", i)})]++
		count[k.partition(router.Topic{Name: fmt.Sprint("room:", i), User: true})]++
	}
	for i, n := range count {
		if n < 350 || n > 650 { // six standard deviations
			t.Errorf("partition %d has %d topics of %d, want about 500", i, n, topics)
		}
	}
}

// TestNamesOfKeysStayAsTheyAre pins what nodes of two releases have in common.
func TestNamesOfKeysStayAsTheyAre(t *testing.T) {
	room, user := router.Topic{Name: "lobby"}, router.Topic{Name: "ann", User: true}
	for _, k := range []struct {
		keys                                     keys
		room, user, all, stream, meta, once, odd string
	}{
		{newKeys("sluice", 0), "sluice:r:lobby", "sluice:u:ann", "sluice:a", "sluice:s:lobby", "sluice:m:lobby",
			"sluice:o:1_cnux19hkxGo_PU86Rj9g", "sluice:r:%7Ba%7D%25%0Ab:c"},
		{newKeys("x", 128), "x:{1q}:r:lobby", "x:{6h}:u:ann", "x:{14}:a", "x:{1q}:s:lobby", "x:{1q}:m:lobby",
			"x:{1q}:o:1_cnux19hkxGo_PU86Rj9g", "x:{18}:r:%7Ba%7D%25%0Ab:c"},
	} {
		for _, n := range [][2]string{
			{k.keys.channel(room), k.room}, {k.keys.channel(user), k.user}, {k.keys.channel(router.Topic{}), k.all}, {k.keys.broadcast(), k.all},
			{k.keys.stream("lobby"), k.stream}, {k.keys.meta("lobby"), k.meta},
			{k.keys.once(room, "ann", "key"), k.once}, {k.keys.channel(router.Topic{Name: "{a}%\nb:c"}), k.odd},
		} {
			if n[0] != n[1] {
				t.Errorf("%q, want %q", n[0], n[1])
			}
		}
	}
}

func TestIdempotencyKeysDoNotMeet(t *testing.T) {
	k := newKeys("sluice", 0)
	seen := make(map[string]string)
	for _, c := range []struct {
		topic     router.Topic
		from, key string
	}{
		{router.Topic{Name: "a"}, "b", "c"}, {router.Topic{Name: "a", User: true}, "b", "c"}, {router.Topic{Name: "ab"}, "", "c"},
		{router.Topic{Name: "a"}, "bc", ""}, {router.Topic{}, "ab", "c"}, {router.Topic{Name: "a"}, "c", "b"}, {router.Topic{}, "", "abc"},
	} {
		name, as := k.once(c.topic, c.from, c.key), fmt.Sprint(c)
		if other, ok := seen[name]; ok {
			t.Errorf("%s and %s have one key, %s", as, other, name)
		}
		seen[name] = as
	}
}

func TestChannelsOfOthersAreNotOurs(t *testing.T) {
	single, cluster := newKeys("sluice", 0), newKeys("sluice", 128)
	other := cluster.in(cluster.partition(router.Topic{Name: "lobby"}) ^ 1)
	for _, channel := range []string{
		"", "sluice", "sluice:", "sluice:r", "sluice:r:", "sluice:u:", "sluice:s:lobby", "sluice:t:node", "sluice:a:", "sluice:aa", "other:r:lobby",
		"sluice2:r:lobby", "sluice:r:%7b", "sluice:r:%", "sluice:r:%4", "sluice:r:%61", "sluice:r:{", "sluice:r:a\x00", "sluice:{1c}:r:lobby", "sluice:r:%ZZ",
	} {
		if topic, ok := single.topic(channel); ok {
			t.Errorf("%q is taken for %+v", channel, topic)
		}
	}
	for _, channel := range []string{"sluice:r:lobby", "sluice:{", "sluice:{}:r:lobby", "sluice:{zzzz}:r:lobby", other + "r:lobby", cluster.in(1) + "a", cluster.in(0)} {
		if topic, ok := cluster.topic(channel); ok {
			t.Errorf("%q is taken for %+v", channel, topic)
		}
	}
}

// FuzzTopicsHaveChannelsOfTheirOwn: a channel leads back to its topic, whatever
// it is called, and has the hash tag of its partition.
func FuzzTopicsHaveChannelsOfTheirOwn(f *testing.F) {
	for _, name := range []string{"a", "{a}", "}{", "%", "%7B", "a:b", "\x00", "\x7f", "a\xffb", "日本語", "-", "a}:r:b", strings.Repeat("{", 255)} {
		f.Add(name, true)
		f.Add(name, false)
	}
	single, cluster := newKeys("sluice", 0), newKeys("sluice:x", 128)
	f.Fuzz(func(t *testing.T, name string, user bool) {
		if name == "" {
			return
		}
		topic := router.Topic{Name: name, User: user}
		for _, k := range []keys{single, cluster} {
			channel := k.channel(topic)
			if got, ok := k.topic(channel); !ok || got != topic {
				t.Fatalf("%+v has the channel %q, which leads to %+v, %t", topic, channel, got, ok)
			}
			if strings.Count(channel, "{") != min(len(k.tags), 1) || strings.ContainsFunc(channel, func(r rune) bool { return r < ' ' }) {
				t.Fatalf("the channel of %+v, %q, has braces or control characters of the name", topic, channel)
			}
			if len(channel) > len(k.in(0))+8+3*len(name) {
				t.Fatalf("the channel of a name of %d bytes has %d", len(name), len(channel))
			}
			if user {
				continue
			}
			tag := k.in(k.partition(topic))
			for _, key := range append(k.presence(name), channel, k.stream(name), k.meta(name), k.once(topic, "ann", "k"), k.fence(topic)) {
				if !strings.HasPrefix(key, tag) {
					t.Fatalf("%q is not in the partition %q of its room", key, tag)
				}
			}
		}
	})
}

// FuzzChannelsOfAnyoneDoNoHarm: what is taken for a topic's channel is that topic's.
func FuzzChannelsOfAnyoneDoNoHarm(f *testing.F) {
	for _, channel := range []string{"sluice:r:a", "sluice:a", "sluice:{1c}:r:lobby", "sluice:u:%7B", "sluice:{1c", "sluice:r:%"} {
		f.Add(channel)
	}
	single, cluster := newKeys("sluice", 0), newKeys("sluice", 128)
	f.Fuzz(func(t *testing.T, channel string) {
		for _, k := range []keys{single, cluster} {
			if topic, ok := k.topic(channel); ok && k.channel(topic) != channel {
				t.Fatalf("%q is taken for %+v, whose channel is %q", channel, topic, k.channel(topic))
			}
		}
	})
}
