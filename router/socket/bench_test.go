package socket

import (
	"fmt"
	"io"
	"runtime"
	"strings"
	"testing"
	"time"
)

// fanOut is n sockets whose clients throw away what they get.
func fanOut(b testing.TB, n int) (*server, []*Socket) {
	srv := serve(b, serverConfig{}, echo)
	var sockets []*Socket
	for range n {
		c := srv.rawDial(b, 0)
		go func() { _, _ = io.Copy(io.Discard, c) }()
		sockets = append(sockets, srv.socket(b))
	}
	return srv, sockets
}

// BenchmarkFanOut is one message to n sockets, written.
func BenchmarkFanOut(b *testing.B) {
	for _, n := range []int{1, 100, 1000} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			srv, sockets := fanOut(b, n)
			text := strings.Repeat("x", 200)
			start := srv.engine.Stats()
			b.ReportAllocs()
			b.ResetTimer()
			for range b.N {
				f := NewFrame(len(text), func(dst []byte) []byte { return append(dst, text...) })
				for _, s := range sockets {
					for {
						if o, _ := s.Send(Item{Frame: f}); o == Queued {
							break
						}
					}
				}
			}
			for _, s := range sockets {
				for s.QueuedBytes() > 0 {
				}
			}
			b.StopTimer()
			st := srv.engine.Stats()
			b.ReportMetric(float64(st.Frames-start.Frames)/float64(st.Writes-start.Writes), "frames/write")
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*n), "ns/delivery")
		})
	}
}

// BenchmarkEcho is one message there and back, with all that a message costs.
func BenchmarkEcho(b *testing.B) {
	reply := textFrame(strings.Repeat("r", 100))
	srv := serve(b, serverConfig{}, func(s *Socket) {
		for {
			if _, err := s.Read(); err != nil {
				return
			}
			s.Send(Item{Frame: reply})
		}
	})
	c := srv.rawDial(b, 0)
	out, in := text(strings.Repeat("q", 100)), make([]byte, len(reply.wire))
	b.ReportAllocs()
	b.ResetTimer()
	for range b.N {
		if _, err := c.Write(out); err != nil {
			b.Fatal(err)
		}
		if _, err := io.ReadFull(c.br, in); err != nil {
			b.Fatal(err)
		}
	}
}

func TestAMessageThereAndBackAllocatesNothing(t *testing.T) {
	if raceEnabled {
		t.Skip(skippedUnderRace)
	}
	reply := textFrame(strings.Repeat("r", 100))
	srv := serve(t, serverConfig{}, func(s *Socket) {
		for {
			if _, err := s.Read(); err != nil {
				return
			}
			s.Send(Item{Frame: reply})
		}
	})
	c := srv.rawDial(t, 0)
	out, in := text(strings.Repeat("q", 100)), make([]byte, len(reply.wire))
	n := testing.AllocsPerRun(2000, func() {
		c.write(out)
		_, err := io.ReadFull(c.br, in)
		c.must(err)
	})
	if n > 0 {
		t.Errorf("%v allocations for a message, want 0", n)
	}
}

// BenchmarkWrite is one system call that writes so many bytes to a connection on loopback,
// whose other end reads.
func BenchmarkWrite(b *testing.B) {
	for _, size := range []int{128, 1 << 10, 4 << 10, 16 << 10, 64 << 10} {
		b.Run(fmt.Sprint(size), func(b *testing.B) {
			_, sockets := fanOut(b, 1)
			var p pen
			p.init()
			out := make([]byte, size)
			took, written := time.Duration(0), 0
			for b.Loop() {
				for sent := 0; sent < size; {
					began := time.Now()
					n, full, err := p.write(sockets[0].raw, out[sent:])
					if err != nil {
						b.Fatal(err)
					}
					if sent += n; !full {
						took += time.Since(began)
						written += n
						continue
					}
					runtime.Gosched() // and this one is not counted
				}
			}
			b.ReportMetric(0, "ns/op")
			b.ReportMetric(float64(took.Nanoseconds())/float64(written)*float64(size), "ns/write")
		})
	}
}
