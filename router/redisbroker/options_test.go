package redisbroker

import (
	"strings"
	"testing"
	"time"
)

// newTestBroker is a broker that has not been started, closed at the test's end.
func newTestBroker(t testing.TB, shards ...Shard) *Broker {
	t.Helper()
	return brokerWith(t, Options{Shards: shards})
}

func brokerWith(t testing.TB, o Options) *Broker {
	t.Helper()
	if o.NodeID == "" {
		o.NodeID = "node"
	}
	b, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { b.Close() })
	return b
}

func TestOptionsThatCannotWorkAreRefusedWithTheReason(t *testing.T) {
	ok := Shard{Addresses: []string{"redis:6379"}}
	with := func(change func(*Shard)) Options {
		s := ok
		change(&s)
		return Options{NodeID: "n", Shards: []Shard{s}}
	}
	for _, c := range []struct {
		options Options
		want    string
	}{
		{Options{Shards: []Shard{ok}}, "NodeID is empty"},
		{Options{NodeID: "n"}, "no shard"},
		{Options{NodeID: "n", Shards: []Shard{ok}, Prefix: "a{b"}, `"a{b"`},
		{Options{NodeID: "n", Shards: []Shard{ok}, Prefix: "a b"}, `"a b"`},
		{Options{NodeID: "n", Shards: []Shard{ok}, Prefix: strings.Repeat("a", 65)}, "65 bytes"},
		{Options{NodeID: "n", Shards: []Shard{ok}, Partitions: 16385}, "Partitions is 16385"},
		{Options{NodeID: "n", Shards: []Shard{ok}, Workers: -1}, "Workers is -1"},
		{Options{NodeID: "n", Shards: []Shard{ok}, QueueBytes: 10}, "QueueBytes is 10"},
		{Options{NodeID: "n", Shards: []Shard{ok}, Timeout: time.Microsecond}, "Timeout is 1µs"},
		{Options{NodeID: "n", Shards: []Shard{ok, ok}}, "two shards are called redis:6379"},
		{with(func(s *Shard) { s.Addresses = nil }), "no address"},
		{with(func(s *Shard) { s.Addresses = []string{"redis"} }), `"redis" is not host:port`},
		{with(func(s *Shard) { s.Addresses = []string{":6379"} }), `":6379" is not host:port`},
		{with(func(s *Shard) { s.Addresses = []string{"a:1", "b:1"} }), "standalone has one address"},
		{with(func(s *Shard) { s.Mode = Cluster; s.Database = 1 }), "database 0 only"},
		{with(func(s *Shard) { s.Mode = 7 }), "unknown mode 7"},
		{with(func(s *Shard) { s.Master = "m" }), "mode sentinel"},
		{with(func(s *Shard) { s.SentinelPassword = "p" }), "mode sentinel"},
		{with(func(s *Shard) { s.Database = -1 }), "database is -1"},
		{with(func(s *Shard) { s.Username = "u" }), "without a password"},
	} {
		b, err := New(c.options)
		if err == nil {
			b.Close()
		}
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%+v: %v, want an error with %q", c.options, err, c.want)
		}
	}
}

func TestWhatIsLeftOpenHasItsDefault(t *testing.T) {
	o, err := Options{NodeID: "n", Shards: []Shard{{Mode: Sentinel, Addresses: []string{"b:1", "a:1"}}}}.withDefaults()
	if err != nil {
		t.Fatal(err)
	}
	if o.Prefix != "sluice" || o.Partitions != 128 || o.Timeout != 5*time.Second || o.ProbeInterval != 5*time.Second || o.PresenceTTL != time.Minute ||
		o.UnsubscribeDelay != time.Second || o.MaxReconnect != 5*time.Second || o.QueueMessages != 16384 || o.QueueBytes != 64<<20 || o.Batch != 512 ||
		o.Shards[0].Master != "mymaster" || o.Shards[0].Name != "mymaster@a:1,b:1" {
		t.Errorf("%+v", o)
	}
}

func TestErrorsAboutOptionsHaveNoCredentials(t *testing.T) {
	_, err := New(Options{NodeID: "n", Shards: []Shard{{Addresses: []string{"a"}, Username: "user-x", Password: "secret-x"}}})
	if err == nil || strings.Contains(err.Error(), "-x") {
		t.Errorf("%v", err)
	}
}

// awaitOK waits until try succeeds.
func awaitOK(t testing.TB, try func() error) {
	t.Helper()
	for end := time.Now().Add(time.Minute); ; time.Sleep(2 * time.Millisecond) {
		err := try()
		if err == nil {
			return
		}
		if time.Now().After(end) {
			t.Fatalf("not within a minute: %v", err)
		}
	}
}
