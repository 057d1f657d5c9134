package source

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"

	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	"oras.land/oras-go/v2/content"
	"oras.land/oras-go/v2/errdef"
	"oras.land/oras-go/v2/registry/remote"
	"oras.land/oras-go/v2/registry/remote/auth"
	"oras.land/oras-go/v2/registry/remote/credentials"
	"oras.land/oras-go/v2/registry/remote/errcode"

	"sluice/plugins/outbound"
)

// The media types of what an artifact holds.
const (
	ModuleType    = "application/wasm"
	SignatureType = "application/vnd.sluice.signature.v1"

	olderModuleType    = "application/vnd.wasm.content.layer.v1+wasm"
	dockerManifestType = "application/vnd.docker.distribution.manifest.v2+json"
)

const (
	maxManifest  = 1 << 20 // bytes
	maxLayers    = 64      // of a manifest
	maxRedirects = 5       // of one request
)

// fetchOCI gets the module that an artifact holds, and the signature beside it
// if that is wanted. What the registry answers is held against the digests in the
// artifact's manifest, and that against the reference if it has one.
func (r *Reader) fetchOCI(ctx context.Context, ref *reference, wantSignature bool) (wasm, signature []byte, err error) {
	repository, done := r.repository(ref)
	defer done()
	defer func() {
		if err != nil {
			err = explainOCI(ctx, err)
		}
	}()
	manifest, err := fetchManifest(ctx, repository, ref.oci.Reference)
	if err != nil {
		return nil, nil, err
	}
	module, sig, err := findLayers(manifest)
	if err != nil {
		return nil, nil, err
	}
	if wasm, err = fetchLayer(ctx, repository, module, MaxModule); err != nil {
		return nil, nil, err
	}
	if wantSignature && sig != nil {
		signature, err = fetchLayer(ctx, repository, *sig, maxSignature)
	}
	return wasm, signature, err
}

// repository is the artifact's, asked through the same guard as everything else.
func (r *Reader) repository(ref *reference) (repository *remote.Repository, done func()) {
	transport := r.options.Transport
	done = func() {}
	if transport == nil {
		own := outbound.NewTransport(outbound.Options{LoopbackOnly: ref.loopback(), Idle: 2})
		transport, done = own, own.CloseIdleConnections
	}
	client := &http.Client{
		Transport: &guard{transport, ref.loopback()},
		CheckRedirect: func(_ *http.Request, via []*http.Request) error {
			if len(via) >= maxRedirects {
				return &away{outbound.Redirect, fmt.Sprintf("it redirects more than %d times", maxRedirects)}
			}
			return nil
		},
	}
	return &remote.Repository{
		Client:             &auth.Client{Client: client, Header: http.Header{"User-Agent": {"sluice"}}, Credential: r.credential},
		Reference:          *ref.oci,
		PlainHTTP:          ref.loopback(),
		ManifestMediaTypes: []string{ocispec.MediaTypeImageManifest, dockerManifestType},
		MaxMetadataBytes:   maxManifest,
	}, done
}

// credential looks the registry's password up, anew each time: it may change
// while the node runs. Helper programs are not started.
func (r *Reader) credential(ctx context.Context, host string) (auth.Credential, error) {
	if r.options.Credentials == "" {
		return auth.EmptyCredential, nil
	}
	store, err := credentials.NewFileStore(r.options.Credentials)
	if err != nil {
		return auth.EmptyCredential, &away{status, "the file with the registries' passwords cannot be read"}
	}
	return credentials.Credential(store)(ctx, host)
}

// guard looks at every request that a registry leads to: storage that it
// redirects to, servers that hand out its tokens. A registry is not to lead
// the node to plain HTTP, nor to the node's own machine.
type guard struct {
	next     http.RoundTripper
	loopback bool // the registry itself is on loopback
}

func (g *guard) RoundTrip(request *http.Request) (*http.Response, error) {
	err := outbound.CheckURL(request.URL)
	if err == nil && !g.loopback && outbound.IsLoopbackName(request.URL.Hostname()) {
		err = errors.New("the registry leads to the node's own machine, which is refused")
	}
	if err != nil {
		return nil, &away{outbound.Address, err.Error()}
	}
	response, err := g.next.RoundTrip(request)
	if err != nil {
		return nil, err
	}
	response.Body = &bounded{response.Body, MaxModule + 1}
	return response, nil
}

// CloseIdleConnections is called by http.Client.
func (g *guard) CloseIdleConnections() {
	if c, ok := g.next.(interface{ CloseIdleConnections() }); ok {
		c.CloseIdleConnections()
	}
}

// bounded is a body that fails where it is too long.
type bounded struct {
	io.ReadCloser
	left int64
}

func (b *bounded) Read(p []byte) (int, error) {
	if b.left <= 0 {
		return 0, &away{outbound.TooBig, fmt.Sprintf("its answer is larger than %d bytes", MaxModule)}
	}
	n, err := b.ReadCloser.Read(p[:min(int64(len(p)), b.left)])
	b.left -= int64(n)
	return n, err
}

func fetchManifest(ctx context.Context, repository *remote.Repository, name string) (*ocispec.Manifest, error) {
	described, body, err := repository.Manifests().FetchReference(ctx, name)
	if err != nil {
		return nil, err
	}
	defer body.Close()
	text, err := readDescribed(body, described, maxManifest)
	if err != nil {
		return nil, err
	}
	if t := described.MediaType; t != ocispec.MediaTypeImageManifest && t != dockerManifestType {
		return nil, &away{malformed, fmt.Sprintf("it answers with a %.80q, which is no artifact; of an index of several, name the one that is meant", t)}
	}
	manifest := new(ocispec.Manifest)
	if err := json.Unmarshal(text, manifest); err != nil {
		return nil, &away{malformed, "the artifact's manifest is no JSON as it should be"}
	}
	return manifest, nil
}

// findLayers finds the layer that is the module, and the one that is its
// signature, which is nil if there is none. Both go by their media type, and by
// the name of the file that was pushed where that says nothing.
func findLayers(manifest *ocispec.Manifest) (module ocispec.Descriptor, signature *ocispec.Descriptor, err error) {
	if len(manifest.Layers) > maxLayers {
		return module, nil, &away{malformed, fmt.Sprintf("the artifact has %d layers; at most %d", len(manifest.Layers), maxLayers)}
	}
	modules := 0
	for _, layer := range manifest.Layers {
		title := layer.Annotations[ocispec.AnnotationTitle]
		switch {
		case layer.MediaType == SignatureType || strings.HasSuffix(title, ".wasm"+SignatureSuffix):
			if signature != nil {
				return module, nil, &away{malformed, "the artifact has several signatures; put them into one file with `sluice plugin sign --add`"}
			}
			signature = &layer
		case layer.MediaType == ModuleType || layer.MediaType == olderModuleType || strings.HasSuffix(title, ".wasm"):
			modules++
			module = layer
		}
	}
	if modules != 1 {
		return module, nil, &away{malformed, fmt.Sprintf("the artifact has %d layers of type %s; it should have one", modules, ModuleType)}
	}
	return module, signature, nil
}

func fetchLayer(ctx context.Context, repository *remote.Repository, layer ocispec.Descriptor, limit int64) ([]byte, error) {
	if err := checkDescriptor(layer, limit); err != nil {
		return nil, err
	}
	body, err := repository.Blobs().Fetch(ctx, layer)
	if err != nil {
		return nil, err
	}
	defer body.Close()
	return content.ReadAll(body, layer)
}

func readDescribed(body io.Reader, described ocispec.Descriptor, limit int64) ([]byte, error) {
	if err := checkDescriptor(described, limit); err != nil {
		return nil, err
	}
	return content.ReadAll(body, described)
}

// checkDescriptor refuses what a registry announces before any of it is read.
func checkDescriptor(d ocispec.Descriptor, limit int64) error {
	switch {
	case d.Digest.Validate() != nil || d.Digest.Algorithm() != digest.SHA256:
		return &away{malformed, "the registry describes content without its SHA-256"}
	case d.Size < 0 || d.Size > limit:
		return &away{outbound.TooBig, fmt.Sprintf("the registry announces %d bytes; at most %d", d.Size, limit)}
	}
	return nil
}

// explainOCI puts an error into a reason and words of our own: the library's
// quote URLs and answers.
func explainOCI(ctx context.Context, err error) error {
	var (
		own    *away
		answer *errcode.ErrorResponse
		sent   *url.Error
	)
	switch {
	case errors.As(err, &own):
		return own
	case errors.Is(err, errdef.ErrNotFound):
		return &away{notFound, "the registry does not have the artifact, or a part of it"}
	case errors.Is(err, auth.ErrBasicCredentialNotFound):
		return &away{status, "the registry asks for a password, and there is none for it"}
	case errors.As(err, &answer) && answer.StatusCode != http.StatusOK:
		return checkStatus(answer.StatusCode)
	case errors.Is(err, content.ErrMismatchedDigest), errors.Is(err, content.ErrTrailingData):
		return &away{mismatch, "what the registry sends is not what it announced: the digests differ"}
	case errors.As(err, &sent), ctx.Err() != nil:
		failed := outbound.Explain(ctx, err)
		return &away{failed.Cause, failed.Text}
	}
	return &away{malformed, "what it answers is not what a registry answers"}
}
