package plugintest

import (
	"encoding/json"
	"errors"
	"math"
	"time"

	"go.yaml.in/yaml/v3"

	"sluice/plugins"
	"sluice/plugins/keys"
	"sluice/plugins/lookup"
)

// FilterSpec reads the keys of a filter's entry, as they stand in a node's
// configuration and below filter: of fixtures and of plugin.yaml. name may be
// left out, and plugin must be. Whether the values make sense is the host's to
// say. The error is of type Errors, without a file.
func FilterSpec(n *yaml.Node) (plugins.Spec, error) {
	var d decoder
	s := d.spec(n)
	if err := d.err(); err != nil {
		return plugins.Spec{}, err
	}
	return s, nil
}

func (d *decoder) spec(n *yaml.Node) plugins.Spec {
	var s plugins.Spec
	d.mapping(n, "filter",
		value("name", func(n *yaml.Node) { s.Name = d.text(n, "name") }),
		field{"plugin", func(key, _ *yaml.Node) {
			d.fail(key, "filter: plugin does not belong here: it stands at the top of the file, beside filter")
		}},
		value("rooms", func(n *yaml.Node) { s.Rooms = d.texts(n, "rooms") }),
		value("config", func(n *yaml.Node) { s.Config = json.RawMessage(d.json(n, "config")) }),
		value("headers", func(n *yaml.Node) { s.Headers = d.texts(n, "headers") }),
		value("query", func(n *yaml.Node) { s.Query = d.texts(n, "query") }),
		value("cookies", func(n *yaml.Node) { s.Cookies = d.texts(n, "cookies") }),
		value("capabilities", func(n *yaml.Node) { s.Capabilities = d.texts(n, "capabilities") }),
		value("keys", func(n *yaml.Node) {
			d.list(n, "keys", func(_ int, n *yaml.Node) { s.Keys = append(s.Keys, d.key(n)) })
		}),
		value("lookup", func(n *yaml.Node) { s.Lookup = d.lookup(n) }),
		value("may", func(n *yaml.Node) {
			d.mapping(n, "may",
				value("allow", func(n *yaml.Node) { s.May.Allow = d.boolean(n, "may.allow") }),
				value("reroute", func(n *yaml.Node) { s.May.Reroute = d.texts(n, "may.reroute") }))
		}),
		value("limits", func(n *yaml.Node) { d.limits(n, &s) }),
		value("on_failure", func(n *yaml.Node) {
			s.OnFailure = d.word(n, "on_failure", plugins.FailDeny, plugins.FailContinue)
		}))
	return s
}

func (d *decoder) limits(n *yaml.Node, s *plugins.Spec) {
	d.mapping(n, "limits",
		value("memory", func(n *yaml.Node) { s.Memory = d.size(n, "limits.memory") }),
		value("time", func(n *yaml.Node) { s.Time = d.duration(n, "limits.time") }),
		value("state", func(n *yaml.Node) { s.StateBytes = int(min(d.size(n, "limits.state"), math.MaxInt32)) }),
		value("counters", func(n *yaml.Node) { s.Quota.Counters = int(d.integer(n, "limits.counters", 0, math.MaxInt32)) }),
		value("values", func(n *yaml.Node) { s.Quota.Values = d.size(n, "limits.values") }),
		value("series", func(n *yaml.Node) { s.Quota.Series = int(d.integer(n, "limits.series", 0, math.MaxInt32)) }))
}

// key reads one entry of keys. A JWK, or a set of them, may be written as YAML.
func (d *decoder) key(n *yaml.Node) keys.Spec {
	var s keys.Spec
	secret := func(name string, to *keys.Secret) field {
		return value(name, func(n *yaml.Node) {
			if m := d.enter(n); m != nil && m.Kind == yaml.MappingNode && (name == "jwk" || name == "jwks") {
				*to = keys.NewSecret(string(d.json(m, "keys."+name)))
				return
			}
			*to = keys.NewSecret(d.text(n, "keys."+name))
		})
	}
	d.mapping(n, "keys",
		value("alg", func(n *yaml.Node) { s.Alg = d.text(n, "keys.alg") }),
		value("algs", func(n *yaml.Node) { s.Algs = d.texts(n, "keys.algs") }),
		value("kid", func(n *yaml.Node) { s.Kid = d.text(n, "keys.kid") }),
		secret("secret", &s.Secret), secret("secret_base64", &s.SecretBase64), secret("pem", &s.PEM),
		secret("jwk", &s.JWK), secret("jwks", &s.JWKS),
		value("when_down", func(n *yaml.Node) { s.WhenDown = d.word(n, "keys.when_down", keys.Refuse, keys.Wait) }),
		value("refresh", func(n *yaml.Node) { s.Refresh = d.duration(n, "keys.refresh") }))
	return s
}

func (d *decoder) lookup(n *yaml.Node) *lookup.Spec {
	s := &lookup.Spec{}
	count := func(what string, to *int) field {
		return value(what, func(n *yaml.Node) { *to = int(d.integer(n, "lookup."+what, 0, math.MaxInt32)) })
	}
	times := func(what string, to *time.Duration) field {
		return value(what, func(n *yaml.Node) { *to = d.duration(n, "lookup."+what) })
	}
	d.mapping(n, "lookup",
		value("http", func(n *yaml.Node) { s.HTTP = d.lookupHTTP(n) }),
		value("redis", func(n *yaml.Node) {
			s.Redis = &lookup.Redis{}
			d.mapping(n, "lookup.redis", value("key", func(n *yaml.Node) { s.Redis.Key = d.text(n, "lookup.redis.key") }))
		}),
		value("on", func(n *yaml.Node) {
			d.list(n, "lookup.on", func(_ int, n *yaml.Node) {
				s.Hooks = append(s.Hooks, d.word(n, "lookup.on", "connect", "join", "message"))
			})
		}),
		times("ttl", &s.TTL), times("miss_ttl", &s.MissTTL), times("timeout", &s.Timeout),
		value("max_bytes", func(n *yaml.Node) { s.MaxBytes = int(min(d.size(n, "lookup.max_bytes"), math.MaxInt32)) }),
		count("concurrency", &s.Concurrency),
		value("format", func(n *yaml.Node) { s.Format = d.word(n, "lookup.format", "json", "bytes") }),
		value("on_miss", func(n *yaml.Node) { s.OnMiss = d.word(n, "lookup.on_miss", lookup.Pass, lookup.Deny, lookup.Skip) }),
		value("on_failure", func(n *yaml.Node) {
			s.OnFailure = d.word(n, "lookup.on_failure", lookup.Deny, lookup.Pass, lookup.Skip)
		}))
	return s
}

func (d *decoder) lookupHTTP(n *yaml.Node) *lookup.HTTP {
	h := &lookup.HTTP{}
	d.mapping(n, "lookup.http",
		value("url", func(n *yaml.Node) { h.URL = d.text(n, "lookup.http.url") }),
		value("method", func(n *yaml.Node) { h.Method = d.word(n, "lookup.http.method", "GET", "POST") }),
		value("headers", func(n *yaml.Node) {
			if n = d.enter(n); n == nil || isNull(n) {
				return
			}
			if n.Kind != yaml.MappingNode {
				d.fail(n, "lookup.http.headers: expected keys, found %s", found(n))
				return
			}
			h.Headers = make(map[string]string)
			d.pairs(n, "lookup.http.headers", func(key, v *yaml.Node) { h.Headers[key.Value] = d.text(v, "lookup.http.headers."+key.Value) })
		}),
		value("key", func(n *yaml.Node) { h.Key = d.text(n, "lookup.http.key") }),
		value("breaker", func(n *yaml.Node) { h.Breaker = int(d.integer(n, "lookup.http.breaker", -1, math.MaxInt32)) }),
		value("retry_after", func(n *yaml.Node) { h.RetryAfter = d.duration(n, "lookup.http.retry_after") }))
	return h
}

// overlay puts the keys of each mapping over those of the ones before, key by
// key at the top level. nil and nothing are empty mappings.
func overlay(layers ...*yaml.Node) (*yaml.Node, error) {
	out := &yaml.Node{Kind: yaml.MappingNode, Tag: "!!map"}
	for _, layer := range layers {
		if layer == nil {
			continue
		}
		if layer.Kind == yaml.AliasNode {
			layer = layer.Alias
		}
		if isNull(layer) {
			continue
		}
		if layer.Kind != yaml.MappingNode {
			return nil, errors.New("expected keys, found " + found(layer))
		}
		if out.Line == 0 {
			out.Line = layer.Line
		}
		for i := 0; i+1 < len(layer.Content); i += 2 {
			put(out, layer.Content[i], layer.Content[i+1])
		}
	}
	return out, nil
}

// put sets a key of a mapping.
func put(m, key, v *yaml.Node) {
	for i := 0; i+1 < len(m.Content); i += 2 {
		if m.Content[i].Value == key.Value {
			m.Content[i], m.Content[i+1] = key, v
			return
		}
	}
	m.Content = append(m.Content, key, v)
}
