package redisbroker

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"runtime/debug"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"sluice/router"
	"sluice/router/redisbroker/redistest"
)

// queued is a lone shard's broker, not started: its batchers work without.
func queued(t testing.TB, change func(*Options), s Shard) (*Broker, *shard) {
	t.Helper()
	o := Options{Shards: []Shard{s}}
	if change != nil {
		change(&o)
	}
	b := brokerWith(t, o)
	if s.Mode == Cluster {
		if _, err := b.home().masters(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	return b, b.home()
}

// queue1 has a call sent without waiting for it.
func queue1(t *testing.T, q *batcher, c *call) error {
	t.Helper()
	k, err := q.enqueue(t.Context(), c)
	if k != nil {
		go k.lead(c, time.Time{})
	}
	return err
}

// hurried is a context with a deadline.
func hurried(t *testing.T) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Hour)
	t.Cleanup(cancel)
	return ctx
}

// pushes gives n calls that append their numbers to a list, without waiting.
func pushes(t *testing.T, q *batcher, list string, n int) []*call {
	t.Helper()
	batch := make([]*call, n)
	for i := range batch {
		batch[i] = newCall(redis.NewIntCmd(t.Context(), "rpush", list, i), 100)
		if err := queue1(t, q, batch[i]); err != nil {
			t.Fatalf("call %d: %v", i, err)
		}
	}
	return batch
}

func settled(t *testing.T, c *call) error {
	t.Helper()
	select {
	case err := <-c.done:
		return err
	case <-time.After(time.Minute):
		t.Fatal("a call was never answered")
		return nil
	}
}

// dialled has a client's connections be what wrap makes of them.
func dialled(c *redis.Client, wrap func(net.Conn) net.Conn) {
	dial := c.Options().Dialer
	c.Options().Dialer = func(ctx context.Context, network, addr string) (net.Conn, error) {
		conn, err := dial(ctx, network, addr)
		if err != nil {
			return nil, err
		}
		return wrap(conn), nil
	}
}

// pipelines keeps what left at once, if there are commands of one name in it.
type pipelines struct {
	name string
	mu   sync.Mutex
	all  []pipeline // guarded by mu
}

type pipeline struct {
	commands int
	stack    string // of who sent it
}

func watchPipelines(s *shard, name string) *pipelines {
	p := &pipelines{name: name}
	dialled(s.client.(*redis.Client), func(c net.Conn) net.Conn { return &watchedPipelines{c, p} })
	return p
}

type watchedPipelines struct {
	net.Conn
	p *pipelines
}

func (c *watchedPipelines) Write(b []byte) (int, error) {
	if n := strings.Count(string(b), "\r\n"+c.p.name+"\r\n"); n > 0 {
		c.p.mu.Lock()
		c.p.all = append(c.p.all, pipeline{n, string(debug.Stack())})
		c.p.mu.Unlock()
	}
	return c.Conn.Write(b)
}

// count is how many there were, and of how many commands.
func (p *pipelines) count() (n, commands int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, one := range p.all {
		commands += one.commands
	}
	return len(p.all), commands
}

// by is how often a function has led to a pipeline.
func (p *pipelines) by(function string) (n int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, one := range p.all {
		if strings.Contains(one.stack, function) {
			n++
		}
	}
	return n
}

func TestWhatWaitsLeavesInOrderAndTogether(t *testing.T) {
	server := redistest.Start(t)
	_, s := queued(t, func(o *Options) { o.Batch = 100; o.Timeout = time.Minute }, Shard{Addresses: []string{server.Addr}})
	count := watchPipelines(s, "rpush")
	if err := s.publishes.do(t.Context(), redis.NewStatusCmd(t.Context(), "ping"), 0); err != nil { // connects
		t.Fatal(err)
	}
	server.Stop()
	batch := pushes(t, s.publishes, "list", 1000)
	server.Continue()
	for i, c := range batch {
		if err := settled(t, c); err != nil {
			t.Fatalf("call %d: %v", i, err)
		}
	}
	for i, got := range server.Client(t).LRange(t.Context(), "list", 0, -1).Val() {
		if got != fmt.Sprint(i) {
			t.Fatalf("in place %d is %s", i, got)
		}
	}
	// The first one may have left alone, or with some.
	if n, commands := count.count(); n < 10 || n > 11 || commands != 1000 {
		t.Errorf("%d commands left in %d pipelines, want 1000 in 10 or 11", commands, n)
	}
}

func TestALoneCallerSendsByItselfAndWhatComesMeanwhileFollowsInOrder(t *testing.T) {
	server := redistest.Start(t)
	_, s := queued(t, func(o *Options) { o.Timeout = time.Minute }, Shard{Addresses: []string{server.Addr}})
	seen := watchPipelines(s, "rpush")
	push := func(value any) error {
		return s.publishes.do(context.Background(), redis.NewIntCmd(t.Context(), "rpush", "list", value), 10)
	}
	for range 3 {
		if err := push("alone"); err != nil {
			t.Fatal(err)
		}
	}
	if own, others := seen.by(".lead("), seen.by(".flush("); own != 3 || others != 0 {
		t.Errorf("%d lone commands were sent by their callers and %d by others, want 3 and none", own, others)
	}
	server.Stop()
	first := make(chan error, 1)
	go func() { first <- push("first") }()
	awaitOK(t, func() error {
		if seen.by(".lead(") < 4 {
			return errors.New("the first one was not sent")
		}
		return nil
	})
	batch := pushes(t, s.publishes, "list", 100)
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
	defer cancel()
	if err := s.publishes.do(ctx, redis.NewIntCmd(ctx, "rpush", "list", "given up"), 10); err != context.DeadlineExceeded {
		t.Errorf("a caller with a deadline: %v, want that it is over", err)
	}
	server.Continue()
	for _, c := range batch {
		if err := settled(t, c); err != nil {
			t.Fatal(err)
		}
	}
	if err := <-first; err != nil {
		t.Fatal(err)
	}
	if n := seen.by(".flush("); n != 1 {
		t.Errorf("what waited left in %d pipelines, want one", n)
	}
	want := []string{"alone", "alone", "alone", "first"}
	for i := range 100 {
		want = append(want, fmt.Sprint(i))
	}
	if got := server.Client(t).LRange(t.Context(), "list", 0, -1).Val(); !slices.Equal(got, want) {
		t.Errorf("executed: %q", got)
	}
	awaitOK(t, func() error { // idle again
		before := seen.by(".lead(")
		if err := push("alone"); err != nil {
			t.Fatal(err)
		}
		if seen.by(".lead(") == before {
			return errors.New("a lone caller does not send by itself any more")
		}
		return nil
	})
}

func TestManyCallersAtOnceGetTheirOwnAnswers(t *testing.T) {
	server := redistest.Start(t)
	_, s := queued(t, func(o *Options) { o.Timeout = time.Minute }, Shard{Addresses: []string{server.Addr}})
	patient, hurry := context.Background(), hurried(t)
	var wg sync.WaitGroup
	for w := range 16 {
		wg.Go(func() {
			for i := range 200 {
				ctx := patient
				if (i+w)%3 == 0 {
					ctx = hurry
				}
				cmd := redis.NewIntCmd(ctx, "incr", fmt.Sprint("n", w))
				if err := s.publishes.do(ctx, cmd, 10); err != nil || cmd.Val() != int64(i+1) {
					t.Errorf("caller %d: call %d answered %d, %v", w, i+1, cmd.Val(), err)
					return
				}
			}
		})
	}
	wg.Wait()
}

func TestCloseEndsTheCallThatItsCallerSends(t *testing.T) {
	server := redistest.Start(t)
	b, s := queued(t, func(o *Options) { o.Timeout = time.Hour }, Shard{Addresses: []string{server.Addr}})
	seen := watchPipelines(s, "ping")
	ping := func() error {
		return s.publishes.do(context.Background(), redis.NewStatusCmd(t.Context(), "ping"), 0)
	}
	if err := ping(); err != nil {
		t.Fatal(err)
	}
	server.Stop()
	defer server.Continue()
	done := make(chan error, 1)
	go func() { done <- ping() }()
	awaitOK(t, func() error {
		if seen.by(".lead(") < 2 {
			return errors.New("the call was not sent")
		}
		return nil
	})
	if err := b.Close(); err != nil {
		t.Fatal(err)
	}
	if err := <-done; err == nil {
		t.Error("the call succeeded")
	}
}

func TestAPipelineIsBoundedInBytes(t *testing.T) {
	server := redistest.Start(t)
	_, s := queued(t, func(o *Options) { o.Timeout = time.Minute }, Shard{Addresses: []string{server.Addr}})
	k := &queue{q: s.publishes, client: s.client.(*redis.Client)}
	for _, size := range []int{maxBatchBytes * 2, maxBatchBytes / 2, maxBatchBytes / 2, 1} {
		k.waiting = append(k.waiting, &call{bytes: size})
		k.bytes += size
	}
	var sizes []int
	for {
		batch, _ := k.take(nil)
		if batch == nil {
			break
		}
		sizes = append(sizes, len(batch))
	}
	if !slices.Equal(sizes, []int{1, 2, 1}) || k.bytes != 0 {
		t.Errorf("pipelines of %v commands, %d bytes left; want 1, 2, 1 and none", sizes, k.bytes)
	}
}

func TestAFullQueueTurnsAwayAtOnce(t *testing.T) {
	for name, change := range map[string]func(*Options){
		"messages": func(o *Options) { o.QueueMessages = 10; o.Timeout = time.Minute },
		"bytes":    func(o *Options) { o.QueueBytes = 1 << 20; o.Timeout = time.Minute },
	} {
		t.Run(name, func(t *testing.T) {
			server := redistest.Start(t)
			b, s := queued(t, change, Shard{Addresses: []string{server.Addr}})
			server.Stop()
			defer server.Continue()
			var accepted []*call
			var err error
			for len(accepted) < 100 {
				c := newCall(redis.NewIntCmd(t.Context(), "incr", "n"), 200_000)
				if err = queue1(t, s.publishes, c); err != nil {
					break
				}
				accepted = append(accepted, c)
				if len(accepted) == 1 {
					awaitOK(t, func() error { // it left
						if c.state.Load() != callSent {
							return errors.New("the first call waits")
						}
						return nil
					})
				}
			}
			if want := map[string]int{"messages": 11, "bytes": 6}[name]; len(accepted) != want {
				t.Errorf("%d commands were accepted, want %d", len(accepted), want)
			}
			err = s.publishes.do(t.Context(), redis.NewIntCmd(t.Context(), "incr", "n"), 200_000)
			if !errors.Is(err, router.ErrUnavailable) || !strings.Contains(err.Error(), "too many commands") {
				t.Errorf("%v, want that too many commands wait", err)
			}
			if n := b.Counters()["publish_queue_full"]; n != 1 {
				t.Errorf("publish_queue_full is %d", n)
			}
			server.Continue()
			for _, c := range accepted {
				if err := settled(t, c); err != nil {
					t.Error(err)
				}
			}
			if got, _ := server.Client(t).Get(t.Context(), "n").Int(); got != len(accepted) {
				t.Errorf("%d were executed, %d accepted", got, len(accepted))
			}
		})
	}
}

func TestTheEndOfAContextEndsTheWaitAndWhatHadNotLeftNeverDoes(t *testing.T) {
	server := redistest.Start(t)
	_, s := queued(t, func(o *Options) { o.Timeout = time.Minute }, Shard{Addresses: []string{server.Addr}})
	server.Stop()
	first := pushes(t, s.publishes, "list", 1)[0]
	awaitOK(t, func() error {
		if first.state.Load() != callSent {
			return errors.New("the first call waits")
		}
		return nil
	})
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- s.publishes.do(ctx, redis.NewIntCmd(ctx, "rpush", "list", "given up"), 10) }()
	k, _ := s.publishes.queue(s.client.(*redis.Client))
	awaitOK(t, func() error {
		k.mu.Lock()
		defer k.mu.Unlock()
		if len(k.waiting) == 0 {
			return errors.New("nothing waits")
		}
		return nil
	})
	cancel()
	if err := <-done; err != context.Canceled {
		t.Errorf("%v, want %v", err, context.Canceled)
	}
	server.Continue()
	if err := settled(t, first); err != nil {
		t.Fatal(err)
	}
	if err := s.publishes.do(t.Context(), redis.NewIntCmd(t.Context(), "rpush", "list", "last"), 10); err != nil {
		t.Fatal(err)
	}
	if got := server.Client(t).LRange(t.Context(), "list", 0, -1).Val(); !slices.Equal(got, []string{"0", "last"}) {
		t.Errorf("executed: %q", got)
	}
}

// lossy makes connections that end when the next answer arrives, which nobody sees.
type lossy struct{ armed atomic.Bool }

func (l *lossy) wrap(c net.Conn) net.Conn { return &lossyConn{c, l} }

type lossyConn struct {
	net.Conn
	l *lossy
}

func (c *lossyConn) Read(b []byte) (int, error) {
	n, err := c.Conn.Read(b)
	if c.l.armed.CompareAndSwap(true, false) {
		_ = c.Close()
		return 0, io.EOF
	}
	return n, err
}

// TestNoCommandIsSentTwice: not by the client of a Cluster either, which would
// repeat what it has no answer to.
func TestNoCommandIsSentTwice(t *testing.T) {
	t.Parallel()
	check := func(t *testing.T, b *Broker, s *shard, l *lossy) {
		incr := func(redirected bool) (int64, error) {
			cmd := redis.NewIntCmd(t.Context(), "incr", "n")
			if !redirected {
				err := s.publishes.do(t.Context(), cmd, 0)
				return cmd.Val(), err
			}
			c := newCall(cmd, 0)
			s.publishes.follow(c)
			return cmd.Val(), settled(t, c)
		}
		for _, redirected := range []bool{false, s.cluster != nil} {
			var before int64
			awaitOK(t, func() (err error) { before, err = incr(false); return err })
			unknown := b.Counters()["publish_unknown"]
			l.armed.Store(true)
			if _, err := incr(redirected); !errors.Is(err, router.ErrUnavailable) || !strings.Contains(err.Error(), "may have been accepted") {
				t.Errorf("%v, want that it may have been accepted", err)
			}
			if n := b.Counters()["publish_unknown"]; n != unknown+1 {
				t.Errorf("publish_unknown has grown by %d", n-unknown)
			}
			var after int64
			awaitOK(t, func() (err error) { after, err = incr(false); return err })
			if after != before+2 {
				t.Errorf("it was executed %d times, want once", after-before-1)
			}
		}
	}
	t.Run("one Redis", func(t *testing.T) {
		b := newTestBroker(t, Shard{Addresses: []string{redistest.Start(t).Addr}})
		l := &lossy{}
		dialled(b.home().client.(*redis.Client), l.wrap)
		check(t, b, b.home(), l)
	})
	t.Run("Cluster", func(t *testing.T) {
		b := newTestBroker(t, Shard{Mode: Cluster, Addresses: redistest.StartCluster(t, 3, 0).Addrs()})
		l := &lossy{}
		b.home().cluster.OnNewNode(func(c *redis.Client) { dialled(c, l.wrap) })
		if _, err := b.home().masters(t.Context()); err != nil {
			t.Fatal(err)
		}
		check(t, b, b.home(), l)
	})
}

// TestAnAnswerThatComesTooLate: Redis executes what it had received once it goes on.
func TestAnAnswerThatComesTooLateLeavesTheCommandInDoubt(t *testing.T) {
	server := redistest.Start(t)
	_, s := queued(t, func(o *Options) { o.Timeout = 300 * time.Millisecond }, Shard{Addresses: []string{server.Addr}})
	incr := func() error { return s.publishes.do(t.Context(), redis.NewIntCmd(t.Context(), "incr", "n"), 0) }
	awaitOK(t, incr)
	server.Stop()
	if err := incr(); !errors.Is(err, router.ErrUnavailable) || !strings.Contains(err.Error(), "may have been accepted") {
		t.Errorf("%v, want that it may have been accepted", err)
	}
	if err := incr(); !errors.Is(err, router.ErrUnavailable) || strings.Contains(err.Error(), "may have been") {
		t.Errorf("while it is away: %v, want that it was not accepted", err)
	}
	server.Continue()
	client := server.Client(t)
	awaitOK(t, func() error {
		if n, err := client.Get(t.Context(), "n").Int(); err != nil || n != 2 {
			return fmt.Errorf("executed %d times, %v", n, err)
		}
		return nil
	})
	awaitOK(t, incr)
	if n, _ := client.Get(t.Context(), "n").Int(); n != 3 {
		t.Errorf("executed %d times, want 3", n)
	}
}

func TestWhileRedisIsAwayEverythingFailsAtOnceAndOnReturnItWorks(t *testing.T) {
	server := redistest.Start(t)
	proxy := redistest.NewProxy(t, server.Addr)
	b, s := queued(t, func(o *Options) { o.MaxReconnect = 200 * time.Millisecond }, Shard{Addresses: []string{proxy.Addr}})
	publish := func() error {
		return s.publishes.do(t.Context(), redis.NewIntCmd(t.Context(), "publish", "sluice:r:a", "x"), 0)
	}
	if err := publish(); err != nil {
		t.Fatal(err)
	}
	if err := s.publishes.health(); err != nil {
		t.Fatal(err)
	}
	proxy.Cut()
	if err := publish(); !errors.Is(err, router.ErrUnavailable) {
		t.Fatal(err)
	}
	for range 10_000 {
		if err := publish(); !errors.Is(err, router.ErrUnavailable) {
			t.Fatal(err)
		}
	}
	if err := s.health(); err == nil {
		t.Error("it is healthy while Redis is away")
	}
	if n := proxy.Accepted(); n > 1000 {
		t.Errorf("%d connections for 10,000 publishes: each one tried", n)
	}
	proxy.Resume()
	awaitOK(t, publish)
	if err := s.publishes.health(); err != nil {
		t.Error(err)
	}
	all := b.Counters()
	if all["redis_away"] == 0 || all["redis_away"] != all["redis_back"] || all["publish_unavailable"]+all["publish_unknown"] < 10_000 {
		t.Errorf("%v", all)
	}
}

// TestAConnectionThatIsRefusedItsSetupSendsNothing: the client leaves the
// commands of such a pipeline as if they had succeeded.
func TestAConnectionThatIsRefusedItsSetupSendsNothing(t *testing.T) {
	server := redistest.Start(t)
	_, s := queued(t, func(o *Options) { o.MaxReconnect = 50 * time.Millisecond }, Shard{Addresses: []string{server.Addr}, Password: "right"})
	client := server.Client(t)
	password := func(p string) {
		t.Helper()
		if err := client.ConfigSet(t.Context(), "requirepass", p).Err(); err != nil {
			t.Fatal(err)
		}
	}
	password("wrong")
	err := s.publishes.do(t.Context(), redis.NewIntCmd(t.Context(), "incr", "n"), 0)
	if !errors.Is(err, router.ErrUnavailable) || !strings.Contains(err.Error(), "WRONGPASS") || strings.Contains(err.Error(), "may have been") {
		t.Errorf("%v, want that the password is wrong", err)
	}
	password("right")
	awaitOK(t, func() error { return s.publishes.do(t.Context(), redis.NewIntCmd(t.Context(), "incr", "n"), 0) })
}

func TestAPublishThatReachesAReplicaIsNotAccepted(t *testing.T) {
	master, server := redistest.Start(t), redistest.Start(t)
	b, s := queued(t, func(o *Options) { o.MaxReconnect = 50 * time.Millisecond }, Shard{Addresses: []string{server.Addr}})
	publish := func() error {
		return s.publishes.do(t.Context(), redis.NewIntCmd(t.Context(), "publish", "sluice:r:a", "x"), 0)
	}
	if err := publish(); err != nil {
		t.Fatal(err)
	}
	host, port, _ := net.SplitHostPort(master.Addr)
	client := server.Client(t)
	if err := client.ReplicaOf(t.Context(), host, port).Err(); err != nil {
		t.Fatal(err)
	}
	if err := publish(); !errors.Is(err, router.ErrUnavailable) || !strings.Contains(err.Error(), "READONLY") {
		t.Errorf("a publish on a replica: %v", err)
	}
	if err := publish(); !errors.Is(err, router.ErrUnavailable) || b.Counters()["fenced"] != 1 {
		t.Errorf("the next: %v; fenced %d times", err, b.Counters()["fenced"])
	}
	if err := s.publishes.health(); err == nil || !strings.Contains(err.Error(), "READONLY") {
		t.Errorf("health: %v", err)
	}
	if err := client.ReplicaOf(t.Context(), "no", "one").Err(); err != nil {
		t.Fatal(err)
	}
	awaitOK(t, publish)
}

func TestAnswersOfRedisComeAsTheyAre(t *testing.T) {
	server := redistest.Start(t)
	b, s := queued(t, nil, Shard{Addresses: []string{server.Addr}})
	for _, c := range []struct {
		cmd  redis.Cmder
		want string
	}{
		{redis.NewStringCmd(t.Context(), "get", "none"), "redis: nil"},
		{redis.NewCmd(t.Context(), "evalsha", strings.Repeat("0", 40), 0), "NOSCRIPT No matching script. Please use EVAL."},
		{redis.NewCmd(t.Context(), "nonsense"), "ERR unknown command"},
	} {
		err := s.reads.do(t.Context(), c.cmd, 0)
		if err == nil || !strings.HasPrefix(err.Error(), c.want) {
			t.Errorf("%v: %v", c.cmd.Args(), err)
		}
	}
	if got := b.Counters()["read_refused"]; got != 1 {
		t.Errorf("read_refused is %d, want 1: of the unknown command", got)
	}
}

func TestCloseFailsWhatWaitsAndWhatIsUnderWay(t *testing.T) {
	server := redistest.Start(t)
	b, s := queued(t, func(o *Options) { o.Timeout = time.Hour }, Shard{Addresses: []string{server.Addr}})
	if err := s.publishes.do(t.Context(), redis.NewStatusCmd(t.Context(), "ping"), 0); err != nil {
		t.Fatal(err)
	}
	server.Stop()
	defer server.Continue()
	batch := pushes(t, s.publishes, "list", 1)
	awaitOK(t, func() error {
		if batch[0].state.Load() != callSent {
			return errors.New("the first call waits")
		}
		return nil
	})
	batch = append(batch, pushes(t, s.publishes, "list", 50)...)
	if err := b.Close(); err != nil {
		t.Fatal(err)
	}
	closed := 0
	for _, c := range batch {
		if err := settled(t, c); err == nil {
			t.Error("a call succeeded")
		} else if errors.Is(err, router.ErrBrokerClosed) {
			closed++
		}
	}
	if closed == 0 {
		t.Error("no call was told that the broker is closed")
	}
	if err := s.publishes.do(t.Context(), redis.NewStatusCmd(t.Context(), "ping"), 0); err != router.ErrBrokerClosed {
		t.Errorf("after Close: %v", err)
	}
}

// TestPublishesMoveToTheNewMaster: with Sentinel, after the old one has died, or
// was demoted while it lives.
func TestPublishesMoveToTheNewMaster(t *testing.T) {
	t.Parallel()
	g := redistest.StartSentinel(t)
	_, s := queued(t, func(o *Options) { o.MaxReconnect = 200 * time.Millisecond },
		Shard{Mode: Sentinel, Addresses: g.Addrs(), Master: redistest.MasterName})
	n := 0
	publish := func() error {
		n++
		return s.publishes.do(t.Context(), redis.NewIntCmd(t.Context(), "publish", "sluice:r:a", n), 0)
	}
	awaitOK(t, publish)
	_, promoted := g.Failover()
	reaches := func(m *redistest.Server) {
		t.Helper()
		p := m.Client(t).Subscribe(t.Context(), "sluice:r:a")
		defer p.Close()
		if _, err := p.Receive(t.Context()); err != nil {
			t.Fatal(err)
		}
		awaitOK(t, publish)
		got, err := p.ReceiveMessage(t.Context())
		if err != nil || got.Payload != fmt.Sprint(n) {
			t.Errorf("the new master published %v, %v; want %d, which was accepted", got, err, n)
		}
	}
	reaches(promoted)
	// The master is demoted while it lives, and nobody ends its connections.
	var other *redistest.Server
	for _, m := range g.Servers {
		if c := m.Client(t); m != promoted && c.Ping(t.Context()).Err() == nil {
			other = m
		}
	}
	host, port, _ := net.SplitHostPort(other.Addr)
	if err := other.Client(t).ReplicaOf(t.Context(), "no", "one").Err(); err != nil {
		t.Fatal(err)
	}
	if err := promoted.Client(t).ReplicaOf(t.Context(), host, port).Err(); err != nil {
		t.Fatal(err)
	}
	if err := publish(); err == nil && other.Client(t).Ping(t.Context()).Err() == nil && promoted.Info("role") == "slave" {
		t.Error("a publish on the demoted master was accepted")
	}
}

func TestACommandFollowsItsSlot(t *testing.T) {
	t.Parallel()
	c := redistest.StartCluster(t, 3, 1)
	b, s := queued(t, func(o *Options) { o.Timeout = 2 * time.Second; o.MaxReconnect = 200 * time.Millisecond }, Shard{Mode: Cluster, Addresses: c.Addrs()})
	slot := int(slotOf("n"))
	var accepted, unknown, failed atomic.Int64
	stop := make(chan struct{})
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
				}
				err := s.publishes.do(t.Context(), redis.NewIntCmd(t.Context(), "incr", "n"), 0)
				switch {
				case err == nil:
					accepted.Add(1)
				case strings.Contains(err.Error(), "may have been"):
					unknown.Add(1)
				default:
					failed.Add(1)
				}
			}
		})
	}
	end := sync.OnceFunc(func() { close(stop); wg.Wait() })
	defer end()
	grows := func() {
		t.Helper()
		from := accepted.Load()
		awaitOK(t, func() error {
			if accepted.Load() < from+100 {
				return errors.New("commands do not go on")
			}
			return nil
		})
	}
	grows()
	var to *redistest.Server
	for _, m := range c.Masters() {
		if m != c.Owner(slot) {
			to = m
		}
	}
	c.MigrateSlots(slot, slot, to)
	grows()
	if failed.Load()+unknown.Load() > 0 {
		t.Errorf("while its slot moved, %d commands failed and %d may have", failed.Load(), unknown.Load())
	}
	c.Failover(slot)
	grows()
	end()
	got, err := c.Client(t).Get(t.Context(), "n").Int64()
	if err != nil {
		t.Fatal(err)
	}
	// A replica may lack the last writes of a dead master, none may be there twice.
	if got > accepted.Load()+unknown.Load() {
		t.Errorf("the counter is %d after %d accepted commands and %d that may have been", got, accepted.Load(), unknown.Load())
	}
	if all := b.Counters(); all["redis_away"] == 0 {
		t.Errorf("the failover went unnoticed: %v", all)
	}
}
