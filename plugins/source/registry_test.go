package source

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	"oras.land/oras-go/v2"
	"oras.land/oras-go/v2/registry"
	"oras.land/oras-go/v2/registry/remote"
)

// ociRegistry is a registry: what the distribution specification says of
// pushing and pulling manifests and blobs, whole and without mounting.
type ociRegistry struct {
	*httptest.Server
	t testing.TB

	mu        sync.Mutex
	blobs     map[digest.Digest][]byte
	manifests map[digest.Digest][]byte
	types     map[digest.Digest]string
	tags      map[string]digest.Digest // by repository:tag
	asked     int                      // requests

	// fault answers in place of the registry, if it returns true. It may be nil.
	fault func(w http.ResponseWriter, r *http.Request) bool
}

func newRegistry(t testing.TB) *ociRegistry {
	g := &ociRegistry{
		t: t, blobs: make(map[digest.Digest][]byte), manifests: make(map[digest.Digest][]byte),
		types: make(map[digest.Digest]string), tags: make(map[string]digest.Digest),
	}
	g.Server = httptest.NewServer(g)
	t.Cleanup(g.Close)
	return g
}

// host is where the registry is, as a reference has it.
func (g *ociRegistry) host() string { return strings.TrimPrefix(g.URL, "http://") }

func (g *ociRegistry) fails(fault func(w http.ResponseWriter, r *http.Request) bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.fault = fault
}

func (g *ociRegistry) requests() int {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.asked
}

func (g *ociRegistry) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	g.mu.Lock()
	g.asked++
	fault := g.fault
	g.mu.Unlock()
	if fault != nil && fault(w, r) {
		return
	}
	path := strings.TrimPrefix(r.URL.Path, "/v2/")
	if path == "" {
		return
	}
	if repository, name, ok := strings.Cut(path, "/manifests/"); ok {
		g.manifest(w, r, repository, name)
		return
	}
	repository, name, ok := strings.Cut(path, "/blobs/")
	if !ok {
		http.NotFound(w, r)
		return
	}
	g.blob(w, r, repository, name)
}

func (g *ociRegistry) manifest(w http.ResponseWriter, r *http.Request, repository, name string) {
	g.mu.Lock()
	defer g.mu.Unlock()
	switch r.Method {
	case http.MethodPut:
		body, _ := io.ReadAll(r.Body)
		d := digest.FromBytes(body)
		g.manifests[d], g.types[d] = body, r.Header.Get("Content-Type")
		if !strings.HasPrefix(name, "sha256:") {
			g.tags[repository+":"+name] = d
		}
		w.Header().Set("Docker-Content-Digest", d.String())
		w.WriteHeader(http.StatusCreated)
	case http.MethodGet, http.MethodHead:
		d := digest.Digest(name)
		if !strings.HasPrefix(name, "sha256:") {
			d = g.tags[repository+":"+name]
		}
		body, ok := g.manifests[d]
		if !ok {
			registryError(w, http.StatusNotFound, "MANIFEST_UNKNOWN")
			return
		}
		w.Header().Set("Content-Type", g.types[d])
		w.Header().Set("Docker-Content-Digest", d.String())
		w.Header().Set("Content-Length", fmt.Sprint(len(body)))
		if r.Method == http.MethodGet {
			_, _ = w.Write(body)
		}
	default:
		w.WriteHeader(http.StatusMethodNotAllowed)
	}
}

func (g *ociRegistry) blob(w http.ResponseWriter, r *http.Request, repository, name string) {
	g.mu.Lock()
	defer g.mu.Unlock()
	switch {
	case r.Method == http.MethodPost:
		w.Header().Set("Location", "/v2/"+repository+"/blobs/uploads/1")
		w.WriteHeader(http.StatusAccepted)
	case r.Method == http.MethodPut:
		body, _ := io.ReadAll(r.Body)
		d := digest.FromBytes(body)
		if want := r.URL.Query().Get("digest"); want != d.String() {
			registryError(w, http.StatusBadRequest, "DIGEST_INVALID")
			return
		}
		g.blobs[d] = body
		w.WriteHeader(http.StatusCreated)
	default:
		body, ok := g.blobs[digest.Digest(name)]
		if !ok {
			registryError(w, http.StatusNotFound, "BLOB_UNKNOWN")
			return
		}
		w.Header().Set("Content-Length", fmt.Sprint(len(body)))
		if r.Method == http.MethodGet {
			_, _ = w.Write(body)
		}
	}
}

func registryError(w http.ResponseWriter, status int, code string) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	fmt.Fprintf(w, `{"errors":[{"code":%q,"message":"no"}]}`, code)
}

// layer is one file of an artifact.
type layer struct {
	data        []byte
	kind, title string
}

// push pushes an artifact as `oras push` does, and returns the digest of its
// manifest.
func (g *ociRegistry) push(repository, tag string, layers ...layer) string {
	g.t.Helper()
	ctx := g.t.Context()
	repo := &remote.Repository{Reference: registry.Reference{Registry: g.host(), Repository: repository}, PlainHTTP: true, Client: http.DefaultClient}
	defer http.DefaultClient.CloseIdleConnections()
	var described []ocispec.Descriptor
	for _, l := range layers {
		d, err := oras.PushBytes(ctx, repo, l.kind, l.data)
		if err != nil {
			g.t.Fatal(err)
		}
		if l.title != "" {
			d.Annotations = map[string]string{ocispec.AnnotationTitle: l.title}
		}
		described = append(described, d)
	}
	manifest, err := oras.PackManifest(ctx, repo, oras.PackManifestVersion1_1, "application/vnd.sluice.filter", oras.PackManifestOptions{Layers: described})
	if err != nil {
		g.t.Fatal(err)
	}
	if err := repo.Tag(ctx, manifest, tag); err != nil {
		g.t.Fatal(err)
	}
	return manifest.Digest.String()
}

func module(data []byte) layer { return layer{data, ModuleType, "filter.wasm"} }
