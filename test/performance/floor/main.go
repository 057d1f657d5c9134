// Command floor is what a room server costs at least: hubs on
// github.com/coder/websocket that read a frame, look up a room and write the
// frame to its members, and do nothing else. They know join_room and
// room_message, and have no identity, no policy, no limits, no history and one
// node. What Sluice costs beyond the best of them is the price of all that.
//
// A message goes: read (client.go) -> decode, encode once (frame.go) -> room
// (hub.go) -> the socket, in the way that -out names:
//
//	plain     a goroutine and a channel for each connection, a library write for each message
//	prepared  the same, but the frame is made once, and what is queued leaves in one write
//	inline    the publisher writes to every socket without waiting; what one does not take, a goroutine does (outlet.go)
//	shard     a writer for each processor, with a share of each room; what is queued for a room leaves in one write (shard.go)
//
// With -accept custom the handshake is read from a listener of our own with a
// pooled buffer, and the library is handed small ones (accept.go); with nethttp
// it is net/http's server.
//
// Goroutines: one a connection that reads; with plain and prepared a second that
// writes; with shard GOMAXPROCS writers; with -ping one that sends heartbeats; a
// drain of an outlet for as long as its socket is full. Locks: hub.mu, then
// room.mu; a shard's and an outlet's are taken under room.mu, and nothing under
// them.
package main

import (
	"flag"
	"fmt"
	"log"
	"net"
	"os"
	"os/signal"
	"syscall"
	"time"
)

// options are the flags.
type options struct {
	Accept      string
	Out         string
	Shards      int
	ReadBuffer  int
	WriteBuffer int
	Queue       int
	Ping        time.Duration
}

func (o *options) register(flags *flag.FlagSet) {
	flags.StringVar(&o.Accept, "accept", "custom", "nethttp, or custom: a listener of our own and small buffers")
	flags.StringVar(&o.Out, "out", "inline", "plain, prepared, inline or shard")
	flags.IntVar(&o.Shards, "shards", 0, "writers of shard; 0: GOMAXPROCS")
	flags.IntVar(&o.ReadBuffer, "rbuf", 512, "read buffer of custom, in bytes")
	flags.IntVar(&o.WriteBuffer, "wbuf", 512, "write buffer of custom, in bytes")
	flags.IntVar(&o.Queue, "queue", 256, "messages that wait for a connection of plain and prepared; it is closed beyond")
	flags.DurationVar(&o.Ping, "ping", 0, "time between two pings to a connection; 0s: none")
}

func (o *options) check() error {
	switch o.Out {
	case "plain", "prepared", "inline", "shard":
	default:
		return fmt.Errorf("-out %q is not plain, prepared, inline or shard", o.Out)
	}
	switch o.Accept {
	case "nethttp", "custom":
	default:
		return fmt.Errorf("-accept %q is not nethttp or custom", o.Accept)
	}
	if o.Queue < 1 || o.Shards < 0 || o.Ping < 0 {
		return fmt.Errorf("-queue must be at least 1, -shards and -ping not negative")
	}
	return nil
}

func main() {
	var o options
	o.register(flag.CommandLine)
	addr := flag.String("addr", "127.0.0.1:8200", "where clients connect")
	flag.Parse()
	if err := o.check(); err != nil {
		fmt.Fprintln(os.Stderr, "floor:", err)
		os.Exit(2)
	}
	ln, err := net.Listen("tcp", *addr)
	if err != nil {
		log.Fatal(err)
	}
	stop := make(chan os.Signal, 1)
	signal.Notify(stop, os.Interrupt, syscall.SIGTERM)
	go func() {
		<-stop
		os.Exit(0)
	}()
	log.Fatal(newHub(o).serve(ln))
}
