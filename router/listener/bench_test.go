package listener_test

import (
	"io"
	"net"
	"net/http"
	"testing"
)

// BenchmarkHandshake is a handshake from dialling to the end of the connection, the
// client's part included, which is the same for both.
func BenchmarkHandshake(b *testing.B) {
	take := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		nc, _, err := w.(http.Hijacker).Hijack()
		if err != nil {
			b.Error(err)
			return
		}
		io.WriteString(nc, "HTTP/1.1 101 Switching Protocols\r\n\r\n")
		nc.Close()
	})
	for name, r := range map[string]*running{"short path": serve(b, take), "net-http": servePlainly(b, take)} {
		b.Run(name, func(b *testing.B) {
			request := []byte(handshake("/ws?token=x"))
			buf := make([]byte, 256)
			b.ReportAllocs()
			for b.Loop() {
				nc, err := net.Dial("tcp", r.addr)
				if err != nil {
					b.Fatal(err)
				}
				nc.Write(request)
				for err == nil {
					_, err = nc.Read(buf)
				}
				nc.Close()
			}
		})
	}
}
