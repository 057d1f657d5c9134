package membroker

import (
	"crypto/sha256"
	"encoding/binary"
	"sync"
	"sync/atomic"
	"time"

	"sluice/router"
)

// keyCapacity is how many idempotency keys a hub remembers: at 450 a second for
// all of router.KeyTTL. They take 27 MiB then.
const keyCapacity = 1 << 17

// keyDigest stands for the sender, kind, target and key of a message: of one size,
// whatever a client chose.
type keyDigest [16]byte

func digestOf(name router.Topic, m *router.Message) keyDigest {
	var buf [512]byte
	b := append(buf[:0], byte(m.Kind))
	for _, part := range [...]string{name.Name, m.From, m.Key} {
		b = binary.AppendUvarint(b, uint64(len(part)))
		b = append(b, part...)
	}
	sum := sha256.Sum256(b)
	return keyDigest(sum[:16])
}

// keys are the messages that had an idempotency key, for router.KeyTTL.
type keys struct {
	capacity int // static

	mu sync.Mutex
	// Guarded by mu.
	receipts map[keyDigest]router.Receipt
	queue    []rememberedKey // oldest first
	peak     int             // the most receipts this map held

	// Counted.
	repeated  atomic.Uint64 // messages
	forgotten atomic.Uint64 // keys, before their time, for lack of memory
}

type rememberedKey struct {
	digest keyDigest
	until  time.Time
}

// first returns the receipt of the first message with the key. The caller holds
// the lock of the message's shard: nobody else accepts the key meanwhile.
func (k *keys) first(d keyDigest, now time.Time) (router.Receipt, bool) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.expireLocked(now)
	r, ok := k.receipts[d]
	r.Repeated = ok
	return r, ok
}

// remember notes that the key was accepted, and is not in use.
func (k *keys) remember(d keyDigest, r router.Receipt, now time.Time) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.expireLocked(now)
	if len(k.queue) >= k.capacity {
		k.forgetLocked()
		k.forgotten.Add(1)
	}
	if k.receipts == nil {
		k.receipts = make(map[keyDigest]router.Receipt)
	}
	k.receipts[d] = r
	k.queue = append(k.queue, rememberedKey{d, now.Add(router.KeyTTL)})
	k.peak = max(k.peak, len(k.receipts))
}

func (k *keys) expireLocked(now time.Time) {
	for len(k.queue) > 0 && !now.Before(k.queue[0].until) {
		k.forgetLocked()
	}
}

// forgetLocked forgets the oldest key.
func (k *keys) forgetLocked() {
	delete(k.receipts, k.queue[0].digest)
	k.queue = k.queue[1:]
	if len(k.queue) == 0 && k.peak > 64 {
		k.receipts, k.queue, k.peak = nil, nil, 0 // a map does not give memory back
	}
}
