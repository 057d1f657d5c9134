package lookup

import (
	"bytes"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"sluice/plugins/outbound"
)

// Defaults and bounds of a Spec.
const (
	DefaultTimeout     = 500 * time.Millisecond
	MaxTimeout         = 10 * time.Second
	DefaultBytes       = 16 << 10
	MaxBytes           = 256 << 10
	DefaultConcurrency = 64
	MaxConcurrency     = 1024
	MaxTTL             = 24 * time.Hour
	DefaultBreaker     = 5
	DefaultRetryAfter  = 5 * time.Second
	MaxRetryAfter      = 10 * time.Minute

	maxHeaders     = 64
	maxHeaderBytes = 8 << 10 // of one value
)

// Formats of an answer.
const (
	formatJSON  = "json"
	formatBytes = "bytes"
)

// FieldError is what is wrong with a Spec.
type FieldError struct {
	Key    string // as the configuration has it below lookup: http.url; "" is the whole
	Cause  string
	Remedy string
}

func (e *FieldError) Error() string {
	key := "lookup"
	if e.Key != "" {
		key += "." + e.Key
	}
	return key + ": " + e.Text()
}

// Text is the error without its key.
func (e *FieldError) Text() string {
	if e.Remedy == "" {
		return e.Cause
	}
	return e.Cause + "; " + e.Remedy
}

func wrong(key, remedy, format string, args ...any) error {
	return &FieldError{key, fmt.Sprintf(format, args...), remedy}
}

// For is what is known of the filter that a lookup is for.
type For struct {
	Hooks                   []string // that it has: connect, join, message, …
	Headers, Query, Cookies []string // that its configuration names; headers in lower case
}

// Plan is a checked Spec with its defaults filled in. It never changes.
type Plan struct {
	spec  Spec
	hooks []string
	url   *urlTemplate // of HTTP
	key   template     // of Redis, or what answers to a POST are kept by; nil: they are not
}

// Hooks are the hooks that the lookup is made for.
func (p *Plan) Hooks() []string { return p.hooks }

// Spec is the checked Spec.
func (p *Plan) Spec() Spec { return p.spec }

// UsesRedis reports whether a RedisClient is needed.
func (p *Plan) UsesRedis() bool { return p.spec.Redis != nil }

// Same reports whether both plans ask the same, so that a reload can keep the
// lookup that runs and what it has learnt.
func (p *Plan) Same(o *Plan) bool {
	a, b := p.spec, o.spec
	if (a.HTTP == nil) != (b.HTTP == nil) || (a.Redis == nil) != (b.Redis == nil) || !slices.Equal(p.hooks, o.hooks) {
		return false
	}
	if a.HTTP != nil && (!maps.Equal(a.HTTP.Headers, b.HTTP.Headers) || a.HTTP.URL != b.HTTP.URL || a.HTTP.Method != b.HTTP.Method ||
		a.HTTP.Key != b.HTTP.Key || a.HTTP.Breaker != b.HTTP.Breaker || a.HTTP.RetryAfter != b.HTTP.RetryAfter) {
		return false
	}
	if a.Redis != nil && *a.Redis != *b.Redis {
		return false
	}
	return a.TTL == b.TTL && a.MissTTL == b.MissTTL && a.Timeout == b.Timeout && a.MaxBytes == b.MaxBytes &&
		a.Concurrency == b.Concurrency && a.Format == b.Format
}

// Check refuses what is wrong with a Spec whatever its filter is. The error is
// a *FieldError.
func (s Spec) Check() error {
	_, err := s.plan()
	return err
}

// Plan checks a Spec for its filter. The error is a *FieldError.
func (s Spec) Plan(f For) (*Plan, error) {
	p, err := s.plan()
	if err != nil {
		return nil, err
	}
	if err := p.chooseHooks(f.Hooks); err != nil {
		return nil, err
	}
	if p.url != nil {
		if err := p.checkFields("http.url", p.url.template, &f); err != nil {
			return nil, err
		}
		return p, p.checkFields("http.key", p.key, &f)
	}
	return p, p.checkFields("redis.key", p.key, &f)
}

func (s Spec) plan() (*Plan, error) {
	p := &Plan{spec: s}
	if (s.HTTP == nil) == (s.Redis == nil) {
		return nil, wrong("", "write one of them", "it has to have either http or redis")
	}
	if err := p.checkBounds(); err != nil {
		return nil, err
	}
	for _, h := range s.Hooks {
		if h != hookConnect && h != hookJoin && h != hookMessage {
			return nil, wrong("on", "it can be connect, join and message", "%.20q is no hook that a lookup is made for", h)
		}
	}
	if err := p.checkOutcomes(); err != nil {
		return nil, err
	}
	if s.HTTP != nil {
		return p, p.readHTTP()
	}
	return p, p.readRedis()
}

func (p *Plan) checkBounds() error {
	s := &p.spec
	if s.Timeout == 0 {
		s.Timeout = DefaultTimeout
	}
	if s.MaxBytes == 0 {
		s.MaxBytes = DefaultBytes
	}
	if s.Concurrency == 0 {
		s.Concurrency = DefaultConcurrency
	}
	if s.MissTTL == 0 {
		s.MissTTL = s.TTL
	}
	switch {
	case s.Timeout < time.Millisecond || s.Timeout > MaxTimeout:
		return wrong("timeout", "", "%s is not between 1ms and %s", s.Timeout, MaxTimeout)
	case s.TTL < 0 || s.TTL > MaxTTL:
		return wrong("ttl", "", "%s is not between 0 and 24h", s.TTL)
	case s.MissTTL < 0 || s.MissTTL > MaxTTL:
		return wrong("miss_ttl", "", "%s is not between 0 and 24h", s.MissTTL)
	case s.MaxBytes < 1 || s.MaxBytes > MaxBytes:
		return wrong("max_bytes", "", "%d bytes are not between 1 and 256KiB", s.MaxBytes)
	case s.Concurrency < 1 || s.Concurrency > MaxConcurrency:
		return wrong("concurrency", "", "%d is not between 1 and %d", s.Concurrency, MaxConcurrency)
	}
	return nil
}

func (p *Plan) checkOutcomes() error {
	s := &p.spec
	if s.OnMiss == "" {
		s.OnMiss = Pass
	}
	if s.OnFailure == "" {
		s.OnFailure = Deny
	}
	for _, o := range []struct{ key, word string }{{"on_miss", s.OnMiss}, {"on_failure", s.OnFailure}} {
		if o.word != Pass && o.word != Deny && o.word != Skip {
			return wrong(o.key, "it can be pass, deny and skip", "%.20q is no outcome", o.word)
		}
	}
	switch s.Format {
	case "":
		s.Format = formatJSON
		if s.Redis != nil {
			s.Format = formatBytes
		}
	case formatJSON, formatBytes:
	default:
		return wrong("format", "it can be json and bytes", "%.20q is no format", s.Format)
	}
	return nil
}

// chooseHooks takes the hooks of the Spec, or all that the filter has.
func (p *Plan) chooseHooks(has []string) error {
	for _, h := range []string{hookConnect, hookJoin, hookMessage} {
		named := slices.Contains(p.spec.Hooks, h)
		if slices.Contains(has, h) && (named || len(p.spec.Hooks) == 0) {
			p.hooks = append(p.hooks, h)
		} else if named {
			return wrong("on", "take "+h+" out", "the filter has no on_%s (it has %s)", h, strings.Join(has, ", "))
		}
	}
	if len(p.hooks) == 0 {
		return wrong("", "remove it", "the filter has neither on_connect, on_join nor on_message, so there is no event to look anything up for")
	}
	return nil
}

// checkFields refuses fields that never have a value.
func (p *Plan) checkFields(key string, t template, f *For) error {
	for _, field := range t.fields() {
		for _, hook := range p.hooks {
			if field.hooks != nil && !slices.Contains(field.hooks, hook) {
				return wrong(key, "name the other hooks in lookup.on, or leave the field out", "%s never has a value on %s", field, hook)
			}
		}
		for _, list := range []struct {
			kind  fieldKind
			key   string
			names []string
		}{{fieldHeader, "headers", f.Headers}, {fieldQuery, "query", f.Query}, {fieldCookie, "cookies", f.Cookies}} {
			if field.kind == list.kind && !slices.Contains(list.names, field.name) {
				return wrong(key, fmt.Sprintf("add %s: [%s] to the filter", list.key, strings.Join(append(slices.Clone(list.names), field.name), ", ")),
					"%s is not among what the filter sees of a request", field)
			}
		}
	}
	return nil
}

func (p *Plan) readHTTP() error {
	h := *p.spec.HTTP
	h.Headers = maps.Clone(h.Headers)
	p.spec.HTTP = &h
	if h.Method == "" {
		h.Method = http.MethodGet
	}
	if h.Breaker == 0 {
		h.Breaker = DefaultBreaker
	}
	if h.RetryAfter == 0 {
		h.RetryAfter = DefaultRetryAfter
	}
	switch {
	case h.Method != http.MethodGet && h.Method != http.MethodPost:
		return wrong("http.method", "it can be GET and POST", "%.20q is no method of a lookup", h.Method)
	case h.Method == http.MethodGet && h.Key != "":
		return wrong("http.key", "leave it out, or set method: POST", "answers to a GET are kept by its URL")
	case h.Method == http.MethodPost && h.Key == "" && p.spec.TTL > 0:
		return wrong("ttl", "add http.key, as in \"${user}\", or set ttl: 0s", "answers to a POST are kept by a key, and there is none")
	case h.RetryAfter < time.Millisecond || h.RetryAfter > MaxRetryAfter:
		return wrong("http.retry_after", "", "%s is not between 1ms and %s", h.RetryAfter, MaxRetryAfter)
	}
	if err := checkHeaders(h.Headers); err != nil {
		return err
	}
	if err := p.readURL(h.URL); err != nil {
		return err
	}
	if h.Key == "" {
		return nil
	}
	key, err := parseTemplate(h.Key)
	if err != nil {
		return wrong("http.key", "", "%v", err)
	}
	p.key = key
	return nil
}

// readURL parses the template of a URL. Errors do not quote it: it may hold a
// secret.
func (p *Plan) readURL(text string) error {
	fixed, rest := splitAuthority(text)
	switch {
	case text == "":
		return wrong("http.url", "write it out, as in https://policy.example.org/check?user=${user}", "it is missing")
	case !strings.Contains(text, "://"):
		return wrong("http.url", "write it out, as in https://policy.example.org/check?user=${user}", "it does not begin with https://")
	case len(text) > maxURL/2:
		return wrong("http.url", "", "it is longer than %d bytes", maxURL/2)
	case strings.Contains(fixed, "${"):
		return wrong("http.url", "write them out", "scheme, host and port cannot have fields of the event")
	}
	t, err := parseTemplate(text)
	if err != nil {
		return wrong("http.url", "", "%v", err)
	}
	var literal bytes.Buffer
	for _, part := range t {
		for i := range len(part.literal) {
			if c := part.literal[i]; c <= ' ' || c >= 0x7f || strings.IndexByte("\"<>\\^`{|}", c) >= 0 {
				return wrong("http.url", "percent-encode it", "it has a character that a URL does not have")
			}
		}
		literal.WriteString(part.literal)
		if part.field != nil {
			literal.WriteByte('x')
		}
	}
	u, err := url.Parse(literal.String())
	if err != nil {
		return wrong("http.url", "write it as in https://policy.example.org/check?user=${user}", "it cannot be read")
	}
	if err := outbound.CheckURL(u); err != nil {
		return wrong("http.url", "", "%v", err)
	}
	if strings.ContainsRune(rest, '#') {
		return wrong("http.url", "leave it out, or write %23", "it has a fragment, which no server sees")
	}
	if _, after := splitAuthority(literal.String()); !dotless(after) {
		return wrong("http.url", "write the path that it leads to", "its path has a segment . or .., or cannot be decoded")
	}
	p.url = &urlTemplate{template: t, fixed: fixed, target: u.Scheme + "://" + u.Host, http: u.Scheme == "http"}
	return nil
}

func (p *Plan) readRedis() error {
	r := *p.spec.Redis
	p.spec.Redis = &r
	if r.Key == "" {
		return wrong("redis.key", "write it out, as in \"banned:${user}\"", "it is missing")
	}
	if len(r.Key) > maxKey/2 || !validText(r.Key) || strings.ContainsFunc(r.Key, isControl) {
		return wrong("redis.key", "", "it is longer than %d bytes, or not text", maxKey/2)
	}
	t, err := parseTemplate(r.Key)
	if err != nil {
		return wrong("redis.key", "", "%v", err)
	}
	p.key = t
	return nil
}

// ownHeaders are those that belong to the connection, or to the client.
var ownHeaders = []string{
	"Host", "Content-Length", "Content-Type", "Transfer-Encoding", "Connection", "Keep-Alive", "Upgrade", "Te", "Trailer", "Expect",
	"Accept-Encoding", "Proxy-Connection", "Proxy-Authorization", "X-Idempotency-Key",
}

// checkHeaders refuses headers that cannot be sent. Errors do not quote values.
func checkHeaders(headers map[string]string) error {
	if len(headers) > maxHeaders {
		return wrong("http.headers", "", "%d headers are more than %d", len(headers), maxHeaders)
	}
	seen := make(map[string]bool)
	for _, name := range slices.Sorted(maps.Keys(headers)) {
		value, canonical := headers[name], http.CanonicalHeaderKey(name)
		switch {
		case name == "" || strings.ContainsFunc(name, func(r rune) bool {
			return r <= ' ' || r >= 0x7f || strings.ContainsRune(`"(),/:;<=>?@[\]{}`, r)
		}):
			return wrong("http.headers", "", "%.40q is no name of a header", name)
		case slices.Contains(ownHeaders, canonical):
			return wrong("http.headers", "leave it out", "%s is set by the node", name)
		case seen[canonical]:
			return wrong("http.headers", "write it once", "%s stands twice", name)
		case len(value) > maxHeaderBytes || strings.ContainsFunc(value, func(r rune) bool { return isControl(r) && r != '\t' }):
			return wrong("http.headers", "", "the value of %s is longer than %d bytes, or has control characters", name, maxHeaderBytes)
		case strings.Contains(value, "${"):
			return wrong("http.headers", "put it into http.url, or use method: POST", "%s: headers have no fields of the event", name)
		}
		seen[canonical] = true
	}
	return nil
}
