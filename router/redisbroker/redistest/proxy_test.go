package redistest_test

import (
	"errors"
	"io"
	"net"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"sluice/router/redisbroker/redistest"
)

// echo is a server that says what it hears.
func echo(t *testing.T) string {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	done(t, err)
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer c.Close()
				_, _ = io.Copy(c, c)
			}()
		}
	}()
	t.Cleanup(func() { l.Close() })
	return l.Addr().String()
}

func dial(t *testing.T, p *redistest.Proxy) net.Conn {
	t.Helper()
	c, err := net.Dial("tcp", p.Addr)
	done(t, err)
	t.Cleanup(func() { c.Close() })
	return c
}

// say sends a word and reads what comes back.
func say(c net.Conn, word string) (string, error) {
	if _, err := io.WriteString(c, word); err != nil {
		return "", err
	}
	back := make([]byte, len(word))
	_, err := io.ReadFull(c, back)
	return string(back), err
}

func heard(t *testing.T, c net.Conn, word string) {
	t.Helper()
	if back, err := say(c, word); err != nil || back != word {
		t.Errorf("said %q, heard %q, %v", word, back, err)
	}
}

func TestAProxyPassesAndDelaysEachDirection(t *testing.T) {
	t.Parallel()
	p := redistest.NewProxy(t, echo(t))
	c := dial(t, p)
	heard(t, c, "at once")
	p.Latency(100 * time.Millisecond)
	begun := time.Now()
	heard(t, c, "later")
	if took := time.Since(begun); took < 200*time.Millisecond {
		t.Errorf("there and back took %s, with 100 ms each way", took)
	}
}

func TestAProxyCutsByResettingAndLetsPassAgain(t *testing.T) {
	t.Parallel()
	p := redistest.NewProxy(t, echo(t))
	c := dial(t, p)
	heard(t, c, "before")
	p.Cut()
	if _, err := c.Read(make([]byte, 1)); !errors.Is(err, syscall.ECONNRESET) {
		t.Errorf("reading from a connection that was cut: %v", err)
	}
	// The reset may come before the connection has been made, or after.
	if during, err := net.Dial("tcp", p.Addr); err == nil {
		defer during.Close()
		if _, err := say(during, "meanwhile"); err == nil {
			t.Error("a new connection passes while it is cut")
		}
	}
	p.Resume()
	heard(t, dial(t, p), "again")
	if p.Accepted() != 3 {
		t.Errorf("%d connections counted, not 3", p.Accepted())
	}
	p.Reset()
	heard(t, dial(t, p), "after a reset")
	until(t, "one connection is open", func() bool { return p.Open() == 1 })
}

func TestABlackholeSwallowsUntilItIsOver(t *testing.T) {
	t.Parallel()
	p := redistest.NewProxy(t, echo(t))
	c := dial(t, p)
	heard(t, c, "before")
	p.Blackhole()
	_, err := io.WriteString(c, "held")
	done(t, err)
	done(t, c.SetReadDeadline(time.Now().Add(100*time.Millisecond)))
	if _, err := c.Read(make([]byte, 1)); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("reading while nothing passes: %v", err)
	}
	done(t, c.SetReadDeadline(time.Time{}))
	p.Resume()
	back := make([]byte, 4)
	if _, err := io.ReadFull(c, back); err != nil || string(back) != "held" {
		t.Errorf("afterwards came %q, %v", back, err)
	}
}

func TestAProxyPassesTheEndOfAConnectionOn(t *testing.T) {
	t.Parallel()
	p := redistest.NewProxy(t, echo(t))
	c := dial(t, p)
	_, err := io.WriteString(c, "last words")
	done(t, err)
	done(t, c.(*net.TCPConn).CloseWrite())
	if all, err := io.ReadAll(c); err != nil || string(all) != "last words" {
		t.Errorf("heard %q, %v", all, err)
	}
}

func TestAProxyTurnsToAnotherServer(t *testing.T) {
	t.Parallel()
	one, other := redistest.Start(t), redistest.Start(t)
	p := redistest.NewProxy(t, one.Addr)
	ask := func() string {
		c := redis.NewClient(&redis.Options{Addr: p.Addr, DisableIdentity: true})
		defer c.Close()
		info, err := c.InfoMap(t.Context(), "server").Result()
		done(t, err)
		return info["Server"]["tcp_port"]
	}
	before := ask()
	p.Retarget(other.Addr)
	if after := ask(); after == before || !strings.HasSuffix(other.Addr, ":"+after) {
		t.Errorf("first the server at port %s answered, then the one at %s", before, after)
	}
}
