package source

import (
	"bytes"
	"context"
	"encoding/base64"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"sluice/plugins/outbound"
)

func TestAnArtifactOfARegistryIsFetchedByTagAndByDigest(t *testing.T) {
	g := newRegistry(t)
	manifest := g.push("filters/size", "v1", module(first))
	g.push("filters/size", "latest", module(second))
	for reference, want := range map[string][]byte{
		"filters/size:v1":                        first,
		"filters/size@" + manifest:               first,
		"filters/size:latest@" + manifest:        first, // the digest decides
		"filters/size":                           second,
		"filters/size:latest":                    second,
		"filters/../filters/size:v1":             nil,
		"filters/size:v2":                        nil,
		"filters/other:v1":                       nil,
		"filters/size@sha256:" + digestOf(first): nil, // of the module, not of the manifest
	} {
		b := newBench(t)
		q := Request{Reference: "oci://" + g.host() + "/" + reference}
		if want != nil {
			b.reads(t, q, want, Fetched)
		} else if m, err := b.Read(t.Context(), q); err == nil {
			t.Errorf("%s: %q was fetched", reference, m.Wasm)
		}
	}
}

func TestAModuleIsFoundByItsTypeOrItsName(t *testing.T) {
	g := newRegistry(t)
	tar := "application/vnd.oci.image.layer.v1.tar"
	for name, tt := range map[string]struct {
		layers []layer
		want   []byte
	}{
		"type":                       {[]layer{{first, ModuleType, ""}}, first},
		"an older type":              {[]layer{{first, olderModuleType, ""}}, first},
		"name":                       {[]layer{{first, tar, "size.wasm"}}, first},
		"with a readme":              {[]layer{{[]byte("# size"), tar, "README.md"}, module(first)}, first},
		"two modules":                {[]layer{module(first), {second, ModuleType, "other.wasm"}}, nil},
		"none":                       {[]layer{{first, tar, "image.tar"}}, nil},
		"several signatures":         {[]layer{module(first), {first, SignatureType, ""}, {second, SignatureType, ""}}, nil},
		"a signature by its name":    {[]layer{{first, tar, "size.wasm"}, {second, tar, "size.wasm.sig"}}, first},
		"with more layers than fits": {append(make([]layer, 0), manyLayers()...), nil},
	} {
		tag := strings.ReplaceAll(name, " ", "-")
		g.push("filters", tag, tt.layers...)
		b := newBench(t)
		q := Request{Reference: "oci://" + g.host() + "/filters:" + tag}
		if tt.want != nil {
			b.reads(t, q, tt.want, Fetched)
		} else {
			b.refuses(t, q, malformed)
		}
	}
}

func manyLayers() (layers []layer) {
	for i := range maxLayers + 1 {
		layers = append(layers, layer{fmt.Append(nil, i), "text/plain", ""})
	}
	return layers
}

func TestTheSignatureOfAnArtifactIsOneOfItsLayers(t *testing.T) {
	g := newRegistry(t)
	mine, other := newKey(t), newKey(t)
	g.push("filters", "signed", module(first), layer{sign(t, mine, first, nil), SignatureType, ""})
	g.push("filters", "unsigned", module(first))
	g.push("filters", "forged", module(second), layer{sign(t, mine, first, nil), SignatureType, ""})
	at := func(tag string, trust *Trust) Request {
		return Request{Reference: "oci://" + g.host() + "/filters:" + tag, Trust: trust}
	}
	b := newBench(t)
	if m := b.reads(t, at("signed", requiring(mine)), first, Fetched); m.SignedBy != mine.Public().ID() {
		t.Errorf("signed by %q", m.SignedBy)
	}
	b.refuses(t, at("signed", requiring(other)), untrusted, mine.Public().ID())
	b.refuses(t, at("forged", requiring(mine)), wrongSign)
	b.refuses(t, at("forged", trusting(mine)), wrongSign)
	b.refuses(t, at("unsigned", requiring(mine)), unsigned, "sluice plugin sign")
	b.reads(t, at("unsigned", trusting(mine)), first, Fetched)
	b.reads(t, at("forged", nil), second, Fetched)
}

func TestATagThatMovesIsFollowedAndSaidAndAPinHoldsItStill(t *testing.T) {
	g := newRegistry(t)
	b := newBench(t)
	loose := Request{Reference: "oci://" + g.host() + "/filters:v1"}
	pinned := loose
	pinned.SHA256 = digestOf(first)

	g.push("filters", "v1", module(first))
	b.reads(t, loose, first, Fetched)
	if strings.Contains(b.log.String(), "another module") {
		t.Errorf("nothing moved yet:\n%s", b.log)
	}
	g.push("filters", "v1", module(second))
	b.reads(t, loose, second, Fetched)
	if text := b.log.String(); !strings.Contains(text, "another module") || !strings.Contains(text, digestOf(first)) || !strings.Contains(text, digestOf(second)) {
		t.Errorf("that the tag moved is not logged:\n%s", text)
	}
	b.reads(t, pinned, first, Cached)

	fresh := newBench(t)
	fresh.refuses(t, pinned, wrongPin, digestOf(first), digestOf(second))
}

func TestWhatAReferencePinsIsNotAskedForTwice(t *testing.T) {
	g := newRegistry(t)
	manifest := g.push("filters", "v1", module(first))
	b := newBench(t)
	byDigest := Request{Reference: "oci://" + g.host() + "/filters@" + manifest}
	b.reads(t, byDigest, first, Fetched)
	before := g.requests()
	b.reads(t, byDigest, first, Cached)
	b.reads(t, Request{Reference: "oci://" + g.host() + "/elsewhere:v7", SHA256: digestOf(first)}, first, Cached)
	if g.requests() != before {
		t.Errorf("the registry was asked %d times more", g.requests()-before)
	}
}

func TestASignatureThatWasMadeLaterIsFetchedThoughTheModuleIsOnDisk(t *testing.T) {
	g := newRegistry(t)
	key := newKey(t)
	b := newBench(t)
	q := Request{Reference: "oci://" + g.host() + "/filters:v1", SHA256: digestOf(first)}
	g.push("filters", "v1", module(first))
	b.reads(t, q, first, Fetched)
	q.Trust = requiring(key)
	b.refuses(t, q, unsigned)
	g.push("filters", "v1", module(first), layer{sign(t, key, first, nil), SignatureType, ""})
	b.reads(t, q, first, Fetched)
	b.reads(t, q, first, Cached)
}

// Whatever a registry answers, the node does not fall over it: without a module
// on disk the reading fails by its reason, and with one that is used.
func TestARegistryThatAnswersGarbageIsAway(t *testing.T) {
	answer := func(status int, body string, header ...string) func(http.ResponseWriter, *http.Request) bool {
		return func(w http.ResponseWriter, _ *http.Request) bool {
			for i := 0; i < len(header); i += 2 {
				w.Header().Set(header[i], header[i+1])
			}
			w.WriteHeader(status)
			_, _ = io.WriteString(w, body)
			return true
		}
	}
	forBlobs := func(fault func(http.ResponseWriter, *http.Request) bool) func(http.ResponseWriter, *http.Request) bool {
		return func(w http.ResponseWriter, r *http.Request) bool {
			return strings.Contains(r.URL.Path, "/blobs/") && fault(w, r)
		}
	}
	endless := func(w http.ResponseWriter, r *http.Request) bool {
		w.Header().Set("Content-Type", ocispec.MediaTypeImageManifest)
		for chunk := bytes.Repeat([]byte("x"), 64<<10); r.Method == http.MethodGet; {
			if _, err := w.Write(chunk); err != nil {
				break
			}
		}
		return true
	}
	hang := func(w http.ResponseWriter, r *http.Request) bool { <-r.Context().Done(); return true }
	manifestType := []string{"Content-Type", ocispec.MediaTypeImageManifest}
	for name, tt := range map[string]struct {
		fault  func(http.ResponseWriter, *http.Request) bool
		reason string
	}{
		"a page":                           {answer(200, "<html>", "Content-Type", "text/html"), malformed},
		"no type":                          {answer(200, "x", "Content-Type", ""), malformed},
		"a manifest that is no JSON":       {answer(200, "{", manifestType...), malformed},
		"a manifest of another shape":      {answer(200, `{"layers":"no"}`, manifestType...), malformed},
		"an index":                         {answer(200, `{"manifests":[]}`, "Content-Type", ocispec.MediaTypeImageIndex), malformed},
		"a layer without a digest":         {answer(200, `{"layers":[{"mediaType":"application/wasm","size":1}]}`, manifestType...), malformed},
		"a digest without a colon":         {answer(200, `{"layers":[{"mediaType":"application/wasm","size":1,"digest":"abc"}]}`, manifestType...), malformed},
		"a digest by another algorithm":    {answer(200, `{"layers":[{"mediaType":"application/wasm","size":1,"digest":"md5:d41d8cd98f00b204e9800998ecf8427e"}]}`, manifestType...), malformed},
		"a negative size":                  {answer(200, `{"layers":[{"mediaType":"application/wasm","size":-1,"digest":"sha256:`+digestOf(first)+`"}]}`, manifestType...), outbound.TooBig},
		"an enormous size":                 {answer(200, `{"layers":[{"mediaType":"application/wasm","size":4611686018427387904,"digest":"sha256:`+digestOf(first)+`"}]}`, manifestType...), outbound.TooBig},
		"a digest of its own that is none": {answer(200, "{}", "Content-Type", ocispec.MediaTypeImageManifest, "Docker-Content-Digest", "x"), malformed},
		"another manifest than announced":  {answer(200, "{}", "Content-Type", ocispec.MediaTypeImageManifest, "Docker-Content-Digest", "sha256:"+digestOf(first)), mismatch},
		"401 without a challenge":          {answer(401, ""), status},
		"401 that asks for a password":     {answer(401, "", "WWW-Authenticate", `Basic realm="x"`), status},
		"401 that leads to the metadata":   {answer(401, "", "WWW-Authenticate", `Bearer realm="http://169.254.169.254/token"`), malformed},
		"403":                              {answer(403, ""), status},
		"404":                              {answer(404, ""), notFound},
		"429":                              {answer(429, "later"), status},
		"500":                              {answer(500, strings.Repeat("no", 100000)), status},
		"a redirect to nowhere":            {answer(307, "", "Location", "http://169.254.169.254/latest"), outbound.Address},
		"a redirect to a file":             {answer(307, "", "Location", "file:///etc/passwd"), outbound.Address},
		"a redirect in a circle": {func(w http.ResponseWriter, r *http.Request) bool {
			http.Redirect(w, r, r.URL.Path, http.StatusTemporaryRedirect)
			return true
		}, outbound.Redirect},
		"an endless manifest":    {endless, malformed},
		"an endless blob":        {forBlobs(endless), mismatch},
		"another blob":           {forBlobs(answer(200, strings.Repeat("y", len(first)))), mismatch},
		"a shorter blob":         {forBlobs(answer(200, "y")), malformed},
		"a blob that is missing": {forBlobs(answer(404, "")), notFound},
		"a hang":                 {hang, outbound.Timeout},
		"a hang in the blob":     {forBlobs(hang), outbound.Timeout},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			g := newRegistry(t)
			g.push("filters", "v1", module(first))
			q := Request{Reference: "oci://" + g.host() + "/filters:v1"}
			patience := time.Minute
			if tt.reason == outbound.Timeout {
				patience = 100 * time.Millisecond
			}
			b := newBench(t)
			b.reads(t, q, first, Fetched)
			b.options.timeout = patience
			g.fails(tt.fault)

			fresh := newBench(t, func(o *Options) { o.timeout = patience })
			fresh.refuses(t, q, tt.reason, "cannot be fetched")
			if got := fresh.Stats().Reads[failedRead]; got != 1 {
				t.Errorf("%d readings failed, want 1", got)
			}
			b.reads(t, q, first, FromLastGood)
			if text := b.log.String(); !strings.Contains(text, "last good") || !strings.Contains(text, q.Reference) || !strings.Contains(text, digestOf(first)) {
				t.Errorf("that the last good one is used is not logged:\n%s", text)
			}
			if s := b.Stats(); s.Reads[FromLastGood] != 1 || s.Failures[tt.reason] != 1 {
				t.Errorf("counted %v", s)
			}
		})
	}
}

func TestARegistryThatComesBackIsReadAgain(t *testing.T) {
	g := newRegistry(t)
	b := newBench(t)
	q := Request{Reference: "oci://" + g.host() + "/filters:v1"}
	g.push("filters", "v1", module(first))
	b.reads(t, q, first, Fetched)
	g.fails(func(w http.ResponseWriter, _ *http.Request) bool { w.WriteHeader(http.StatusNotFound); return true })
	b.reads(t, q, first, FromLastGood)
	g.fails(nil)
	g.push("filters", "v1", module(second))
	b.reads(t, q, second, Fetched)
}

func TestARegistryMayKeepItsBlobsElsewhere(t *testing.T) {
	g := newRegistry(t)
	g.push("filters", "v1", module(first))
	var authorized bool
	storage := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		authorized = authorized || r.Header.Get("Authorization") != ""
		_, _ = w.Write(first)
	}))
	defer storage.Close()
	g.fails(func(w http.ResponseWriter, r *http.Request) bool {
		if user, word, _ := r.BasicAuth(); user != "reader" || word != "secret" {
			w.Header().Set("WWW-Authenticate", `Basic realm="filters"`)
			registryError(w, http.StatusUnauthorized, "UNAUTHORIZED")
			return true
		}
		if strings.Contains(r.URL.Path, "/blobs/") {
			http.Redirect(w, r, storage.URL+"/a/b?signature=c", http.StatusTemporaryRedirect)
			return true
		}
		return false
	})
	config := filepath.Join(t.TempDir(), "config.json")
	write(t, config, fmt.Appendf(nil, `{"auths":{%q:{"auth":%q}}}`, g.host(), base64.StdEncoding.EncodeToString([]byte("reader:secret"))))
	b := newBench(t, func(o *Options) { o.Credentials = config })
	b.reads(t, Request{Reference: "oci://" + g.host() + "/filters:v1"}, first, Fetched)
	if authorized {
		t.Error("the registry's password was sent to the storage")
	}
	write(t, config, []byte("garbage"))
	newBench(t, func(o *Options) { o.Credentials = config }).
		refuses(t, Request{Reference: "oci://" + g.host() + "/filters:v1"}, status, "passwords")
}

func TestARegistryThatHandsOutTokensIsAskedWithOne(t *testing.T) {
	g := newRegistry(t)
	g.push("filters", "v1", module(first))
	g.fails(func(w http.ResponseWriter, r *http.Request) bool {
		switch {
		case r.URL.Path == "/token":
			_, _ = io.WriteString(w, `{"token":"abc"}`)
		case r.Header.Get("Authorization") != "Bearer abc":
			w.Header().Set("WWW-Authenticate", fmt.Sprintf(`Bearer realm="%s/token",service="registry",scope="repository:filters:pull"`, g.URL))
			registryError(w, http.StatusUnauthorized, "UNAUTHORIZED")
		default:
			return false
		}
		return true
	})
	newBench(t).reads(t, Request{Reference: "oci://" + g.host() + "/filters:v1"}, first, Fetched)
}

// towards carries requests for any host to one server.
func towards(t *testing.T, srv *httptest.Server) http.RoundTripper {
	transport := srv.Client().Transport.(*http.Transport).Clone()
	transport.TLSClientConfig.ServerName = "example.com"
	transport.DialContext = func(ctx context.Context, network, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, network, srv.Listener.Addr().String())
	}
	t.Cleanup(transport.CloseIdleConnections)
	return transport
}

func TestARegistryOnAnotherMachineIsAskedByHTTPSAndCannotLeadBackToThisOne(t *testing.T) {
	body, kind := manifestWith(first)
	lead := ""
	srv := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch {
		case strings.Contains(r.URL.Path, "/manifests/"):
			w.Header().Set("Content-Type", kind)
			_, _ = w.Write(body)
		case lead != "":
			http.Redirect(w, r, lead, http.StatusTemporaryRedirect)
		default:
			_, _ = w.Write(first)
		}
	}))
	defer srv.Close()
	b := newBench(t, func(o *Options) { o.Transport, o.Dir = towards(t, srv), "" })
	q := Request{Reference: "oci://registry.example.com/filters:v1"}
	b.reads(t, q, first, Fetched)
	for _, lead = range []string{"http://storage.example.com/blob", "https://localhost/blob", "https://127.0.0.1:8443/blob", "https://[::1]/blob", "http://127.0.0.1:8081/api/reload", "https://169.254.169.254/latest"} {
		b.refuses(t, q, outbound.Address)
	}
}

func manifestWith(wasm []byte) (body []byte, mediaType string) {
	body = fmt.Appendf(nil, `{"schemaVersion":2,"layers":[{"mediaType":%q,"size":%d,"digest":%q}]}`, ModuleType, len(wasm), digest.FromBytes(wasm))
	return body, ocispec.MediaTypeImageManifest
}
