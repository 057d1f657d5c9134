package keys

import (
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"
	"unicode"

	"sluice/plugins/outbound"
)

const (
	maxSpecs    = 64 // entries of a configuration
	maxURL      = 2 << 10
	minInterval = 5 * time.Minute // between two refreshes of a key set
	maxInterval = 24 * time.Hour
)

// What Start does while a URL does not answer.
const (
	Refuse = "refuse" // it fails: the default
	Wait   = "wait"   // it succeeds; nothing verifies with these keys until they have come
)

// Spec is one entry of keys: in the configuration of a filter, with
// environment variables and file: already resolved. Exactly one of Secret,
// SecretBase64, PEM, JWK and JWKS is given. Printing it shows no key.
type Spec struct {
	// Alg, or Algs where a key has several, is what the key may verify: HS256,
	// HS384, HS512, the same for RS, PS and ES, and EdDSA. A secret needs it. An
	// RSA key without it, and without an alg of its own, is bound to RS256; EC
	// and Ed25519 keys have one algorithm each. It restricts what a JWK's own
	// alg says, and never widens it.
	Alg  string
	Algs []string

	// Kid is the key's identifier, at most 255 bytes; none by default. Not with JWKS.
	Kid string

	Secret       Secret // the octets of the text, for HS: at least as many as the hash has
	SecretBase64 Secret // the same, in base64 or base64url, padded or not
	PEM          Secret // PEM text, or the path of a file with it: a public key or a certificate
	JWK          Secret // JSON text, or a path
	JWKS         Secret // JSON text, a path, or an https URL (http on loopback)

	// WhenDown is what becomes of Start while the URL of JWKS does not answer:
	// Refuse (default) or Wait.
	WhenDown string

	// Refresh is the time between two fetches of the URL of JWKS, 5 minutes to
	// 24 hours, give or take a tenth. Default: the max-age of the answer's
	// Cache-Control within these bounds, else 15 minutes.
	Refresh time.Duration

	// Dir is the base of relative paths. Default: the working directory.
	Dir string
}

// Format prints what an entry is, with none of its keys.
func (s Spec) Format(f fmt.State, _ rune) {
	_, _ = fmt.Fprintf(f, "{%s alg %s kid %q}", s.kind(), strings.Join(s.words(), ","), s.Kid)
}

// String is what Format prints.
func (s Spec) String() string { return fmt.Sprint(s) }

// kind is the name of the key in the configuration that is given.
func (s Spec) kind() string { return strings.Join(s.kinds(), "+") }

func (s Spec) kinds() (kinds []string) {
	for _, k := range []struct {
		name  string
		value Secret
	}{{"secret", s.Secret}, {"secret_base64", s.SecretBase64}, {"pem", s.PEM}, {"jwk", s.JWK}, {"jwks", s.JWKS}} {
		if !k.value.IsZero() {
			kinds = append(kinds, k.name)
		}
	}
	return kinds
}

func (s Spec) words() []string {
	if s.Alg != "" {
		return append([]string{s.Alg}, s.Algs...)
	}
	return s.Algs
}

// entry is a Spec that was read: keys, or a URL where they are.
type entry struct {
	spec     Spec
	binding  binding
	keys     []*key
	skipped  map[string]int
	from     string // what Status calls its source
	url      *url.URL
	warnings []string
}

// read reads the keys of an entry, and fetches nothing.
func (s Spec) read() (*entry, error) {
	allowed, err := s.check()
	if err != nil {
		return nil, err
	}
	e := &entry{spec: s, binding: binding{algs: allowed}, from: s.kind()}
	switch e.from {
	case "secret":
		err = e.readSecret([]byte(s.Secret.reveal()))
	case "secret_base64":
		var secret []byte
		if secret, err = decodeBase64(s.SecretBase64.reveal()); err == nil {
			err = e.readSecret(secret)
		}
	case "pem":
		err = e.readPEM()
	case "jwk":
		err = e.readJWK()
	case "jwks":
		err = e.readJWKS()
	}
	if err != nil {
		return nil, err
	}
	return e, nil
}

// check looks at what can be said without the key.
func (s Spec) check() (algs, error) {
	switch kinds := s.kinds(); len(kinds) {
	case 1:
	case 0:
		return 0, errors.New("it has no key; add secret, secret_base64, pem, jwk or jwks (an empty value is none)")
	default:
		return 0, fmt.Errorf("it has %s at once; give each an entry of its own", strings.Join(kinds, " and "))
	}
	if s.Alg != "" && len(s.Algs) > 0 {
		return 0, errors.New("it has alg and algs; one of them is enough")
	}
	allowed, err := parseAlgs(s.words())
	if err != nil {
		return 0, err
	}
	kind := s.kind()
	if strings.HasPrefix(kind, "secret") && len(s.words()) != 1 {
		return 0, errors.New("a secret is for one algorithm; add alg: HS256")
	}
	isURL := kind == "jwks" && isURL(s.JWKS.reveal())
	switch {
	case kind == "jwks" && s.Kid != "":
		return 0, errors.New("kid names one key, and a set has its own; leave kid out")
	case s.WhenDown != "" && s.WhenDown != Refuse && s.WhenDown != Wait:
		return 0, fmt.Errorf("when_down is %.20q; it is refuse or wait", s.WhenDown)
	case !isURL && (s.WhenDown != "" || s.Refresh != 0):
		return 0, errors.New("when_down and refresh are for a jwks with a URL; leave them out, a file is read at every reload")
	case s.Refresh != 0 && (s.Refresh < minInterval || s.Refresh > maxInterval):
		return 0, fmt.Errorf("refresh is %v; it can be from 5m to 24h", s.Refresh)
	case isURL && allowed&hmacAlgs != 0:
		return 0, fmt.Errorf("algs has %s, and a published key set holds no secrets; leave it out", allowed&hmacAlgs)
	}
	return allowed, nil
}

func (e *entry) readSecret(secret []byte) error {
	k, r := newSecretKey(e.spec.Kid, secret, e.binding, 0)
	if r != nil {
		return r
	}
	e.keys = []*key{k}
	return nil
}

func (e *entry) readPEM() error {
	text, err := e.content(e.spec.PEM, "-----BEGIN ", "PEM text that begins with -----BEGIN")
	if err != nil {
		return err
	}
	public, warning, err := parsePEM(text)
	if err != nil {
		return err
	}
	if warning != "" {
		e.warnings = append(e.warnings, warning)
	}
	k, r := newPublicKey(e.spec.Kid, public, e.binding, 0)
	if r != nil {
		return r
	}
	e.keys = []*key{k}
	return nil
}

func (e *entry) readJWK() error {
	text, err := e.content(e.spec.JWK, "{", "a JSON object")
	if err != nil {
		return err
	}
	k, private, r := parseJWK(text, e.spec.Kid, e.binding)
	if r != nil {
		return r
	}
	if private {
		e.warnings = append(e.warnings, "it is a private key, of which only the public part is used; leave the private members out")
	}
	e.keys = []*key{k}
	return nil
}

func (e *entry) readJWKS() error {
	value := e.spec.JWKS.reveal()
	if isURL(value) {
		e.binding.remote = true
		u, err := parseURL(value)
		if err != nil {
			return err
		}
		e.url, e.from = u, showURL(u)
		return nil
	}
	text, err := e.content(e.spec.JWKS, "{", "a JSON object, an https URL")
	if err != nil {
		return err
	}
	d, err := parseSet(text, e.binding)
	if err != nil {
		if d != nil {
			return fmt.Errorf("%w: %s", err, countSkipped(d.skipped))
		}
		return err
	}
	e.keys, e.skipped = d.keys, d.skipped
	if len(d.skipped) > 0 {
		e.warnings = append(e.warnings, "keys of the set are not used: "+countSkipped(d.skipped))
	}
	if d.private > 0 {
		e.warnings = append(e.warnings, fmt.Sprintf("%d private keys are in the set, of which only the public parts are used; leave the private members out", d.private))
	}
	return nil
}

// content is text that begins with mark, or that of the file that it names.
func (e *entry) content(value Secret, mark, form string) ([]byte, error) {
	text := strings.TrimSpace(value.reveal())
	if strings.HasPrefix(text, mark) {
		return []byte(text), nil
	}
	path := text
	if !filepath.IsAbs(path) {
		path = filepath.Join(e.spec.Dir, path)
	}
	content, err := readFile(path)
	if err != nil {
		// Damaged key text is no path, and must not be quoted as one.
		if !looksLikePath(text) {
			return nil, fmt.Errorf("its value is neither %s, nor the path of a file that can be read", form)
		}
		return nil, fmt.Errorf("%s %w", path, err)
	}
	e.from = path
	return content, nil
}

// Inline reports whether the keys stand in the Spec itself, so that reading them
// needs neither a file nor the network.
func (s *Spec) Inline() bool {
	for _, from := range []struct {
		value Secret
		mark  string
	}{{s.PEM, "-----BEGIN "}, {s.JWK, "{"}, {s.JWKS, "{"}} {
		if text := strings.TrimSpace(from.value.reveal()); text != "" && !strings.HasPrefix(text, from.mark) {
			return false
		}
	}
	return true
}

func looksLikePath(text string) bool {
	known := []string{".pem", ".crt", ".cer", ".key", ".pub", ".json", ".jwk", ".jwks"}
	return len(text) <= 255 && slices.Contains(known, strings.ToLower(filepath.Ext(text))) && !strings.ContainsFunc(text, unicode.IsControl)
}

// readFile reads a regular file of at most maxDocument bytes. The errors go
// after the path.
func readFile(path string) ([]byte, error) {
	info, err := os.Stat(path) // before it is opened: opening a pipe would wait for its writer
	if err == nil && !info.Mode().IsRegular() {
		return nil, errors.New("is not a regular file")
	}
	var f *os.File
	if err == nil {
		f, err = os.Open(path)
	}
	switch {
	case errors.Is(err, os.ErrNotExist):
		return nil, errors.New("does not exist")
	case errors.Is(err, os.ErrPermission):
		return nil, errors.New("cannot be read: permission denied; check its owner and mode")
	case err != nil:
		return nil, errors.New("cannot be read")
	}
	defer f.Close()
	content, err := io.ReadAll(io.LimitReader(f, maxDocument+1))
	if err != nil {
		return nil, errors.New("cannot be read")
	}
	if len(content) > maxDocument {
		return nil, errors.New("is larger than 1MiB")
	}
	return content, nil
}

func decodeBase64(text string) ([]byte, error) {
	text = strings.TrimRight(strings.TrimSpace(text), "=")
	text = strings.NewReplacer("-", "+", "_", "/").Replace(text)
	octets, err := base64.RawStdEncoding.DecodeString(text)
	if err != nil {
		return nil, errors.New("its value is not base64; give the text of `openssl rand -base64 32`, or use secret")
	}
	return octets, nil
}

func isURL(text string) bool { return strings.Contains(text, "://") && !strings.HasPrefix(text, "{") }

// parseURL checks the URL of a key set. Errors do not quote it: it may carry
// a password.
func parseURL(text string) (*url.URL, error) {
	u, err := url.Parse(text)
	switch {
	case err != nil || u.Host == "" || u.Hostname() == "":
		return nil, errors.New("the URL of its jwks cannot be read; it is of the form https://host/path")
	case len(text) > maxURL:
		return nil, fmt.Errorf("the URL of its jwks is longer than %d bytes", maxURL)
	case strings.ContainsAny(text, "{}"):
		return nil, errors.New("the URL of its jwks has a template; it is fetched as it stands, so leave braces out")
	case u.Fragment != "":
		return nil, errors.New("the URL of its jwks has a fragment, which no server sees; leave # out")
	case u.Scheme == "http" && !outbound.IsLoopbackName(u.Hostname()):
		return nil, errors.New("the URL of its jwks is http, and whoever is on the way could put in keys; use https (http is for loopback)")
	case u.Scheme != "http" && u.Scheme != "https":
		return nil, fmt.Errorf("the URL of its jwks has the scheme %.20q; use https", u.Scheme)
	}
	if ip, err := netip.ParseAddr(u.Hostname()); err == nil {
		if err := outbound.CheckAddress(ip); err != nil {
			return nil, fmt.Errorf("the URL of its jwks: %w", err)
		}
	}
	return u, nil
}

// showURL is u without what may be secret in it.
func showURL(u *url.URL) string {
	shown := url.URL{Scheme: u.Scheme, Host: u.Host, Path: u.Path}
	if u.RawQuery != "" {
		return shown.String() + "?" + redacted
	}
	return shown.String()
}

func countSkipped(skipped map[string]int) string {
	if len(skipped) == 0 {
		return "the set is empty"
	}
	var parts []string
	for cause, n := range skipped {
		parts = append(parts, fmt.Sprintf("%d %s", n, cause))
	}
	slices.Sort(parts)
	return strings.Join(parts, ", ")
}
