package main

import (
	"fmt"
	"net"
	"net/netip"
	"regexp"
	"strconv"
	"strings"
	"time"

	"sluice/plugins"
	"sluice/router"
)

// Bounds of values. They keep a mistyped zero from taking the machine's memory.
const (
	maxFrame        = 16 << 20
	maxQueue        = 1 << 30
	minFilterMemory = 64 << 10 // one page of WebAssembly
	minFilterTime   = 100 * time.Microsecond
	maxFilters      = 64
	maxRoomRules    = 1000

	maxCompressionLevel = 9
	maxCompressionMin   = 1 << 20
)

// validator collects what is wrong with values that have the right types.
type validator struct {
	l    *loaded
	errs configErrors
}

// validate checks what can be said without opening a listener or a filter.
func validate(l *loaded) error {
	v := &validator{l: l}
	v.listeners()
	v.peers()
	v.broker()
	v.limits()
	v.compression()
	v.reload()
	v.rollbackOn()
	v.capture()
	v.grants()
	v.rooms()
	v.lookups()
	v.trust()
	v.filters()
	return v.errs.orNil()
}

// fail reports a key, where its value was written, or where the next outer
// key was.
func (v *validator) fail(path, format string, args ...any) {
	v.errs.add(v.l.placeOf(path), path, format, args...)
}

// placeOf is where a key's value was written; for a default, where its section
// was, and otherwise nowhere.
func (l *loaded) placeOf(path string) place {
	for {
		if p, ok := l.Places[path]; ok {
			return p
		}
		cut := strings.LastIndexAny(path, ".[")
		if cut < 0 {
			return place{File: l.File}
		}
		path = path[:cut]
	}
}

func (v *validator) listeners() {
	c := &v.l.Config
	if err := checkAddress(c.Listen); err != nil {
		v.fail("listen", "%v", err)
	}
	if c.adminOff() {
		return
	}
	if err := checkAddress(c.Admin.Listen); err != nil {
		v.fail("admin.listen", "%v; off disables the admin listener", err)
		return
	}
	if c.Admin.Listen == c.Listen && !strings.HasSuffix(c.Listen, ":0") {
		v.fail("admin.listen", "is the same as listen; choose another port")
	}
	if c.Admin.Token == "" && !isLoopback(c.Admin.Listen) {
		v.fail("admin.listen", "%s is not on loopback, so admin.token is required; set it, as with the variable SLUICE_ADMIN_TOKEN, or listen on 127.0.0.1", c.Admin.Listen)
	}
	for _, r := range c.Admin.Token {
		if r <= ' ' || r > '~' {
			v.fail("admin.token", "has a character that a header cannot carry; use letters, digits and signs of ASCII")
			break
		}
	}
}

// adminOff reports that there is no admin listener.
func (c *Config) adminOff() bool { return c.Admin.Listen == "" || c.Admin.Listen == "off" }

// checkAddress checks host:port; the host may be left away.
func checkAddress(address string) error {
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		return fmt.Errorf("%q is not an address; write host:port, as in 127.0.0.1:8080 or :8080", address)
	}
	if n, err := strconv.Atoi(port); err != nil || n < 0 || n > 65535 {
		return fmt.Errorf("%q has no port between 0 and 65535", address)
	}
	if strings.ContainsAny(host, " /@") {
		return fmt.Errorf("%q is not a host", host)
	}
	return nil
}

// isLoopback reports whether only this machine can reach the address.
func isLoopback(address string) bool {
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		return false
	}
	if host == "localhost" {
		return true
	}
	ip, err := netip.ParseAddr(host)
	return err == nil && ip.Unmap().IsLoopback()
}

func (v *validator) peers() {
	for i, origin := range v.l.AllowedOrigins {
		if err := checkOrigin(origin); err != nil {
			v.fail(fmt.Sprintf("allowed_origins[%d]", i), "%v", err)
		}
	}
	if _, err := parseProxies(v.l.TrustedProxies); err != nil {
		v.fail("trusted_proxies", "%v", err)
	}
}

// checkOrigin checks what router.Options wants: host or scheme://host, with *
// for any run of characters.
func checkOrigin(origin string) error {
	host := origin
	if scheme, rest, ok := strings.Cut(origin, "://"); ok {
		host = rest
		if scheme == "" || strings.ContainsAny(scheme, ":/ ") {
			host = ""
		}
	}
	if host == "" || strings.ContainsAny(host, "/?#@ \t,") {
		return fmt.Errorf("%q is not an origin; write scheme and host, as in https://example.org, or \"*\" for any", origin)
	}
	return nil
}

// parseProxies reads CIDRs and single addresses.
func parseProxies(list []string) ([]netip.Prefix, error) {
	prefixes := make([]netip.Prefix, 0, len(list))
	for _, text := range list {
		p, err := netip.ParsePrefix(text)
		if err != nil {
			ip, ipErr := netip.ParseAddr(text)
			if ipErr != nil {
				return nil, fmt.Errorf("%q is not a network; write a CIDR, as in 10.0.0.0/8, or an address", text)
			}
			p = netip.PrefixFrom(ip, ip.BitLen())
		}
		prefixes = append(prefixes, p.Masked())
	}
	return prefixes, nil
}

func (v *validator) reload() {
	if poll := v.l.Reload.Poll; poll > 0 && poll < minPoll {
		v.fail("reload.poll", "%s is less than %s", poll, minPoll)
	}
}

func (v *validator) limits() {
	c := &v.l.Config
	v.between("limits.frame", c.Limits.Frame, 1, maxFrame)
	v.between("limits.queue", c.Limits.Queue, c.Limits.Frame, maxQueue)
	v.atLeastOne("limits.rooms_per_connection", c.Limits.RoomsPerConnection)
	v.atLeastOne("limits.malformed_frames", c.Limits.MalformedFrames)
	v.positive("limits.handshake_timeout", c.Limits.HandshakeTimeout)
	v.positive("limits.write_timeout", c.Limits.WriteTimeout)
	v.positive("heartbeat.ping", c.Heartbeat.Ping)
	v.positive("heartbeat.pong", c.Heartbeat.Pong)
	if c.Heartbeat.Pong > c.Heartbeat.Ping && c.Heartbeat.Ping > 0 {
		v.fail("heartbeat.pong", "%s is longer than heartbeat.ping, %s; the next ping does not come before the wait for the last one is over", c.Heartbeat.Pong, c.Heartbeat.Ping)
	}
}

func (v *validator) compression() {
	c := &v.l.Compression
	if c.Level < 0 || c.Level > maxCompressionLevel {
		v.fail("compression.level", "%d is out of range; it must be between 1, the fastest, and %d, the smallest, or 0 for none", c.Level, maxCompressionLevel)
	}
	v.between("compression.min_size", c.MinSize, 1, maxCompressionMin)
}

func (v *validator) between(path string, s, low, high Size) {
	if s < low || s > high {
		v.fail(path, "%s is out of range; it must be between %s and %s", s, low, high)
	}
}

func (v *validator) betweenNumbers(path string, n, low, high int) {
	if n < low || n > high {
		v.fail(path, "%d is out of range; it must be between %d and %d", n, low, high)
	}
}

func (v *validator) atLeastOne(path string, n int) {
	if n < 1 {
		v.fail(path, "must be at least 1")
	}
}

func (v *validator) positive(path string, d time.Duration) {
	if d <= 0 {
		v.fail(path, "must be more than 0, as in 5s")
	}
}

func (v *validator) rooms() {
	if len(v.l.Rooms) > maxRoomRules {
		v.fail("rooms", "has %d rules; at most %d", len(v.l.Rooms), maxRoomRules)
	}
	for i, room := range v.l.Rooms {
		v.pattern(fmt.Sprintf("rooms[%d].match", i), room.Match)
		v.history(i)
	}
}

func (v *validator) pattern(path, text string) {
	if _, err := router.ParsePattern(text); err != nil {
		v.fail(path, "%v", err)
	}
}

// filterName keeps names fit for logs and as values of a metric's label.
var filterName = regexp.MustCompile(`^[a-z0-9][a-z0-9_.-]{0,63}$`)

func (v *validator) filters() {
	if len(v.l.Filters) > maxFilters {
		v.fail("filters", "has %d filters; at most %d", len(v.l.Filters), maxFilters)
	}
	first := make(map[string]int)
	for i := range v.l.Filters {
		f := &v.l.Filters[i]
		path := fmt.Sprintf("filters[%d]", i)
		if !filterName.MatchString(f.Name) {
			v.fail(path+".name", "%q is not a name; use at most 64 of a-z, 0-9, '_', '-' and '.'", f.Name)
		} else if other, ok := first[f.Name]; ok {
			v.fail(path+".name", "%s is already the name of filters[%d]; each filter needs its own", f.Name, other)
		} else {
			first[f.Name] = i
		}
		if f.Plugin == "" {
			v.fail(path+".plugin", "is empty; write the path of a .wasm, or builtin:NAME")
		}
		v.plugin(path, f.Plugin, f.SHA256)
		v.keys(i)
		v.lookup(i)
		v.candidate(i)
		v.patterns(path+".rooms", f.Rooms)
		v.patterns(path+".may.reroute", f.May.Reroute)
		v.between(path+".limits.memory", f.Limits.Memory, minFilterMemory, plugins.MaxMemory)
		v.between(path+".limits.state", f.Limits.State, 1, plugins.MaxState)
		v.betweenNumbers(path+".limits.counters", f.Limits.Counters, 1, plugins.MaxCounters)
		v.between(path+".limits.values", f.Limits.Values, 1, plugins.MaxValues)
		v.betweenNumbers(path+".limits.series", f.Limits.Series, 1, plugins.MaxSeries)
		if f.Limits.Time < minFilterTime || f.Limits.Time > plugins.MaxTime {
			v.fail(path+".limits.time", "%s is out of range; it must be between %s and %s", f.Limits.Time, minFilterTime, plugins.MaxTime)
		}
	}
}

func (v *validator) patterns(path string, texts []string) {
	for i, text := range texts {
		v.pattern(fmt.Sprintf("%s[%d]", path, i), text)
	}
}
