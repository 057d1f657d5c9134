package main

import (
	"io"
	"net"
	"slices"
	"testing"
)

// BenchmarkCalibrate is what other benchmarks' times are divided by. Whoever changes it
// has to store a new baseline.
func BenchmarkCalibrate(b *testing.B) {
	b.Run("cpu", func(b *testing.B) {
		text := make([]byte, 4<<10)
		for i := range text {
			text[i] = byte(i * 31)
		}
		numbers, work := make([]uint32, 256), make([]uint32, 256)
		for i := range numbers {
			numbers[i] = uint32(i) * 2654435761
		}
		hash := uint64(14695981039346656037)
		for b.Loop() {
			for _, c := range text {
				hash = (hash ^ uint64(c)) * 1099511628211
			}
			copy(work, numbers)
			work[0] = uint32(hash)
			slices.Sort(work)
		}
	})
	b.Run("syscalls", func(b *testing.B) {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			b.Fatal(err)
		}
		defer l.Close()
		ended := make(chan struct{})
		go func() {
			defer close(ended)
			c, err := l.Accept()
			if err != nil {
				return
			}
			defer c.Close()
			_, _ = io.CopyBuffer(struct{ io.Writer }{c}, struct{ io.Reader }{c}, make([]byte, 256))
		}()
		c, err := net.Dial("tcp", l.Addr().String())
		if err != nil {
			b.Fatal(err)
		}
		message := make([]byte, 200)
		for b.Loop() {
			if _, err := c.Write(message); err != nil {
				b.Fatal(err)
			}
			if _, err := io.ReadFull(c, message); err != nil {
				b.Fatal(err)
			}
		}
		c.Close()
		<-ended
	})
}
