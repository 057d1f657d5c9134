package socket

import (
	"compress/flate"
	"errors"
	"sync"
	"sync/atomic"
)

// Compression of what is sent, permessage-deflate of RFC 7692 without context takeover:
// every message stands for itself, so that one compressed form serves all receivers, and no
// connection keeps a window. What is received is in deflate_read.go.

// rsv1Bit marks the first frame of a compressed message.
const rsv1Bit = 0x40

// flushTail ends what flate.Writer.Flush writes; on the wire it is left away.
const flushTail = "\x00\x00\xff\xff"

// maxScratch is the largest buffer that a pooled deflater keeps.
const maxScratch = 128 << 10

// DeflateStats count what was compressed, each frame once for all its receivers.
type DeflateStats struct {
	Frames uint64 // made smaller
	Plain  uint64 // compressed for nothing: they go out as they are
	In     uint64 // bytes of text in both
	Out    uint64 // bytes that are sent for it, to each receiver
}

// deflates are the counters of an engine.
type deflates struct {
	frames, plain, in, out atomic.Uint64
}

func (c *deflates) snapshot() DeflateStats {
	return DeflateStats{Frames: c.frames.Load(), Plain: c.plain.Load(), In: c.in.Load(), Out: c.out.Load()}
}

// packed is a frame compressed at one level.
type packed struct {
	level int
	next  *packed // of another level
	once  sync.Once
	wire  []byte // written by once
}

// tooSmall stands in place of a frame's forms if whoever asked first found it not worth it. It
// is asked once, so that sockets of one level have the same bytes of a frame even if they have
// different minimums, as on both sides of a reload.
var tooSmall = new(packed)

// deflated is the frame compressed at a level, or as it is if it has less than least bytes of
// text or becomes no smaller. Whoever asks first compresses, without any lock but this
// form's own; who asks meanwhile waits for that.
func (f *Frame) deflated(level, least int, counts *deflates) []byte {
	p := f.packedAt(level, least)
	if p == tooSmall {
		return f.wire
	}
	p.once.Do(func() { p.wire = f.deflate(level, counts) })
	return p.wire
}

// packedAt finds or makes the place for a level. There are as many as there are levels in
// use: one, and one more while a reload has changed it.
func (f *Frame) packedAt(level, least int) *packed {
	var own *packed
	for {
		first := f.packed.Load()
		if first == nil && len(f.Payload()) < least {
			f.packed.CompareAndSwap(nil, tooSmall)
			continue
		}
		if first == tooSmall {
			return tooSmall
		}
		for p := first; p != nil; p = p.next {
			if p.level == level {
				return p
			}
		}
		if own == nil {
			own = &packed{level: level}
		}
		own.next = first
		if f.packed.CompareAndSwap(first, own) {
			return own
		}
	}
}

func (f *Frame) deflate(level int, counts *deflates) []byte {
	payload := f.Payload()
	counts.in.Add(uint64(len(payload)))
	d := takeDeflater(level)
	defer d.giveBack(level)
	body := d.compress(payload)
	if body == nil {
		counts.plain.Add(1)
		counts.out.Add(uint64(len(payload)))
		return f.wire
	}
	counts.frames.Add(1)
	counts.out.Add(uint64(len(body)))
	wire := make([]byte, 0, headerSize(len(body))+len(body))
	wire = appendHeader(wire, finBit|rsv1Bit|opText, len(body))
	return append(wire, body...)
}

// deflater is a flate.Writer, which is about a megabyte, with a buffer for what it writes.
type deflater struct {
	writer *flate.Writer
	out    []byte
	most   int // bytes of out
}

var deflaters [flate.BestCompression + 1]sync.Pool // by level

func takeDeflater(level int) *deflater {
	if d, ok := deflaters[level].Get().(*deflater); ok {
		return d
	}
	d := new(deflater)
	d.writer, _ = flate.NewWriter(d, level) // fails only for a level that there is not
	return d
}

func (d *deflater) giveBack(level int) {
	if cap(d.out) > maxScratch {
		d.out = nil
	}
	deflaters[level].Put(d)
}

var errNoGain = errors.New("socket: it becomes no smaller")

// Write gives up as soon as what comes out is no smaller than what went in.
func (d *deflater) Write(p []byte) (int, error) {
	if len(d.out)+len(p) > d.most {
		return 0, errNoGain
	}
	d.out = append(d.out, p...)
	return len(p), nil
}

// compress gives what a compressed message of the payload carries, until the next call; nil
// if that is no smaller.
func (d *deflater) compress(payload []byte) []byte {
	d.out = d.out[:0]
	d.most = len(payload) - 1 + len(flushTail)
	d.writer.Reset(d)
	if _, err := d.writer.Write(payload); err != nil {
		return nil
	}
	if err := d.writer.Flush(); err != nil {
		return nil
	}
	return d.out[:len(d.out)-len(flushTail)]
}
