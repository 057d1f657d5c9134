package socket

import (
	"bufio"
	"io"
	"net"
	"strings"
	"testing"
	"time"
)

// A connection that has received and sent compressed messages keeps nothing of them once it is
// idle: it costs what one without compression does.
func TestAnIdleSocketKeepsNothingOfCompression(t *testing.T) {
	if raceEnabled {
		t.Skip(skippedUnderRace)
	}
	offHeap, offStack := idleCost(t, 0)
	onHeap, onStack := idleCost(t, 1)
	t.Logf("a connection and its client in the test: heap %.0f B without compression, %.0f B with; stack %.0f B and %.0f B", offHeap, onHeap, offStack, onStack)
	if onHeap > offHeap+512 {
		t.Errorf("a connection with compression keeps %.0f bytes more than one without, want none", onHeap-offHeap)
	}
	if onStack > 4.5*1024 {
		t.Errorf("its stack has %.0f bytes, want at most 4 KiB", onStack)
	}
}

// idleCost is what heap and stack grow by for a connection that has echoed a message, compressed if level is not 0.
func idleCost(t *testing.T, level int) (heap, stack float64) {
	const n = 300
	srv := serve(t, serverConfig{options: Options{Deflate: level, DeflateMin: 1}}, echo)
	text := chatText(2000, 1)
	message, reply := masked(finBit|opText, text), textFrame(text).wire
	if level > 0 {
		message = masked(finBit|rsv1Bit|opText, string(deflatedText(text, level)))
		reply = textFrame(text).deflated(level, 0, new(deflates))
	}
	dial := func() net.Conn {
		nc, err := net.Dial("tcp", srv.Listener.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = nc.Close() })
		_ = nc.SetDeadline(time.Now().Add(2 * patience))
		_, _ = io.WriteString(nc, handshake+"Sec-WebSocket-Extensions: permessage-deflate\r\n\r\n")
		br := bufio.NewReaderSize(nc, 16)
		agreed := false
		for line := ""; line != "\r\n"; {
			if line, err = br.ReadString('\n'); err != nil {
				t.Fatal(err)
			}
			agreed = agreed || strings.Contains(line, "permessage-deflate")
		}
		if agreed != (level > 0) {
			t.Fatalf("level %d: compression is agreed on: %v", level, agreed)
		}
		_, _ = nc.Write(message)
		got := make([]byte, len(reply))
		if _, err := io.ReadFull(br, got); err != nil || string(got) != string(reply) {
			t.Fatalf("level %d: it came back as %.60q, error %v", level, got, err)
		}
		return nc
	}
	dial() // what is made once, is made
	_, before := settled()
	for range n {
		dial()
	}
	settled() // a stack that has grown is halved by each collection
	_, after := settled()
	return (float64(after.HeapAlloc) - float64(before.HeapAlloc)) / n, (float64(after.StackInuse) - float64(before.StackInuse)) / n
}
