package redisbroker

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"sluice/router"
	"sluice/router/redisbroker/redistest"
)

const redisPatience = 60 * time.Second

var tenMinutes = router.Keep{Size: 100, TTL: 10 * time.Minute}

// scripted is a shard whose scripts are tried without the rest of a broker.
func scripted(t testing.TB, addr string) *shard {
	t.Helper()
	b, err := New(Options{NodeID: "node", Shards: []Shard{{Addresses: []string{addr}}}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { b.Close() })
	return b.shards[0]
}

var lastID atomic.Int64

func said(keep router.Keep) *router.Message {
	return &router.Message{Kind: router.RoomMessage, Room: "lobby", ID: fmt.Sprint("m", lastID.Add(1)), From: "ann", Content: []byte("1"), Keep: keep}
}

func (s *shard) say(t testing.TB, keep router.Keep) router.Receipt {
	t.Helper()
	m := said(keep)
	r, err := s.publish(t.Context(), m)
	if err != nil || r.ID != m.ID {
		t.Fatalf("publish: %+v, %v", r, err)
	}
	return r
}

func (s *shard) read(t testing.TB, q router.HistoryQuery) router.HistoryPage {
	t.Helper()
	page, err := s.history(t.Context(), "lobby", q)
	if err != nil {
		t.Fatalf("history: %v", err)
	}
	return page
}

// behind is the page behind a position.
func (s *shard) behind(t testing.TB, after router.Position) router.HistoryPage {
	t.Helper()
	return s.read(t, router.HistoryQuery{After: &after, Limit: 1000})
}

func offsets(page router.HistoryPage) string {
	var all []uint64
	for _, m := range page.Messages {
		all = append(all, m.Offset)
	}
	return fmt.Sprint(all)
}

// counted checks the events that changed since before.
func (s *shard) counted(t testing.TB, before map[string]uint64, want map[string]uint64) {
	t.Helper()
	got := s.b.Counters()
	for name, n := range before {
		if got[name] -= n; got[name] == 0 || name == scriptLoadedName {
			delete(got, name)
		}
	}
	if !maps.Equal(got, want) {
		t.Errorf("counted %v, want %v", got, want)
	}
}

var scriptLoadedName = eventNames[scriptLoaded]

func do(t testing.TB, c *redis.Client, args ...any) any {
	t.Helper()
	v, err := c.Do(context.Background(), args...).Result()
	if err != nil && err != redis.Nil {
		t.Fatalf("%v: %v", args, err)
	}
	return v
}

func awaitThat(t testing.TB, what string, is func() bool) {
	t.Helper()
	for end := time.Now().Add(redisPatience); !is(); time.Sleep(2 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("after %s: not %s", redisPatience, what)
		}
	}
}

// Each way in which a history is lost ends the epoch: for who publishes next, for
// who subscribes next, and for who reads next.
func TestALostHistoryBeginsAnotherEpoch(t *testing.T) {
	server := redistest.Start(t)
	c := server.Client(t)
	s := scripted(t, server.Addr)
	for _, loss := range []struct {
		name    string
		lose    func()
		offset  uint64 // of the newest message that is known, afterwards
		counter event
	}{
		{"all data gone", func() { do(t, c, "flushall") }, 0, epochNew},
		{"the stream gone", func() { do(t, c, "del", s.keys.stream("lobby")) }, 0, epochLost},
		{"the position gone", func() { do(t, c, "del", s.keys.meta("lobby")) }, 0, epochNew},
		{"the position written by another Redis", func() {
			do(t, c, "set", s.keys.meta("lobby"), fmt.Sprintf("abc 3 %040d", 0), "keepttl")
		}, 3, epochStamp},
		{"the position overwritten by others", func() { do(t, c, "set", s.keys.meta("lobby"), "hello") }, 0, 0},
	} {
		setUp := func(t *testing.T) router.Position {
			do(t, c, "flushall")
			s.say(t, tenMinutes)
			s.say(t, tenMinutes)
			return s.say(t, tenMinutes).Position
		}
		t.Run(loss.name+" before a publish", func(t *testing.T) {
			old := setUp(t)
			before := s.b.Counters()
			loss.lose()
			next := s.say(t, tenMinutes).Position
			if next.Epoch == old.Epoch || next.Epoch == "abc" || next.Offset != loss.offset+1 {
				t.Errorf("behind %+v came %+v, want offset %d of another epoch", old, next, loss.offset+1)
			}
			want := eventNames[loss.counter]
			if loss.counter == 0 {
				want = eventNames[epochForeign]
			}
			s.counted(t, before, map[string]uint64{want: 1})
			for after := range uint64(6) {
				if page := s.behind(t, router.Position{Epoch: old.Epoch, Offset: after}); page.Gapless || page.Newest != next {
					t.Errorf("behind %d of the lost epoch: %s, gapless %t, newest %+v", after, offsets(page), page.Gapless, page.Newest)
				}
			}
			if page := s.behind(t, router.Position{Epoch: next.Epoch, Offset: loss.offset}); !page.Gapless || len(page.Messages) != 1 {
				t.Errorf("behind the beginning of the new epoch: %s, gapless %t", offsets(page), page.Gapless)
			}
			if again := s.say(t, tenMinutes).Position; again != (router.Position{Epoch: next.Epoch, Offset: next.Offset + 1}) {
				t.Errorf("behind %+v came %+v", next, again)
			}
		})
		t.Run(loss.name+" before a subscription", func(t *testing.T) {
			old := setUp(t)
			loss.lose()
			at, err := s.newest(t.Context(), "lobby", tenMinutes)
			if err != nil || at.Epoch == "" || at.Epoch == old.Epoch || at.Epoch == "abc" || at.Offset != loss.offset {
				t.Errorf("the position is %+v, %v; want offset %d of another epoch than %s", at, err, loss.offset, old.Epoch)
			}
			if ends := time.Duration(do(t, c, "pttl", s.keys.meta("lobby")).(int64)) * time.Millisecond; ends < 24*time.Hour || ends > 24*time.Hour+10*time.Minute {
				t.Errorf("the new epoch's position ends in %s, want a day and ten minutes", ends)
			}
			if next := s.say(t, tenMinutes).Position; next != (router.Position{Epoch: at.Epoch, Offset: at.Offset + 1}) {
				t.Errorf("behind %+v came %+v", at, next)
			}
		})
		t.Run(loss.name+" before a read", func(t *testing.T) {
			old := setUp(t)
			loss.lose()
			if page := s.behind(t, old); page.Gapless || page.Newest.Epoch == old.Epoch || page.Newest.Epoch == "abc" {
				t.Errorf("behind the newest message of the lost epoch: %s, gapless %t, newest %+v", offsets(page), page.Gapless, page.Newest)
			}
		})
	}
}

func TestScriptsThatRedisForgotAreSentAgain(t *testing.T) {
	server := redistest.Start(t)
	s := scripted(t, server.Addr)
	for i := range uint64(3) {
		do(t, server.Client(t), "script", "flush")
		if r := s.say(t, tenMinutes); r.Offset != i+1 {
			t.Errorf("message %d is at %+v", i+1, r.Position)
		}
		if at, err := s.newest(t.Context(), "lobby", tenMinutes); err != nil || at.Offset != i+1 {
			t.Errorf("the position is %+v, %v", at, err)
		}
		if page := s.read(t, router.HistoryQuery{Limit: 10}); len(page.Messages) != int(i+1) {
			t.Errorf("the history is %s", offsets(page))
		}
	}
	if n := s.b.Counters()[scriptLoadedName]; n != 9 {
		t.Errorf("%d scripts were counted as sent again, want 9", n)
	}
}

func TestOutOfMemoryNothingIsHalfDone(t *testing.T) {
	server := redistest.Start(t)
	c := server.Client(t)
	s := scripted(t, server.Addr)
	first := s.say(t, tenMinutes)
	heard := c.Subscribe(t.Context(), s.keys.channel(router.Topic{Name: "lobby"}))
	defer heard.Close()
	if _, err := heard.Receive(t.Context()); err != nil {
		t.Fatal(err)
	}
	dump := func() string {
		return fmt.Sprint(do(t, c, "keys", "*"), do(t, c, "xrange", s.keys.stream("lobby"), "-", "+"), do(t, c, "get", s.keys.meta("lobby")))
	}
	before := dump()

	do(t, c, "config", "set", "maxmemory", "1")
	m := said(tenMinutes)
	m.Key = "a key"
	for range 3 {
		if _, err := s.publish(t.Context(), m); !errors.Is(err, router.ErrUnavailable) || !strings.Contains(err.Error(), "maxmemory") {
			t.Errorf("publish: error %v, want one that is temporary and names maxmemory", err)
		}
	}
	if page := s.behind(t, first.Position); !page.Gapless || page.Newest != first.Position {
		t.Errorf("the history out of memory: %s, gapless %t, newest %+v", offsets(page), page.Gapless, page.Newest)
	}
	if after := dump(); after != before {
		t.Errorf("refused publishes changed\n%s to\n%s", before, after)
	}
	unkept := said(router.Keep{})
	if _, err := s.publish(t.Context(), unkept); err != nil {
		t.Errorf("a message that takes no memory: %v", err)
	}

	do(t, c, "config", "set", "maxmemory", "0")
	r, err := s.publish(t.Context(), m)
	if err != nil || r.Repeated || r.Epoch != first.Epoch || r.Offset != first.Offset+1 {
		t.Errorf("publish: %+v, %v; want the next offset behind %+v", r, err, first.Position)
	}
	for _, want := range []string{unkept.ID, m.ID} {
		got, err := heard.ReceiveMessage(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if got, err := decodeMessage(router.Topic{Name: "lobby"}, []byte(got.Payload)); err != nil || got.ID != want {
			t.Errorf("delivered was %+v, %v; want %s", got, err, want)
		}
	}
}

// A read cannot begin the epoch that it misses; it must not call the old one whole.
func TestOutOfMemoryAStaleHistoryIsNotGapless(t *testing.T) {
	server := redistest.Start(t)
	c := server.Client(t)
	s := scripted(t, server.Addr)
	at := s.say(t, tenMinutes).Position
	do(t, c, "set", s.keys.meta("lobby"), fmt.Sprintf("%s 1 %040d", at.Epoch, 0), "keepttl")
	do(t, c, "config", "set", "maxmemory", "1")
	if page := s.behind(t, router.Position{Epoch: at.Epoch}); page.Gapless || offsets(page) != "[1]" {
		t.Errorf("the page has %s, gapless %t; want the message, not gapless", offsets(page), page.Gapless)
	}
	if page := s.behind(t, at); page.Gapless {
		t.Error("behind the newest message of a stale history the page is gapless")
	}
}

func TestDataOfAnotherTypeIsAnErrorThatSaysSo(t *testing.T) {
	server := redistest.Start(t)
	c := server.Client(t)
	s := scripted(t, server.Addr)
	lobby := router.Topic{Name: "lobby"}
	once := said(router.Keep{})
	once.Key = "k"
	onceKey := s.keys.once(lobby, "ann", "1k")
	for _, key := range []string{s.keys.stream("lobby"), s.keys.meta("lobby"), onceKey} {
		do(t, c, "flushall")
		do(t, c, "lpush", key, "x")
		m := said(tenMinutes)
		m.Key = "k"
		_, err := s.publish(t.Context(), m)
		if err == nil || errors.Is(err, router.ErrUnavailable) || !strings.Contains(err.Error(), `something else uses the prefix "sluice"`) {
			t.Errorf("key %s: error %v", key, err)
		}
		if keys := do(t, c, "keys", "*"); fmt.Sprint(keys) != "["+key+"]" {
			t.Errorf("a refused publish wrote %v", keys)
		}
	}
	do(t, c, "flushall")
	do(t, c, "set", onceKey, "what is this")
	if r, err := s.publish(t.Context(), once); err == nil || !strings.Contains(err.Error(), "what is this") {
		t.Errorf("a key that holds something else: %+v, %v", r, err)
	}
}

func TestAStreamThatOthersWriteToDoesNoHarm(t *testing.T) {
	server := redistest.Start(t)
	c := server.Client(t)
	s := scripted(t, server.Addr)
	stream := s.keys.stream("lobby")
	t.Run("entries between ours are skipped and counted", func(t *testing.T) {
		do(t, c, "flushall")
		var at router.Position
		for i := range 4 {
			at = s.say(t, tenMinutes).Position
			switch i {
			case 1:
				do(t, c, "xadd", stream, "2-1", "m", "x")
			case 2:
				do(t, c, "xadd", stream, "3-7", "a", "b", "c", "d")
			}
		}
		before := s.b.Counters()
		page := s.behind(t, router.Position{Epoch: at.Epoch, Offset: 1})
		if offsets(page) != "[2 3 4]" || page.Gapless || page.More {
			t.Errorf("the page has %s, gapless %t, more %t", offsets(page), page.Gapless, page.More)
		}
		s.counted(t, before, map[string]uint64{eventNames[malformedEntry]: 2})
		if page := s.behind(t, router.Position{Epoch: at.Epoch, Offset: 3}); offsets(page) != "[4]" || page.Gapless {
			t.Errorf("behind 3: %s, gapless %t; the entry 3-7 stands between", offsets(page), page.Gapless)
		}
	})
	t.Run("an envelope that cannot be read is skipped and counted", func(t *testing.T) {
		do(t, c, "flushall")
		at := s.say(t, tenMinutes).Position
		do(t, c, "xadd", stream, "2-0", "m", "\x01\x01garbage")
		do(t, c, "set", s.keys.meta("lobby"), strings.Replace(fmt.Sprint(do(t, c, "get", s.keys.meta("lobby"))), " 1 ", " 2 ", 1), "keepttl")
		s.say(t, tenMinutes)
		before := s.b.Counters()
		page := s.behind(t, router.Position{Epoch: at.Epoch, Offset: 0})
		if offsets(page) != "[1 3]" || page.Gapless {
			t.Errorf("the page has %s, gapless %t", offsets(page), page.Gapless)
		}
		s.counted(t, before, map[string]uint64{eventNames[malformedEnvelope]: 1})
	})
	t.Run("a page begins behind what is none of ours", func(t *testing.T) {
		do(t, c, "flushall")
		first := s.say(t, tenMinutes).Position
		for i := range 50 {
			do(t, c, "xadd", stream, fmt.Sprint("1-", i+1), "m", "x")
		}
		s.say(t, tenMinutes)
		page := s.read(t, router.HistoryQuery{After: &first, Limit: 3})
		if offsets(page) != "[2]" || page.More || page.Gapless {
			t.Errorf("the page has %s, more %t, gapless %t", offsets(page), page.More, page.Gapless)
		}
		page = s.read(t, router.HistoryQuery{Before: 2, Limit: 3})
		if offsets(page) != "[1]" || page.More {
			t.Errorf("backward the page has %s, more %t", offsets(page), page.More)
		}
	})
	for _, id := range []string{"*", "18446744073709551615-18446744073709551615"} {
		t.Run("entries that take all offsets begin another epoch: "+id, func(t *testing.T) {
			do(t, c, "flushall")
			old := s.say(t, tenMinutes).Position
			do(t, c, "xadd", stream, id, "m", "x")
			before := s.b.Counters()
			next := s.say(t, tenMinutes).Position
			if next.Epoch == old.Epoch || next.Offset != 2 {
				t.Errorf("behind %+v came %+v", old, next)
			}
			s.counted(t, before, map[string]uint64{eventNames[epochForeign]: 1})
			if page := s.behind(t, router.Position{Epoch: next.Epoch, Offset: 1}); offsets(page) != "[2]" || !page.Gapless {
				t.Errorf("the page has %s, gapless %t", offsets(page), page.Gapless)
			}
		})
	}
}

// The messages end with the TTL, the position a day later: a silent room tells
// those who come back that they missed nothing, or that they did.
func TestAHistoryEndsAndItsPositionRemains(t *testing.T) {
	server := redistest.Start(t)
	c := server.Client(t)
	s := scripted(t, server.Addr)
	s.say(t, tenMinutes)
	old := s.say(t, router.Keep{Size: 10, TTL: 20 * time.Millisecond}).Position
	awaitThat(t, "gone: the stream", func() bool { return do(t, c, "exists", s.keys.stream("lobby")) == int64(0) })
	if ttl := do(t, c, "pttl", s.keys.meta("lobby")).(int64); ttl < 23*3_600_000 || ttl > 24*3_600_000+20 {
		t.Errorf("the position ends in %d ms, want about a day", ttl)
	}
	before := s.b.Counters()
	if page := s.behind(t, old); !page.Gapless || page.Newest != old {
		t.Errorf("who had the last message: gapless %t, newest %+v", page.Gapless, page.Newest)
	}
	if page := s.behind(t, router.Position{Epoch: old.Epoch, Offset: 1}); page.Gapless {
		t.Error("who missed the last message is told that he missed nothing")
	}
	if at, err := s.newest(t.Context(), "lobby", tenMinutes); err != nil || at != old {
		t.Errorf("a subscriber's position is %+v, %v; want %+v", at, err, old)
	}
	if next := s.say(t, tenMinutes).Position; next.Epoch != old.Epoch || next.Offset != 3 {
		t.Errorf("behind %+v came %+v", old, next)
	}
	if page := s.behind(t, router.Position{Epoch: old.Epoch, Offset: 1}); page.Gapless || offsets(page) != "[3]" {
		t.Errorf("who missed the message that ended: %s, gapless %t", offsets(page), page.Gapless)
	}
	s.counted(t, before, map[string]uint64{})

	do(t, c, "pexpire", s.keys.meta("lobby"), 1)
	awaitThat(t, "gone: the position", func() bool { return do(t, c, "exists", s.keys.meta("lobby")) == int64(0) })
	if next := s.say(t, tenMinutes).Position; next.Epoch == old.Epoch || next.Offset != 1 {
		t.Errorf("once the position has ended, behind %+v came %+v", old, next)
	}
}

func TestEveryKeyEnds(t *testing.T) {
	server := redistest.Start(t)
	c := server.Client(t)
	s := scripted(t, server.Addr)
	m := said(tenMinutes)
	m.Key = "k"
	if _, err := s.publish(t.Context(), m); err != nil {
		t.Fatal(err)
	}
	if _, err := s.newest(t.Context(), "attic", tenMinutes); err != nil {
		t.Fatal(err)
	}
	for key, want := range map[string]time.Duration{
		s.keys.stream("lobby"): 10 * time.Minute, s.keys.meta("lobby"): 24*time.Hour + 10*time.Minute, s.keys.meta("attic"): 24*time.Hour + 10*time.Minute,
		s.keys.once(router.Topic{Name: "lobby"}, "ann", "1k"): router.KeyTTL,
	} {
		if got := time.Duration(do(t, c, "pttl", key).(int64)) * time.Millisecond; got > want || got < want-redisPatience {
			t.Errorf("%s ends in %s, want %s", key, got, want)
		}
	}
	s.say(t, router.Keep{Size: 10})
	for _, key := range []string{s.keys.stream("lobby"), s.keys.meta("lobby")} {
		if ttl := do(t, c, "pttl", key); ttl != int64(-1) {
			t.Errorf("without a TTL %s ends in %v ms", key, ttl)
		}
	}
	do(t, c, "del", s.keys.stream("lobby"))
	if r := s.say(t, tenMinutes); r.Offset != 1 {
		t.Errorf("once the stream of a history without a TTL was deleted, the next message is at %+v", r.Position)
	}
}

func TestOffsetsAreExactWhereFloatsAreShown(t *testing.T) {
	server := redistest.Start(t)
	c := server.Client(t)
	s := scripted(t, server.Addr)
	at := s.say(t, tenMinutes).Position
	const far = 1_234_567_890_123_456
	do(t, c, "del", s.keys.stream("lobby"))
	do(t, c, "xadd", s.keys.stream("lobby"), fmt.Sprint(far, "-0"), "m", "x")
	meta := fmt.Sprint(do(t, c, "get", s.keys.meta("lobby")))
	do(t, c, "set", s.keys.meta("lobby"), strings.Replace(meta, " 1 ", fmt.Sprintf(" %d ", far), 1), "keepttl")
	if r := s.say(t, tenMinutes); r.Epoch != at.Epoch || r.Offset != far+1 {
		t.Errorf("the next message is at %+v, want offset %d", r.Position, uint64(far+1))
	}
	if page := s.behind(t, router.Position{Epoch: at.Epoch, Offset: far}); offsets(page) != fmt.Sprint([]uint64{far + 1}) || !page.Gapless {
		t.Errorf("the page has %s, gapless %t", offsets(page), page.Gapless)
	}
}

func TestAPageOfFewBytesCostsFewBytes(t *testing.T) {
	server := redistest.Start(t)
	s := scripted(t, server.Addr)
	for range 100 {
		m := said(tenMinutes)
		m.Content = fmt.Appendf(nil, `"%s"`, strings.Repeat("x", 64<<10))
		if _, err := s.publish(t.Context(), m); err != nil {
			t.Fatal(err)
		}
	}
	sent := func() int64 {
		var n int64
		fmt.Sscan(server.Info("total_net_output_bytes"), &n)
		return n
	}
	before := sent()
	page := s.read(t, router.HistoryQuery{Limit: 10, MaxBytes: 256 << 10})
	if len(page.Messages) != 3 || !page.More {
		t.Errorf("%d messages, more %t; want 3", len(page.Messages), page.More)
	}
	if n := sent() - before; n > 512<<10 {
		t.Errorf("Redis sent %d bytes", n)
	}
}

// A message may be larger than all that a page allows.
func TestAPageOfOneLargeMessageSaysThatThereIsMore(t *testing.T) {
	server := redistest.Start(t)
	s := scripted(t, server.Addr)
	var epoch string
	for range 3 {
		m := said(tenMinutes)
		m.Content = fmt.Appendf(nil, `"%s"`, strings.Repeat("x", 1<<20))
		r, err := s.publish(t.Context(), m)
		if err != nil {
			t.Fatal(err)
		}
		epoch = r.Epoch
	}
	for after, want := range []string{"[1] true true", "[2] true true", "[3] false true", "[] false true"} {
		page := s.read(t, router.HistoryQuery{After: &router.Position{Epoch: epoch, Offset: uint64(after)}, Limit: 256, MaxBytes: 128 << 10})
		if got := fmt.Sprintf("%s %t %t", offsets(page), page.More, page.Gapless); got != want {
			t.Errorf("behind %d: %s, want %s (more, gapless)", after, got, want)
		}
	}
	for before, want := range map[uint64]string{0: "[3] true", 3: "[2] true", 2: "[1] false"} {
		page := s.read(t, router.HistoryQuery{Before: before, Limit: 256, MaxBytes: 128 << 10})
		if got := fmt.Sprintf("%s %t", offsets(page), page.More); got != want {
			t.Errorf("before %d: %s, want %s (more)", before, got, want)
		}
	}
}

// Nodes would skip every message of an epoch that they cannot read, and Lua does
// not count beyond what a float holds.
func TestAForgedPlaceOfARoomBeginsAnotherEpoch(t *testing.T) {
	server := redistest.Start(t)
	c := server.Client(t)
	s := scripted(t, server.Addr)
	stamp := server.Info("master_replid")
	for _, forged := range []string{
		strings.Repeat("e", 33) + " 1 " + stamp, "e 9007199254740993 " + stamp, "e 99999999999999999999999999 " + stamp,
	} {
		forge := func() {
			do(t, c, "flushall")
			do(t, c, "set", s.keys.meta("lobby"), forged)
		}
		forge()
		if page := s.behind(t, router.Position{Epoch: "e", Offset: 1}); page.Newest != (router.Position{}) || page.Gapless {
			t.Errorf("%s: the history is at %+v, gapless %t", forged, page.Newest, page.Gapless)
		}
		if p, err := s.newest(t.Context(), "lobby", tenMinutes); err != nil || p.Offset != 0 || len(p.Epoch) > maxEpoch || p.Epoch == "e" {
			t.Errorf("%s: the newest is at %+v, %v", forged, p, err)
		}
		forge()
		r := s.say(t, tenMinutes)
		if r.Offset != 1 || len(r.Epoch) > maxEpoch || r.Epoch == "e" {
			t.Errorf("%s: the next message is at %+v", forged, r.Position)
		}
		if page := s.behind(t, router.Position{Epoch: r.Epoch}); offsets(page) != "[1]" || !page.Gapless {
			t.Errorf("%s: the page has %s, gapless %t", forged, offsets(page), page.Gapless)
		}
	}
}

func TestARefusalNamesItsCauseAndWhetherItPasses(t *testing.T) {
	s := scripted(t, "127.0.0.1:1")
	for text, cause := range map[string]string{
		"OOM command not allowed when used memory > 'maxmemory'.": "maxmemory",
		"READONLY You can't write against a read only replica.":   "replica",
		"LOADING Redis is loading the dataset in memory":          "reading its data",
		"MASTERDOWN Link with MASTER is down":                     "without a master",
		"CLUSTERDOWN Hash slot not served":                        "no master has that part",
		"TRYAGAIN Multiple keys request during rehashing of slot": "being moved",
		"BUSY Redis is busy running a script.":                    "script of somebody else",
		"MISCONF Errors writing to the AOF file: No space left":   "disk",
		"NOREPLICAS Not enough good replicas to write.":           "replicas",
		"MOVED 3999 127.0.0.1:6381":                               "moved",
	} {
		err := s.refusal(answer(text), "PUBLISH")
		if !errors.Is(err, router.ErrUnavailable) || !strings.Contains(err.Error(), cause) || !strings.Contains(err.Error(), text) || !strings.Contains(err.Error(), s.name) {
			t.Errorf("%s: %v", text, err)
		}
	}
	for _, text := range []string{"WRONGTYPE Operation against a key", "NOPERM this user has no permissions", "ERR unknown command", "OOMPH is no code"} {
		if err := s.refusal(answer(text), "PUBLISH"); errors.Is(err, router.ErrUnavailable) || !strings.Contains(err.Error(), text) {
			t.Errorf("%s: %v, want an error that does not pass", text, err)
		}
	}
	if other := errors.New("OOM is no answer"); s.refusal(other, "PUBLISH") != other {
		t.Error("an error of another kind was changed")
	}
}
