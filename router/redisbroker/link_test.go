package redisbroker

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"sluice/router"
	"sluice/router/redisbroker/redistest"
)

func push(t *testing.T, s *shard, ctx context.Context, value any) error {
	t.Helper()
	return s.publishes.do(ctx, redis.NewIntCmd(ctx, "rpush", "list", value), 10)
}

// queueOf is that of a shard's publishes.
func queueOf(t *testing.T, s *shard) *queue {
	t.Helper()
	k, err := s.publishes.queue(s.client.(*redis.Client))
	if err != nil {
		t.Fatal(err)
	}
	return k
}

func TestAConnectionThatHasEndedIsReplacedBeforeAnythingIsSent(t *testing.T) {
	server := redistest.Start(t)
	b, s := queued(t, nil, Shard{Addresses: []string{server.Addr}})
	client := server.Client(t)
	for range 5 {
		if err := push(t, s, t.Context(), "x"); err != nil {
			t.Fatal(err)
		}
		if err := client.ClientKillByFilter(t.Context(), "TYPE", "normal", "SKIPME", "yes").Err(); err != nil {
			t.Fatal(err)
		}
		awaitOK(t, func() error {
			if strings.Contains(client.ClientList(t.Context()).Val(), "name=sluice-publishes") {
				return errors.New("the connection is there still")
			}
			return nil
		})
		queueOf(t, s).link.used = time.Time{} // the last answer was long ago
	}
	if n := client.LLen(t.Context(), "list").Val(); n != 5 {
		t.Errorf("%d commands were executed, want 5", n)
	}
	if n := b.Counters()["redis_away"]; n != 0 {
		t.Errorf("redis was found away %d times", n)
	}
}

func TestADeadlineEndsTheWaitOfACallerWhoSendsByItselfAndCostsOthersNothing(t *testing.T) {
	server := redistest.Start(t)
	b, s := queued(t, func(o *Options) { o.Timeout = time.Minute }, Shard{Addresses: []string{server.Addr}})
	seen := watchPipelines(s, "rpush")
	if err := push(t, s, t.Context(), "first"); err != nil { // connects
		t.Fatal(err)
	}
	server.Stop()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	err := push(t, s, ctx, "late")
	if !errors.Is(err, context.DeadlineExceeded) || !strings.Contains(err.Error(), "may have been executed") {
		t.Errorf("%v, want that the deadline is over and the command may have been executed", err)
	}
	if n := seen.by(".lead("); n != 2 {
		t.Errorf("%d callers sent by themselves, want both", n)
	}
	behind := pushes(t, s.publishes, "list", 3)
	server.Continue()
	for _, c := range behind {
		if err := settled(t, c); err != nil {
			t.Error(err)
		}
	}
	if got := server.Client(t).LRange(t.Context(), "list", 0, -1).Val(); !slices.Equal(got, []string{"first", "late", "0", "1", "2"}) {
		t.Errorf("executed: %q", got)
	}
	if all := b.Counters(); all["redis_away"] != 0 || all["publish_unknown"] != 1 {
		t.Errorf("redis was found away %d times, %d publishes are in doubt; want none and one", all["redis_away"], all["publish_unknown"])
	}
}

// TestACommandLeavesAMasterThatWasReplacedWhileItLives: nobody ends the connection
// to it, and only the client library hears of it from the sentinels.
func TestACommandLeavesAMasterThatWasReplacedWhileItLives(t *testing.T) {
	t.Parallel()
	g := redistest.StartSentinel(t)
	b, s := queued(t, nil, Shard{Mode: Sentinel, Addresses: g.Addrs(), Master: redistest.MasterName})
	awaitOK(t, func() error { return push(t, s, t.Context(), "x") })
	client, k := s.client.(*redis.Client), queueOf(t, s)
	if err := client.Ping(t.Context()).Err(); err != nil { // has a connection of its own from now on
		t.Fatal(err)
	}
	old, moves := k.link.conn, s.moves.Load()
	if err := g.Sentinels[0].Client(t).Do(t.Context(), "sentinel", "failover", redistest.MasterName).Err(); err != nil {
		t.Fatal(err)
	}
	awaitOK(t, func() error {
		if s.moves.Load() == moves {
			return errors.New("the client has not left the old master")
		}
		return nil
	})
	before := b.Counters()["redis_away"]
	if err := push(t, s, t.Context(), "y"); err != nil {
		t.Errorf("the first command after that: %v", err)
	}
	if k.link.conn == old || b.Counters()["redis_away"] != before {
		t.Error("it went to the old master")
	}
}

// TestAnswersAreWhatTheClientLibraryReads compares with it.
func TestAnswersAreWhatTheClientLibraryReads(t *testing.T) {
	server := redistest.Start(t)
	_, s := queued(t, nil, Shard{Addresses: []string{server.Addr}})
	client := redis.NewClient(&redis.Options{Addr: server.Addr, Protocol: 2})
	defer client.Close()
	long := strings.Repeat("0123456789\r\n", 20_000)
	for _, args := range [][]any{
		{"ping"}, {"echo", ""}, {"echo", "a\r\nb"}, {"echo", []byte(long)}, {"incr", "n"}, {"decrby", "n", int64(1 << 40)}, {"get", "none"},
		{"nonsense"}, {"evalsha", strings.Repeat("0", 40), 0}, {"lrange", "none", 0, -1}, {"set", "s", "x"}, {"incr", "s"},
		{"eval", "return {1, 'two', false, {3, {}, redis.error_reply('ERR four')}, 'five'}", 0},
		{"eval", "return redis.error_reply('TRYAGAIN later')", 0},
		{"eval", "local t = {} for i = 1, 3000 do t[i] = {i, ('x'):rep(i)} end return t", 0},
	} {
		want := redis.NewCmd(t.Context(), args...)
		wantErr := client.Process(t.Context(), want)
		if args[0] == "incr" || args[0] == "decrby" { // has changed it
			client.Del(t.Context(), "n")
			want = redis.NewCmd(t.Context(), args...)
			wantErr = client.Process(t.Context(), want)
			client.Del(t.Context(), "n")
		}
		got := redis.NewCmd(t.Context(), args...)
		err := s.reads.do(t.Context(), got, 0)
		if (err == nil) != (wantErr == nil) || err != nil && err.Error() != wantErr.Error() {
			t.Errorf("%.60v: %v, want %v", args, err, wantErr)
			continue
		}
		if !same(got.Val(), want.Val()) {
			t.Errorf("%.60v: %.100v, want %.100v", args, got.Val(), want.Val())
		}
	}
}

// same compares answers: of errors, their text.
func same(a, b any) bool {
	x, ok := a.([]any)
	if !ok {
		if e, ok := a.(error); ok {
			other, ok := b.(error)
			return ok && e.Error() == other.Error()
		}
		return a == b
	}
	y, ok := b.([]any)
	return ok && slices.EqualFunc(x, y, same)
}

func FuzzAnAnswerIsReadOrRefused(f *testing.F) {
	for _, seed := range []string{"+OK\r\n", "-ERR x\r\n", ":12\r\n", "$-1\r\n", "$3\r\na\r\n\r\n", "*2\r\n:1\r\n*-1\r\n", "*1000000000\r\n", strings.Repeat("*1\r\n", 40)} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		r := newRESPReaderSize(bytes.NewReader(b), 1<<10, 0)
		for {
			v, err := r.value(0)
			if err != nil {
				if !errors.Is(err, errProtocol) && !errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF) {
					t.Fatalf("%v", err)
				}
				return
			}
			_ = accept(redis.NewIntCmd(t.Context(), "x"), v)
			_ = accept(redis.NewSliceCmd(t.Context(), "x"), v)
		}
	})
}

// pair is two ends of a TCP connection.
func pair(t *testing.T) (a, b net.Conn) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	a, err = net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	if b, err = l.Accept(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { a.Close(); b.Close() })
	return a, b
}

func TestADescriptorIsReadAndWrittenAsItsConnectionWouldBe(t *testing.T) {
	a, b := pair(t)
	raw := newRawConn(a)
	if !raw.quiet() {
		t.Error("a connection on which nothing has come is not quiet")
	}
	sent := bytes.Repeat([]byte("0123456789abcdef"), 1<<20) // more than the kernel takes at once
	var wg sync.WaitGroup
	wg.Go(func() {
		if n, err := raw.Write(sent); n != len(sent) || err != nil {
			t.Errorf("wrote %d, %v", n, err)
		}
	})
	wg.Go(func() { _, _ = io.Copy(b, io.LimitReader(b, int64(len(sent)))) }) // sends back
	got := make([]byte, len(sent))
	if _, err := io.ReadFull(raw, got); err != nil || !bytes.Equal(got, sent) {
		t.Errorf("what came back differs, %v", err)
	}
	wg.Wait()
	_ = raw.SetReadDeadline(time.Now().Add(10 * time.Millisecond))
	if n, err := raw.Read(got); n != 0 || !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("read %d, %v; want that the deadline is over", n, err)
	}
	_ = raw.SetReadDeadline(time.Time{})
	_ = b.Close()
	if n, err := raw.Read(got); n != 0 || err != io.EOF {
		t.Errorf("read %d, %v; want the end", n, err)
	}
	if raw.quiet() {
		t.Error("a connection that has ended is quiet")
	}
	_ = raw.Close()
	if _, err := raw.Read(got); !errors.Is(err, net.ErrClosed) {
		t.Errorf("%v, want that it is closed", err)
	}
	if _, err := raw.Write(got); !errors.Is(err, net.ErrClosed) {
		t.Errorf("%v, want that it is closed", err)
	}
}

// TestACommandLeavesAReplicaThatItsAddressNoLongerLeadsTo: the master is demoted while it
// lives, nobody ends the connection to it, and a new one would lead to the new master.
func TestACommandLeavesAReplicaThatItsAddressNoLongerLeadsTo(t *testing.T) {
	old, promoted := redistest.Start(t), redistest.Start(t)
	addr, turn := detour(t, old.Addr, promoted.Addr)
	_, s := queued(t, nil, Shard{Addresses: []string{addr}})
	lanes := map[string]*batcher{"publishes": s.publishes, "reads": s.reads}
	incr := func(q *batcher) error { return q.do(t.Context(), redis.NewIntCmd(t.Context(), "incr", "n"), 0) }
	for name, q := range lanes {
		if err := incr(q); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
	}
	host, port, _ := net.SplitHostPort(promoted.Addr)
	if err := old.Client(t).ReplicaOf(t.Context(), host, port).Err(); err != nil {
		t.Fatal(err)
	}
	turn()
	for name, q := range lanes {
		if err := incr(q); !redis.IsReadOnlyError(err) {
			t.Errorf("%s: %v, want that it is a replica", name, err)
		}
		if err := incr(q); err != nil {
			t.Errorf("%s: the next command: %v", name, err)
		}
	}
}

func TestADeadlineBeyondTheTimeoutDoesNotExtendIt(t *testing.T) {
	server := redistest.Start(t)
	b, s := queued(t, func(o *Options) { o.Timeout = 100 * time.Millisecond }, Shard{Addresses: []string{server.Addr}})
	awaitOK(t, func() error { return push(t, s, t.Context(), "first") }) // connects
	ctx, cancel := context.WithTimeout(t.Context(), time.Hour)
	defer cancel()
	server.Stop()
	done := make(chan error, 1)
	go func() { done <- push(t, s, ctx, "late") }()
	select {
	case err := <-done:
		if !errors.Is(err, router.ErrUnavailable) || !strings.Contains(err.Error(), "may have been accepted") {
			t.Errorf("%v, want that it may have been accepted", err)
		}
	case <-time.After(redistest.Patience):
		t.Error("the caller waits beyond Options.Timeout")
	}
	server.Continue()
	if b.Counters()["redis_away"] == 0 {
		t.Error("redis was not found away")
	}
}

// answering listens for connections of lanes, and answers each by what a function of it
// makes of the lines that come.
func answering(t *testing.T, connection func(io.Writer) (line func(string))) (addr string) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var work sync.WaitGroup
	t.Cleanup(func() { l.Close(); work.Wait() })
	work.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			work.Go(func() {
				defer c.Close()
				line := connection(c)
				for lines := bufio.NewScanner(c); lines.Scan(); {
					if lines.Text() == "hello" {
						fmt.Fprint(c, "*0\r\n")
					}
					line(lines.Text())
				}
			})
		}
	})
	return l.Addr().String()
}

// TestAnAnswerTooManyIsNotTakenForThatToTheNextCommand has something that answers INCR
// with its number, and the first one of each connection twice.
func TestAnAnswerTooManyIsNotTakenForThatToTheNextCommand(t *testing.T) {
	var number atomic.Int64
	addr := answering(t, func(w io.Writer) func(string) {
		twice := true
		return func(line string) {
			if line != "incr" {
				return
			}
			answer := fmt.Sprintf(":%d\r\n", number.Add(1))
			if twice {
				answer += answer
			}
			twice = false
			fmt.Fprint(w, answer)
		}
	})
	b, s := queued(t, nil, Shard{Addresses: []string{addr}})
	t.Cleanup(func() { b.Close() }) // before the other end is awaited
	for want := range int64(5) {
		cmd := redis.NewIntCmd(t.Context(), "incr", "n")
		if err := s.publishes.do(t.Context(), cmd, 0); err != nil || cmd.Val() != want+1 {
			t.Errorf("got %d, %v; want %d", cmd.Val(), err, want+1)
		}
	}
}

func TestAPublishThatIsAnsweredByNoNumberIsInDoubtAndEndsTheConnection(t *testing.T) {
	addr := answering(t, func(w io.Writer) func(string) {
		return func(line string) {
			switch line {
			case "del": // the fence
				fmt.Fprint(w, ":0\r\n")
			case "publish":
				fmt.Fprint(w, "+OK\r\n")
			}
		}
	})
	b, s := queued(t, nil, Shard{Addresses: []string{addr}})
	t.Cleanup(func() { b.Close() })
	err := s.publishes.publish(t.Context(), "publish", "channel", &router.Message{Room: "a"})
	if !errors.Is(err, router.ErrUnavailable) || !strings.Contains(err.Error(), errProtocol.Error()) {
		t.Errorf("%v, want that Redis does not keep to its protocol", err)
	}
	if n := b.Counters()["publish_unknown"]; n != 1 {
		t.Errorf("%d publishes are in doubt, want one", n)
	}
	k := queueOf(t, s)
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.link.conn != nil {
		t.Error("the connection was kept")
	}
}

func TestAPublishIsInDoubtOnceThoughItsCallerGaveUpBeforeItsConnectionFailed(t *testing.T) {
	fail := make(chan struct{})
	addr := answering(t, func(w io.Writer) func(string) {
		return func(line string) {
			if line == "incr" {
				<-fail
				w.(net.Conn).Close()
			}
		}
	})
	b, s := queued(t, func(o *Options) { o.Timeout = time.Minute }, Shard{Addresses: []string{addr}})
	t.Cleanup(func() { b.Close() })
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	if err := s.publishes.do(ctx, redis.NewIntCmd(ctx, "incr", "n"), 0); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("%v, want that the deadline is over", err)
	}
	behind := pushes(t, s.publishes, "list", 1)
	close(fail)
	if err := settled(t, behind[0]); !errors.Is(err, router.ErrUnavailable) {
		t.Errorf("%v, want that Redis is away", err)
	}
	if n := b.Counters()["publish_unknown"]; n != 1 {
		t.Errorf("counted %d times, want once", n)
	}
}

// TestARedisThatLetsNobodyElseInStaysAway: the client library's connection lives, and
// answers each probe.
func TestARedisThatLetsNobodyElseInStaysAway(t *testing.T) {
	server := redistest.Start(t)
	b, s := queued(t, func(o *Options) { o.MaxReconnect = 50 * time.Millisecond }, Shard{Addresses: []string{server.Addr}})
	if err := push(t, s, t.Context(), "x"); err != nil {
		t.Fatal(err)
	}
	client, operator := s.client.(*redis.Client), server.Client(t)
	if err := client.Ping(t.Context()).Err(); err != nil { // has a connection from now on
		t.Fatal(err)
	}
	clients := func(n string) {
		t.Helper()
		if err := operator.ConfigSet(t.Context(), "maxclients", n).Err(); err != nil {
			t.Fatal(err)
		}
	}
	clients("1")
	_ = queueOf(t, s).link.conn.Close()
	awaitOK(t, func() error {
		if err := push(t, s, t.Context(), "x"); !errors.Is(err, router.ErrUnavailable) {
			t.Fatalf("%v, want that redis is away", err)
		}
		_, count, _ := strings.Cut(operator.Info(t.Context(), "stats").Val(), "rejected_connections:")
		count, _, _ = strings.Cut(count, "\r\n")
		if n, _ := strconv.Atoi(count); n < 5 {
			return errors.New("there were not five attempts")
		}
		return nil
	})
	all := b.Counters()
	if all["redis_away"] != 1 || all["redis_back"] != 0 {
		t.Errorf("it was found away %d times, and back %d times", all["redis_away"], all["redis_back"])
	}
	if err := s.publishes.health(); err == nil || !strings.Contains(err.Error(), "max number of clients") {
		t.Errorf("health: %v", err)
	}
	clients("10000")
	awaitOK(t, func() error { return push(t, s, t.Context(), "x") })
}

func TestACommandToAMasterThatIsNoneAnyMoreIsNotToldThatTheBrokerIsClosed(t *testing.T) {
	_, s := queued(t, nil, Shard{Addresses: []string{redistest.Start(t).Addr}})
	k := queueOf(t, s)
	c := newCall(redis.NewIntCmd(t.Context(), "incr", "n"), 0)
	if leads, err := k.add(c, s.client.(*redis.Client), false); !leads || err != nil {
		t.Fatal(leads, err)
	}
	s.publishes.drop(k)
	k.lead(c, time.Time{})
	if err := settled(t, c); !errors.Is(err, router.ErrUnavailable) || errors.Is(err, router.ErrBrokerClosed) {
		t.Errorf("%v, want that it is unavailable for a time", err)
	}
}

func TestWhoHasADeadlineDoesNotWaitForAConnection(t *testing.T) {
	server := redistest.Start(t)
	_, s := queued(t, func(o *Options) { o.Timeout = time.Minute }, Shard{Addresses: []string{server.Addr}})
	connects, resume := make(chan struct{}, 1), make(chan struct{})
	o := s.client.(*redis.Client).Options()
	dial := o.Dialer
	if err := push(t, s, t.Context(), "first"); err != nil {
		t.Fatal(err)
	}
	o.Dialer = func(ctx context.Context, network, addr string) (net.Conn, error) {
		notify(connects)
		<-resume
		return dial(ctx, network, addr)
	}
	k := queueOf(t, s)
	_ = k.link.conn.Close()
	k.link.used = time.Time{} // the last answer was long ago
	ctx, cancel := context.WithCancel(hurried(t))
	done := make(chan error, 1)
	go func() { done <- push(t, s, ctx, "second") }()
	<-connects
	behind := pushes(t, s.publishes, "list", 2)
	cancel()
	select {
	case err := <-done:
		if !errors.Is(err, context.Canceled) {
			t.Errorf("%v, want that it was cancelled", err)
		}
	case <-time.After(redistest.Patience / 2):
		t.Error("the caller waits for a connection")
	}
	close(resume)
	for _, c := range behind {
		if err := settled(t, c); err != nil {
			t.Error(err)
		}
	}
	if got := server.Client(t).LRange(t.Context(), "list", 0, -1).Val(); !slices.Equal(got, []string{"first", "second", "0", "1"}) {
		t.Errorf("executed: %q", got)
	}
}
