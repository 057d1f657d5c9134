package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"sluice/plugins/lookup"
)

// lookupSpec is the lookup of a filter; nil: its entry has none.
func (l *loaded) lookupSpec(filter int) *lookup.Spec {
	path := fmt.Sprintf("filters[%d].lookup", filter)
	if _, written := l.Places[path]; !written {
		return nil
	}
	c := &l.Filters[filter].Lookup
	spec := &lookup.Spec{
		Hooks: c.On, TTL: c.TTL, MissTTL: c.MissTTL, Timeout: c.Timeout, MaxBytes: int(c.MaxBytes), Concurrency: c.Concurrency,
		Format: c.Format, OnMiss: c.OnMiss, OnFailure: c.OnFailure,
	}
	if _, written := l.Places[path+".http"]; written {
		h := &c.HTTP
		headers, _ := lookupHeaders(h.Headers) // validated before
		spec.HTTP = &lookup.HTTP{URL: string(h.URL), Method: h.Method, Headers: headers, Key: h.Key, Breaker: h.Breaker, RetryAfter: h.RetryAfter}
		if h.Breaker == 0 {
			spec.HTTP.Breaker = -1
		}
	}
	if _, written := l.Places[path+".redis"]; written {
		spec.Redis = &lookup.Redis{Key: c.Redis.Key}
	}
	return spec
}

// lookupHeaders are the headers of a lookup. The error does not quote values.
func lookupHeaders(object json.RawMessage) (map[string]string, error) {
	if len(object) == 0 {
		return nil, nil
	}
	var values map[string]json.RawMessage
	if err := json.Unmarshal(object, &values); err != nil {
		return nil, errors.New("they cannot be read")
	}
	headers := make(map[string]string, len(values))
	for name, raw := range values {
		var text string
		if err := json.Unmarshal(raw, &text); err != nil || raw[0] != '"' {
			return nil, fmt.Errorf("the value of %.40q is not text; put it into quotes", name)
		}
		headers[name] = text
	}
	return headers, nil
}

// templateError says of a name that is neither a field nor a variable that it
// could have been either.
func templateError(err error) error {
	text := err.Error()
	if !strings.Contains(text, "environment variable") {
		return err
	}
	return fmt.Errorf("%s; nor is it a field of the event: these are user, room, target, hook, kind, remote, conn, claims.NAME, header.NAME, query.NAME and cookie.NAME",
		strings.TrimSuffix(text, "; write $${ for a literal ${"))
}

// lookup checks a filter's lookup. It asks nothing.
func (v *validator) lookup(filter int) {
	spec := v.l.lookupSpec(filter)
	if spec == nil {
		return
	}
	path := fmt.Sprintf("filters[%d].lookup", filter)
	c := &v.l.Filters[filter].Lookup
	for _, zero := range []struct {
		key string
		is  bool
	}{{"timeout", c.Timeout == 0}, {"max_bytes", c.MaxBytes == 0}, {"concurrency", c.Concurrency == 0}, {"http.retry_after", c.HTTP.RetryAfter == 0}} {
		if zero.is { // to lookup.Spec it is the default, and nobody means that by 0
			v.fail(path+"."+zero.key, "must be more than 0")
		}
	}
	if _, err := lookupHeaders(c.HTTP.Headers); err != nil {
		v.fail(path+".http.headers", "%v", err)
	}
	var wrong *lookup.FieldError
	if err := spec.Check(); errors.As(err, &wrong) {
		if wrong.Key != "" {
			path += "." + wrong.Key
		}
		v.fail(path, "%s", wrong.Text())
	} else if spec.Redis != nil && v.l.Lookups.Redis.Address == "" {
		v.fail(path+".redis", "the node has no Redis for lookups; set lookups.redis.address")
	}
}

// lookups checks what lookups share.
func (v *validator) lookups() {
	c := &v.l.Lookups.Redis
	if c.Address != "" {
		if err := checkAddress(c.Address); err != nil || strings.HasPrefix(c.Address, ":") {
			v.fail("lookups.redis.address", "%q is not an address; write host:port, as in 127.0.0.1:6379", c.Address)
		}
	}
	if len(c.Prefix) < 2 || !strings.HasSuffix(c.Prefix, ":") || len(c.Prefix) > 255 || strings.ContainsFunc(c.Prefix, func(r rune) bool { return r <= ' ' || r == 0x7f }) {
		v.fail("lookups.redis.prefix", "%q is not a prefix; write some text without spaces that ends in a colon, as in sluice:lookup:", c.Prefix)
	}
	if c.Database > 1<<16 {
		v.fail("lookups.redis.database", "%d is not a database", c.Database)
	}
	if c.Username != "" && c.Password == "" {
		v.fail("lookups.redis.username", "needs lookups.redis.password")
	}
}
