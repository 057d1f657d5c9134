package socket

import (
	"fmt"
	"math/rand/v2"
	"runtime"
	"strings"
	"testing"
)

// Text as it is sent: events of the protocol with n bytes in all, different for each seed.

var words = strings.Fields(`the of and to a in is you that it he was for on are with as his they be at one have this from or had by
	hot but some what there we can out other were all your when up use word how said an each she which do their time if will way about
	many then them would write like so these her long make thing see him two has look more day could go come did my sound no most
	number who over know water than call first people may down side been now find any new work part take get place made live where
	after back little only round man year came show every good me give our under name very through just form much great think say
	help low line before turn cause same mean differ move right boy old too does tell sentence set three want air well also play small`)

// chatText is something that a person wrote.
func chatText(n int, seed uint64) string {
	r := rand.New(rand.NewPCG(seed, 1))
	b := eventOf(r, "chat:lobby", `{"text":"`)
	for len(b) < n {
		b = append(append(b, words[r.IntN(len(words))]...), ' ')
	}
	return string(append(b[:n-3], `"}}`...))
}

// tickerText is a list of prices.
func tickerText(n int, seed uint64) string {
	r := rand.New(rand.NewPCG(seed, 2))
	b := eventOf(r, "ticker:all", `{"prices":[`)
	for len(b) < n {
		b = fmt.Appendf(b, `{"symbol":"%c%c%c%c","price":%d.%02d,"volume":%d,"change":%.2f},`,
			'A'+r.IntN(26), 'A'+r.IntN(26), 'A'+r.IntN(26), 'A'+r.IntN(26), 10+r.IntN(500), r.IntN(100), r.IntN(100000), r.Float64()*4-2)
	}
	return string(append(b[:n-3], `]}}`...))
}

func eventOf(r *rand.Rand, room, content string) []byte {
	return fmt.Appendf(nil, `{"type":"room_message","id":"n%016x-%d","room":%q,"from":{"user":"user-%d"},"timestamp":"2026-03-04T10:%02d:%02d.%03dZ","content":%s`,
		r.Uint64(), r.IntN(1e6), room, r.IntN(5000), r.IntN(60), r.IntN(60), r.IntN(1000), content)
}

var kindsOfText = []struct {
	name string
	make func(n int, seed uint64) string
}{{"chat", chatText}, {"ticker", tickerText}}

// BenchmarkDeflate is one frame compressed, as it is once for all its receivers.
func BenchmarkDeflate(b *testing.B) {
	for _, kind := range kindsOfText {
		for _, n := range []int{256, 512, 1024, 8192, 65536} {
			for _, level := range []int{1, 3, 6, 9} {
				b.Run(fmt.Sprintf("%s/bytes=%d/level=%d", kind.name, n, level), func(b *testing.B) {
					var texts []string
					for i := range uint64(32) {
						texts = append(texts, kind.make(n, i))
					}
					var counts deflates
					b.ReportAllocs()
					b.ResetTimer()
					for i := range b.N {
						f := textFrame(texts[i%len(texts)])
						f.deflated(level, 0, &counts)
					}
					b.ReportMetric(float64(counts.in.Load())/float64(counts.out.Load()), "ratio")
				})
			}
		}
	}
}

// BenchmarkInflate is one message of a client decompressed.
func BenchmarkInflate(b *testing.B) {
	for _, n := range []int{256, 1024, 8192} {
		b.Run(fmt.Sprintf("bytes=%d", n), func(b *testing.B) {
			message := deflatedText(chatText(n, 1), 1)
			dst := make([]byte, 0, n)
			b.ReportAllocs()
			b.ResetTimer()
			for range b.N {
				if _, err := inflate(dst, message, n); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// deflatedText is the payload of a compressed frame.
func deflatedText(s string, level int) []byte {
	wire := textFrame(s).deflated(level, 0, new(deflates))
	if wire[0] != finBit|rsv1Bit|opText {
		panic("it is not compressed")
	}
	return (&Frame{wire: wire}).Payload()
}

// BenchmarkWireOf is what a receiver beyond the first costs.
func BenchmarkWireOf(b *testing.B) {
	for _, level := range []int{0, 1} {
		b.Run(fmt.Sprintf("level=%d", level), func(b *testing.B) {
			s := deflating(level, 0, new(Engine))
			f := textFrame(chatText(1024, 1))
			s.wireOf(f)
			b.ReportAllocs()
			b.ResetTimer()
			for range b.N {
				runtime.KeepAlive(s.wireOf(f))
			}
		})
	}
}
