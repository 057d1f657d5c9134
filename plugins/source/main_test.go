package source

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// Modules to fetch: nothing here looks into them.
var (
	first  = []byte("\x00asm the first module")
	second = []byte("\x00asm the second module")
)

func digestOf(wasm []byte) string {
	sum := sha256.Sum256(wasm)
	return hex.EncodeToString(sum[:])
}

// journal is a log that a test reads.
type journal struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (j *journal) Write(p []byte) (int, error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.text.Write(p)
}

func (j *journal) String() string {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.text.String()
}

func (j *journal) logger() *slog.Logger { return slog.New(slog.NewTextHandler(j, nil)) }

// bench is a reader with a log and, unless told otherwise, a folder.
type bench struct {
	*Reader
	log *journal
	dir string
}

func newBench(t testing.TB, change ...func(*Options)) *bench {
	t.Helper()
	b := &bench{log: new(journal), dir: filepath.Join(t.TempDir(), "kept")}
	o := Options{Dir: b.dir, Log: b.log.logger()}
	for _, f := range change {
		f(&o)
	}
	b.Reader = New(o)
	return b
}

// reads reads a module that has to be had, and keeps it.
func (b *bench) reads(t *testing.T, q Request, wasm []byte, from string) *Module {
	t.Helper()
	m, err := b.Read(t.Context(), q)
	if err != nil {
		t.Fatalf("%s: %v", q.Reference, err)
	}
	if !bytes.Equal(m.Wasm, wasm) || m.From != from {
		t.Fatalf("%s: %q, %s; want %q, %s", q.Reference, m.Wasm, m.From, wasm, from)
	}
	b.Keep(m)
	return m
}

// refuses reads a module that must not be had, for the reason.
func (b *bench) refuses(t *testing.T, q Request, reason string, words ...string) {
	t.Helper()
	before := b.Stats().Failures[reason]
	m, err := b.Read(t.Context(), q)
	var refused *Refusal
	if !errors.As(err, &refused) {
		t.Fatalf("%s: %v, %v; want to be refused for %s", q.Reference, m, err, reason)
	}
	if refused.Reason != reason {
		t.Errorf("%s: refused for %s (%v), want %s", q.Reference, refused.Reason, err, reason)
	}
	for _, word := range words {
		if !strings.Contains(err.Error(), word) {
			t.Errorf("%s: %q does not say %q", q.Reference, err, word)
		}
	}
	if got := b.Stats().Failures[reason]; got != before+1 {
		t.Errorf("%s: %s was counted %d times, want once", q.Reference, reason, got-before)
	}
}

func write(t testing.TB, path string, data []byte) {
	t.Helper()
	if err := os.WriteFile(path, data, 0o600); err != nil {
		t.Fatal(err)
	}
}

func newKey(t testing.TB) PrivateKey {
	t.Helper()
	key, err := GenerateKey()
	if err != nil {
		t.Fatal(err)
	}
	return key
}

func sign(t testing.TB, key PrivateKey, wasm, before []byte) []byte {
	t.Helper()
	text, err := Sign(key, wasm, before)
	if err != nil {
		t.Fatal(err)
	}
	return text
}

func trusting(keys ...PrivateKey) *Trust {
	trust := new(Trust)
	for _, k := range keys {
		trust.Keys = append(trust.Keys, k.Public())
	}
	return trust
}

func requiring(keys ...PrivateKey) *Trust {
	trust := trusting(keys...)
	trust.RequireSignatures = true
	return trust
}
