package plugins

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"sluice/plugins/keys"
	"sluice/plugins/lookup"
	"sluice/plugins/source"
	"sluice/router"
	"sluice/router/wire"
)

// Defaults and bounds of a filter's settings.
const (
	DefaultMemory = 32 << 20 // bytes
	MaxMemory     = 1 << 30  // bytes
	DefaultTime   = 5 * time.Millisecond
	MaxTime       = time.Second
	DefaultState  = 1 << 10 // bytes
	MaxState      = 4 << 10 // bytes
	MaxConfig     = 1 << 20 // bytes
	MaxModule     = 16 << 20

	// MaxPayload is the longest content of an event that a filter can be asked
	// about, in bytes: what a buffer of 4 MiB has room for beside the other
	// inputs. Longer ones fail as CauseTooBig.
	MaxPayload = bufferMax - maxOthers

	// StartTime bounds everything that a new instance runs before its first
	// event: the start function, _initialize, sluice_state_version and
	// on_configure together.
	StartTime = time.Second

	pageSize = 64 << 10
)

// The settings of Spec.OnFailure.
const (
	FailDeny     = "deny"
	FailContinue = "continue"
)

// Spec is one filter as the configuration has it. Zero values are the defaults.
type Spec struct {
	// Name names the filter in logs, metrics and answers to clients. It is
	// required and unique in a chain.
	Name string

	// Plugin is a .wasm file, absolute or relative to Dir, an https:// URL, an
	// artifact oci://registry/repository with :tag or @sha256:digest, or
	// builtin:<name>.
	Plugin string

	// SHA256 is what the module's digest has to be, in hex. "": anything.
	SHA256 string

	// Trust is what is demanded of the module, unless it is bundled; nil: nothing.
	Trust *source.Trust

	// Dir is the base of a relative Plugin; "" is the working directory.
	Dir string

	// Rooms restricts join, leave and room messages to rooms that one of the
	// patterns matches. Events that have no room (direct messages, broadcasts)
	// then pass by the filter; connect and disconnect never do. Empty: no
	// restriction.
	Rooms []string

	// Config is handed to the filter's on_configure, as JSON; at most 1 MiB.
	// Empty: {}.
	Config json.RawMessage

	// PrivateConfig says that there are secrets in Config: no record holds it.
	PrivateConfig bool

	// Headers, Query and Cookies name what on_connect sees of the upgrade
	// request. Header names match in any case. nil: nothing, or, of a bundled
	// filter, what that usually looks at.
	Headers, Query, Cookies []string

	// Capabilities are the host functions that the filter may import: log, now,
	// random, verify, metric_add, counter_add, bucket_take, kv_get, kv_set. nil:
	// none, or, of a bundled filter, those that it uses.
	Capabilities []string

	// Keys are what verify verifies with; they grant it. The filter never sees
	// them, and printing a Spec shows none.
	Keys []keys.Spec

	// Lookup is fetched by the host before the filter is asked, and handed over
	// with the event; nil: nothing is.
	Lookup *lookup.Spec

	// May grants what a filter cannot do by default.
	May May

	// Memory is the most that one instance may hold, in bytes, rounded down to
	// pages of 64 KiB; 0: 32 MiB, at most 1 GiB.
	Memory int64

	// Time is the wall-clock time that one call may take; 0: 5 ms, at most 1 s.
	Time time.Duration

	// StateBytes is the most that the filter may keep about one connection;
	// 0: 1 KiB, at most 4 KiB.
	StateBytes int

	// Quota bounds what the filter may keep on the node by its capabilities.
	Quota Quota

	// Candidate is another version that is tried out beside this one; nil: none is.
	Candidate *Candidate

	// OnFailure says what happens to an event that the filter failed on: deny
	// (the default), or continue with the next filter. A filter with on_connect
	// must deny.
	OnFailure string
}

// Quota bounds what a filter keeps on the node, over all its instances.
type Quota struct {
	Counters int   // counters and buckets; 0: 100,000, at most 10 million
	Values   int64 // bytes of keys and values of kv_set, and 64 for each; 0: 8 MiB, at most 1 GiB
	Series   int   // names of metric_add; 0: 32, at most 1000
}

// May grants a filter verdicts that affect other filters or rooms.
type May struct {
	// Allow lets the verdict allow skip the rest of the chain; else it acts as
	// continue.
	Allow bool

	// Reroute are the patterns of rooms that the filter may send a message to
	// instead; none: it may not reroute.
	Reroute []string
}

// settings is a checked Spec with its defaults filled in.
type settings struct {
	Spec
	rooms, reroute []router.Pattern
	caps           capability
	pages          uint32
	failOpen       bool
	plan           *lookup.Plan // of Lookup; nil: there is none
	looksUp        hookSet      // the hooks that the lookup is made for
}

// check fills in the defaults and refuses what makes no sense. The result's
// slices are the checker's own.
func (s Spec) check() (settings, error) {
	out := settings{Spec: s}
	if err := s.checkName(); err != nil {
		return out, err
	}
	if err := out.checkLimits(); err != nil {
		return out, err
	}
	if err := out.checkConfig(); err != nil {
		return out, err
	}
	var err error
	if out.rooms, err = parsePatterns("rooms", s.Rooms); err != nil {
		return out, err
	}
	if out.reroute, err = parsePatterns("may.reroute", s.May.Reroute); err != nil {
		return out, err
	}
	if out.caps, err = parseCapabilities(s.Capabilities); err != nil {
		return out, err
	}
	if len(s.Keys) > 0 {
		out.caps |= capVerify
	}
	if s.Headers != nil {
		out.Headers = make([]string, len(s.Headers))
	}
	for i, h := range s.Headers {
		out.Headers[i] = strings.ToLower(h)
	}
	for _, list := range []struct {
		key   string
		names []string
	}{{"headers", s.Headers}, {"query", s.Query}, {"cookies", s.Cookies}} {
		if slices.ContainsFunc(list.names, func(n string) bool { return n == "" || !utf8.ValidString(n) }) {
			return out, fmt.Errorf("%s: a name must not be empty, and must be UTF-8", list.key)
		}
	}
	switch s.OnFailure {
	case "":
		out.OnFailure = FailDeny
	case FailDeny:
	case FailContinue:
		out.failOpen = true
	default:
		return out, fmt.Errorf("on_failure: %q is neither deny nor continue", s.OnFailure)
	}
	return out, nil
}

func (s Spec) checkName() error {
	if s.Name == "" {
		return errors.New("name: every filter needs one")
	}
	if why := wire.CheckName([]byte(s.Name)); why != "" {
		return fmt.Errorf("name: %s", why)
	}
	if s.Plugin == "" {
		return errors.New("plugin: name a .wasm file or builtin:<name>")
	}
	return nil
}

func (s *settings) checkLimits() error {
	if s.Memory == 0 {
		s.Memory = DefaultMemory
	}
	if s.Memory < pageSize || s.Memory > MaxMemory {
		return fmt.Errorf("limits.memory: %d bytes is not between 64 KiB and 1 GiB", s.Memory)
	}
	s.pages = uint32(s.Memory / pageSize)
	if s.Time == 0 {
		s.Time = DefaultTime
	}
	if s.Time < 100*time.Microsecond || s.Time > MaxTime {
		return fmt.Errorf("limits.time: %s is not between 100µs and 1s", s.Time)
	}
	if s.StateBytes == 0 {
		s.StateBytes = DefaultState
	}
	if s.StateBytes < 0 || s.StateBytes > MaxState {
		return fmt.Errorf("limits.state: %d bytes is not between 0 and 4096", s.StateBytes)
	}
	return s.Quota.complete()
}

// complete fills in the defaults.
func (q *Quota) complete() error {
	if q.Counters == 0 {
		q.Counters = DefaultCounters
	}
	if q.Values == 0 {
		q.Values = DefaultValues
	}
	if q.Series == 0 {
		q.Series = DefaultSeries
	}
	switch {
	case q.Counters < 1 || q.Counters > MaxCounters:
		return fmt.Errorf("limits.counters: %d is not between 1 and %d", q.Counters, MaxCounters)
	case q.Values < 1 || q.Values > MaxValues:
		return fmt.Errorf("limits.values: %d bytes is not between 1 and 1 GiB", q.Values)
	case q.Series < 1 || q.Series > MaxSeries:
		return fmt.Errorf("limits.series: %d is not between 1 and %d", q.Series, MaxSeries)
	}
	return nil
}

func (s *settings) checkConfig() error {
	if len(s.Config) == 0 {
		s.Config = json.RawMessage("{}")
	}
	if len(s.Config) > MaxConfig {
		return fmt.Errorf("config: %d bytes are more than 1 MiB", len(s.Config))
	}
	if why := wire.CheckJSON(s.Config); why != "" {
		return fmt.Errorf("config: %s", why)
	}
	return nil
}

func parsePatterns(key string, texts []string) ([]router.Pattern, error) {
	var out []router.Pattern
	for _, text := range texts {
		p, err := router.ParsePattern(text)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", key, err)
		}
		out = append(out, p)
	}
	return out, nil
}

func matchAny(patterns []router.Pattern, room string) bool {
	for _, p := range patterns {
		if p.Match(room) {
			return true
		}
	}
	return false
}
