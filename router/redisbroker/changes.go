package redisbroker

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"time"
)

const (
	batchTopics = 1000 // topics in one batch of (un)subscriptions at most
	batchWindow = 8    // batches that Redis has not answered yet, at most
)

// batch is what leaves at once. It is the writer's until it has been sent, then
// the reader's.
type batch struct {
	number      uint64
	probe       string // channel to subscribe to; "": none
	unsubscribe []*topic
	subscribe   []*topic
	err         error         // the first that Redis answered
	answered    chan struct{} // closed when the pong is there; nil: nobody waits
	windowed    bool          // it has a place in the window
}

// answered ends the batches up to the one with that number.
func (c *connection) answered(text string) {
	number, err := strconv.ParseUint(text, 10, 64)
	if err != nil {
		return
	}
	for {
		c.mu.Lock()
		if len(c.sent) == 0 || c.sent[0].number > number {
			c.mu.Unlock()
			return
		}
		b := c.sent[0]
		c.sent = slices.Delete(c.sent, 0, 1)
		c.mu.Unlock()
		if b.windowed {
			<-c.window
		}
		c.of.subs.settled(c.of, b)
		if b.answered != nil {
			close(b.answered)
		}
	}
}

// write sends what waits until the connection ends.
func (c *connection) write() error {
	var buffer []byte
	for number := uint64(1); ; number++ {
		b, err := c.nextBatch(number)
		if err != nil {
			return err
		}
		b.number = number
		c.mu.Lock()
		c.sent = append(c.sent, b)
		c.mu.Unlock()
		buffer = c.of.subs.appendBatch(buffer[:0], b)
		_ = c.net.SetWriteDeadline(time.Now().Add(c.timeout))
		if _, err := c.net.Write(buffer); err != nil {
			return fmt.Errorf("writing: %w", err)
		}
		if cap(buffer) > 1<<20 {
			buffer = nil
		}
	}
}

var errEnded = errors.New("the connection was closed")

// nextBatch awaits what is to be sent next: a fence, or changes as soon as there
// is a place in the window.
func (c *connection) nextBatch(number uint64) (*batch, error) {
	wake, place := c.of.wake, chan<- struct{}(nil)
	if c.of.subs.pending(c.of) {
		wake, place = nil, c.window
	}
	for {
		select {
		case <-c.ended:
			return nil, errEnded
		case b := <-c.fences:
			return b, nil
		case <-wake:
			wake, place = nil, c.window
		case place <- struct{}{}:
			if b := c.of.subs.take(c.of, number); b != nil {
				b.windowed = true
				return b, nil
			}
			<-c.window
			wake, place = c.of.wake, nil
		}
	}
}

// appendBatch appends a batch's commands. In a Cluster one command may name
// channels of one slot only.
func (s *subscriptions) appendBatch(dst []byte, b *batch) []byte {
	subscribe, unsubscribe := "SUBSCRIBE", "UNSUBSCRIBE"
	if s.s.cluster != nil {
		subscribe, unsubscribe = "SSUBSCRIBE", "SUNSUBSCRIBE"
	}
	if b.probe != "" {
		dst = appendWord(appendCommand(dst, 2, subscribe), b.probe)
	}
	dst = appendTopics(dst, unsubscribe, b.unsubscribe)
	dst = appendTopics(dst, subscribe, b.subscribe)
	dst = appendCommand(dst, 2, "PING")
	return appendWord(dst, strconv.FormatUint(b.number, 10))
}

func appendTopics(dst []byte, command string, topics []*topic) []byte {
	for len(topics) > 0 {
		n := 1
		for n < len(topics) && topics[n].partition == topics[0].partition {
			n++
		}
		dst = appendCommand(dst, n+1, command)
		for _, t := range topics[:n] {
			dst = appendWord(dst, t.channel)
		}
		topics = topics[n:]
	}
	return dst
}
