package source

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"net/http"
	"sync"
	"time"

	"sluice/plugins/outbound"
)

const (
	// MaxModule is the largest module, in bytes.
	MaxModule = 16 << 20

	fetchTime = 15 * time.Second // for all of one reference
	holdTime  = 10 * time.Second // for which a host that did not answer in time is not asked again
)

// Where a module came from: the words of Module.From and of Stats.Reads.
const (
	FromFile     = "file"
	Fetched      = "fetched"   // the source was asked
	Cached       = "cached"    // on disk, and the pin or the reference says that it is the one
	FromLastGood = "last_good" // on disk, because the source was away

	refusedRead = "refused" // it came, and is not to be used
	failedRead  = "failed"  // it did not come
)

// Options of a Reader. The zero value reads, and keeps nothing.
type Options struct {
	// Dir is the folder where modules that were fetched are kept; it is made. "":
	// they are kept nowhere, and a source that is away is an error.
	Dir string

	// Credentials is a file with the passwords of registries, as
	// `docker login` and `oras login` write it without a helper. It may be absent.
	Credentials string

	// Log receives what was done without a source or the folder; nil: slog.Default.
	Log *slog.Logger

	// Transport carries requests in place of one that refuses addresses. Tests
	// use it.
	Transport http.RoundTripper

	timeout time.Duration    // 0: fetchTime
	now     func() time.Time // nil: time.Now
}

// Reader reads modules. Its methods are safe for concurrent use.
type Reader struct {
	// Static after construction.
	options Options
	log     *slog.Logger
	cache   func() *cache // the folder, opened when it is first needed; nil: nothing is kept

	// Guarded by mu.
	mu       sync.Mutex
	reads    map[string]uint64
	failures map[string]uint64
	held     map[string]time.Time // until when a host is not asked
}

// New makes a reader. A folder that cannot be used is done without, which is
// logged when it is first needed.
func New(o Options) *Reader {
	if o.Log == nil {
		o.Log = slog.Default()
	}
	if o.timeout == 0 {
		o.timeout = fetchTime
	}
	if o.now == nil {
		o.now = time.Now
	}
	r := &Reader{options: o, log: o.Log, reads: make(map[string]uint64), failures: make(map[string]uint64), held: make(map[string]time.Time)}
	for _, word := range []string{FromFile, Fetched, Cached, FromLastGood, refusedRead, failedRead} {
		r.reads[word] = 0
	}
	for _, word := range Reasons() {
		r.failures[word] = 0
	}
	r.cache = sync.OnceValue(r.openCache)
	return r
}

func (r *Reader) openCache() *cache {
	dir := r.options.Dir
	if dir == "" {
		return nil
	}
	c, err := openCache(dir)
	if err != nil {
		r.count(r.failures, notKept)
		r.log.Warn("fetched filters are not kept on disk: their sources have to answer at each start and reload", "folder", dir, "cause", err)
		return nil
	}
	return c
}

// Request is a module that is wanted.
type Request struct {
	// Reference is the path of a file, a URL, or oci://REGISTRY/REPOSITORY with
	// :TAG, @sha256:DIGEST or both.
	Reference string

	// SHA256 is the module's digest in hex; "": any.
	SHA256 string

	// Trust is what is demanded of it; nil: nothing.
	Trust *Trust
}

// Module is a module that may be used.
type Module struct {
	Wasm     []byte
	From     string // FromFile, Fetched, Cached, FromLastGood
	SignedBy string // ID of the trusted key that signed it; "": none did, or none is trusted

	reference string
	signature []byte
}

// Read reads a module and holds it against what is demanded. Every error is a
// *Refusal, or that of ctx. Of a file longer than MaxModule it returns one byte
// more than that.
func (r *Reader) Read(ctx context.Context, q Request) (*Module, error) {
	m, err := r.read(ctx, q)
	if err == nil {
		r.count(r.reads, m.From)
		return m, nil
	}
	var refused *Refusal
	if errors.As(err, &refused) {
		r.count(r.failures, refused.Reason)
		r.count(r.reads, refusedRead)
		return nil, refused
	}
	r.count(r.reads, failedRead)
	var failed *away
	if errors.As(err, &failed) {
		// It was counted when it failed.
		return nil, refuse(failed.reason, "look after the source, or name another; a module that was loaded from it once would be used again, and none is on disk",
			"it cannot be fetched: %s", failed.text)
	}
	return nil, err
}

func (r *Reader) read(ctx context.Context, q Request) (*Module, error) {
	if q.Trust == nil {
		q.Trust = &Trust{}
	}
	ref, err := parseReference(q.Reference)
	if err != nil {
		return nil, refuse(badText, "", "plugin: %v", err)
	}
	if refused := q.Trust.checkPinned(&q, &ref); refused != nil {
		return nil, refused
	}
	if ref.host() == "" {
		wasm, signature, err := readFile(ref.file, q.Trust.looks())
		if err != nil {
			return nil, err
		}
		if len(wasm) > MaxModule && (q.SHA256 != "" || q.Trust.looks()) {
			return nil, refuse(outbound.TooBig, "", "the file is larger than %d bytes", MaxModule) // what was read of it has another digest
		}
		return q.judge(FromFile, wasm, signature)
	}
	if m := r.known(&q, &ref); m != nil {
		return m, nil
	}
	wasm, signature, err := r.fetch(ctx, &ref, q.Trust.looks())
	if err == nil {
		return q.judge(Fetched, wasm, signature)
	}
	if ctx.Err() != nil {
		return nil, ctx.Err()
	}
	return r.lastGood(&q, err)
}

// judge makes a module of what may be used.
func (q *Request) judge(from string, wasm, signature []byte) (*Module, error) {
	signedBy, refused := q.Trust.check(wasm, signature, q.SHA256)
	if refused != nil {
		return nil, refused
	}
	return &Module{Wasm: wasm, From: from, SignedBy: signedBy, reference: q.Reference, signature: signature}, nil
}

// known is the module where it is known beforehand which one it has to be, and
// it is on disk; nil otherwise. Nobody is asked.
func (r *Reader) known(q *Request, ref *reference) *Module {
	c := r.cache()
	if c == nil {
		return nil
	}
	var digest [sha256.Size]byte
	var err error
	ok := false
	switch {
	case q.SHA256 != "":
		digest, err = ParseDigest(q.SHA256)
		ok = err == nil
	case ref.fixed():
		digest, ok = c.lastGood(q.Reference)
	}
	if !ok {
		return nil
	}
	wasm, signature, ok := c.module(digest)
	if !ok {
		return nil
	}
	// What does not pass may lack a signature that has been made since.
	m, err := q.judge(Cached, wasm, signature)
	if err != nil {
		return nil
	}
	return m
}

// lastGood is what is used while the source is away, for the reason why.
func (r *Reader) lastGood(q *Request, why error) (*Module, error) {
	c := r.cache()
	if c == nil {
		return nil, why
	}
	digest, ok := c.lastGood(q.Reference)
	if !ok {
		return nil, why
	}
	wasm, signature, ok := c.module(digest)
	if !ok {
		return nil, why
	}
	m, err := q.judge(FromLastGood, wasm, signature)
	if err != nil {
		r.log.Warn("a filter's source is away, and its last good module is not to be used either", "source", Show(q.Reference), "cause", err)
		return nil, why
	}
	r.log.Warn("a filter's source is away: its last good module is used", "source", Show(q.Reference),
		"cause", why, "sha256", hex.EncodeToString(digest[:]))
	return m, nil
}

// fetch asks the source. Every error is an *away, which it counts.
func (r *Reader) fetch(ctx context.Context, ref *reference, wantSignature bool) (wasm, signature []byte, err error) {
	host := ref.host()
	if r.isHeld(host) {
		err = &away{outbound.Timeout, fmt.Sprintf("it did not answer in time a moment ago, and is not asked again for %s", holdTime)}
	} else {
		bounded, cancel := context.WithTimeout(ctx, r.options.timeout)
		defer cancel()
		if ref.url != nil {
			wasm, signature, err = r.fetchURL(bounded, ref.url, wantSignature)
		} else {
			wasm, signature, err = r.fetchOCI(bounded, ref, wantSignature)
		}
	}
	var failed *away
	if errors.As(err, &failed) {
		r.note(host, failed.reason, ctx.Err() == nil)
	}
	return wasm, signature, err
}

// isHeld reports whether a host is not to be asked: several filters from one
// that hangs would take the time that a reload has.
func (r *Reader) isHeld(host string) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	until, ok := r.held[host]
	if ok && !r.options.now().Before(until) {
		delete(r.held, host)
		ok = false
	}
	return ok
}

func (r *Reader) note(host, reason string, mayHold bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.failures[reason]++
	if _, is := r.held[host]; !is && mayHold && reason == outbound.Timeout {
		r.held[host] = r.options.now().Add(holdTime)
	}
}

// Keep writes a module that was fetched and has proven itself to disk, as the
// last good one of its reference. Where that fails it is logged and counted, and
// harms nothing else.
func (r *Reader) Keep(m *Module) {
	c := r.cache()
	if c == nil || m.From != Fetched {
		return
	}
	digest := sha256.Sum256(m.Wasm)
	if before, ok := c.lastGood(m.reference); ok && before != digest {
		r.log.Info("a filter's source leads to another module than before", "source", Show(m.reference),
			"before", hex.EncodeToString(before[:]), "sha256", hex.EncodeToString(digest[:]))
	}
	if err := c.keep(m.reference, m.Wasm, m.signature); err != nil {
		r.count(r.failures, notKept)
		r.log.Warn("a fetched filter could not be kept on disk: its source has to answer at the next start", "source", Show(m.reference), "folder", c.dir, "cause", err)
	}
}

func (r *Reader) count(in map[string]uint64, word string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	in[word]++
}

// Stats counts what came of reading modules.
type Stats struct {
	Reads    map[string]uint64 // by where the module came from, or failed or refused
	Failures map[string]uint64 // by reason, all of Reasons
}

// Stats counts.
func (r *Reader) Stats() Stats {
	r.mu.Lock()
	defer r.mu.Unlock()
	return Stats{maps.Clone(r.reads), maps.Clone(r.failures)}
}
