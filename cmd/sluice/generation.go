package main

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"sluice/plugins"
	"sluice/router"
)

// buildGeneration loads the configuration's filters and puts all that a
// generation is together. prev is the generation in force, nil at the start:
// filters that did not change keep their instances. Whatever fails, nothing is
// left behind and prev stays as it was.
func buildGeneration(ctx context.Context, l *loaded, host *plugins.Host, prev *router.Generation) (*router.Generation, error) {
	rules, err := l.roomRules()
	if err != nil {
		return nil, err
	}
	grants, err := l.defaultGrants()
	if err != nil {
		return nil, err // validated before
	}
	number := uint64(1)
	var before *plugins.Chain
	if prev != nil {
		number = prev.Number + 1
		before, _ = prev.Filters.(*plugins.Chain)
	}
	chain, err := host.Build(ctx, l.specs(), before)
	if err != nil {
		return nil, l.filterErrors(err)
	}
	fixtures := func(chain *plugins.Chain) error { return l.proveFixtures(ctx, chain, before) }
	for _, check := range []func(*plugins.Chain) error{l.checkOpen, l.checkFrame, fixtures} {
		if err := check(chain); err != nil {
			chain.Retire()
			return nil, err
		}
	}
	chain.KeepSources()
	return &router.Generation{Number: number, Rooms: rules, Limits: l.limits(), Compression: l.compression(), DefaultGrants: grants, Filters: chain}, nil
}

// checkOpen refuses a node that would admit anyone who can reach it, unless
// the configuration says that this is meant.
func (l *loaded) checkOpen(chain *plugins.Chain) error {
	if chain.Handles(router.HookConnect) || l.AllowUnauthenticated || isLoopback(l.Listen) {
		return nil
	}
	var errs configErrors
	errs.add(l.placeOf("listen"), "listen", "%s is not on loopback, and no filter has on_connect: anyone could connect under any name; "+
		"add a filter that authenticates, listen on 127.0.0.1, or set allow_unauthenticated: true", l.Listen)
	return errs
}

// checkFrame refuses a frame limit that lets messages in which no filter can
// read: each of them would be answered as a failure of the filter.
func (l *loaded) checkFrame(chain *plugins.Chain) error {
	err := chain.CheckPayload(int(l.Limits.Frame))
	if err == nil {
		return nil
	}
	var errs configErrors
	errs.add(l.placeOf("limits.frame"), "limits.frame", "%v", err)
	return errs
}

// filterErrors adds to errors of filters where the configuration has them.
func (l *loaded) filterErrors(err error) error {
	var errs configErrors
	for _, one := range unjoin(err) {
		var load *plugins.LoadError
		if !errors.As(one, &load) {
			return err
		}
		at, path := place{File: l.File}, ""
		for i, f := range l.Filters {
			if f.Name == load.Filter {
				path = fmt.Sprintf("filters[%d]", i)
				load = l.withoutSecrets(load, path)
				config := f.Config
				if _, own := l.Places[path+".candidate.config"]; load.Candidate && (own || !strings.HasPrefix(load.Cause, plugins.RefusedBySchema)) {
					path, config = path+".candidate", f.Candidate.Config
				}
				if strings.HasPrefix(load.Cause, plugins.RefusedBySchema) {
					path += "." + plugins.ConfigPath(config, load.Pointer)
				}
				at = l.placeOf(path)
			}
		}
		errs.add(at, path, "%v", load)
	}
	return errs.orNil()
}

// withoutSecrets leaves out a filter's own words about a configuration into
// which secrets were filled: they may quote it.
func (l *loaded) withoutSecrets(load *plugins.LoadError, path string) *plugins.LoadError {
	before, _, refused := strings.Cut(load.Cause, plugins.RefusedConfiguration)
	if !refused || !slices.ContainsFunc(l.Filled, func(filled string) bool {
		return strings.HasPrefix(filled, path+".config") || strings.HasPrefix(filled, path+".candidate.config")
	}) {
		return load
	}
	quiet := *load
	quiet.Cause = before + plugins.RefusedConfiguration + "for a reason that is not shown, because values in it come from variables or files"
	return &quiet
}

// unjoin takes apart what errors.Join put together.
func unjoin(err error) []error {
	if joined, ok := err.(interface{ Unwrap() []error }); ok {
		return joined.Unwrap()
	}
	return []error{err}
}

func (l *loaded) specs() []plugins.Spec {
	specs := make([]plugins.Spec, len(l.Filters))
	trust := l.trust()
	for i := range l.Filters {
		f := &l.Filters[i]
		specs[i] = plugins.Spec{
			Name: f.Name, Plugin: f.Plugin, SHA256: f.SHA256, Trust: trust, Dir: f.Dir, Rooms: f.Rooms, Config: f.Config, PrivateConfig: l.hasSecrets(i),
			Headers: l.named(i, "headers", f.Headers), Query: l.named(i, "query", f.Query), Cookies: l.named(i, "cookies", f.Cookies),
			Capabilities: l.named(i, "capabilities", f.Capabilities),
			Keys:         l.keySpecs(i),
			Lookup:       l.lookupSpec(i),
			May:          plugins.May{Allow: f.May.Allow, Reroute: f.May.Reroute},
			Memory:       int64(f.Limits.Memory), Time: f.Limits.Time, StateBytes: int(f.Limits.State),
			Quota:     plugins.Quota{Counters: f.Limits.Counters, Values: int64(f.Limits.Values), Series: f.Limits.Series},
			OnFailure: f.OnFailure,
			Candidate: l.candidate(i),
		}
	}
	return specs
}

// named is a filter's list, nil if the configuration does not have it: a
// bundled filter then gets what it asks for, and with an empty list nothing.
func (l *loaded) named(filter int, key string, list []string) []string {
	if _, written := l.Places[fmt.Sprintf("filters[%d].%s", filter, key)]; !written {
		return nil
	}
	return list
}

func (c *Config) roomRules() ([]router.RoomRule, error) {
	rules := make([]router.RoomRule, len(c.Rooms))
	for i, room := range c.Rooms {
		match, err := router.ParsePattern(room.Match)
		if err != nil {
			return nil, err // validated before
		}
		rules[i] = router.RoomRule{
			Match: match, Presence: room.Presence, Announce: announces[room.Announce], AnnouncePer: announcedPer[room.AnnouncePer],
			Slow: slowPolicies[room.Slow],
		}
		if room.History.Size > 0 {
			rules[i].History = router.Keep{Size: room.History.Size, TTL: room.History.TTL}
			rules[i].Recover = room.History.Recover
		}
	}
	return rules, nil
}

var (
	announces    = map[string]router.Announce{"auto": router.AnnounceAuto, "on": router.AnnounceOn, "off": router.AnnounceOff}
	announcedPer = map[string]router.AnnouncePer{"user": router.AnnouncePerUser, "connection": router.AnnouncePerConnection}
	slowPolicies = map[string]router.SlowPolicy{
		"disconnect": router.SlowDisconnect, "drop_oldest": router.SlowDropOldest, "keep_latest": router.SlowKeepLatest,
	}
)

// limits are the limits of the generation.
func (c *Config) limits() router.Limits {
	return router.Limits{
		Frame:              int(c.Limits.Frame),
		RoomsPerConnection: c.Limits.RoomsPerConnection,
		Queue:              int(c.Limits.Queue),
		Connections:        c.Limits.Connections,
		ConnectionsPerUser: c.Limits.ConnectionsPerUser,
		HandshakesPerAddr:  c.Limits.HandshakesPerAddress,
		HandshakeTimeout:   c.Limits.HandshakeTimeout,
		WriteTimeout:       c.Limits.WriteTimeout,
		CommandsPerSecond:  c.Limits.CommandsPerSecond,
		MalformedFrames:    c.Limits.MalformedFrames,
		PingInterval:       c.Heartbeat.Ping,
		PongTimeout:        c.Heartbeat.Pong,
	}
}

func (c *Config) compression() router.Compression {
	return router.Compression{Level: c.Compression.Level, MinSize: int(c.Compression.MinSize)}
}

func (c *Config) proxies() []netip.Prefix {
	prefixes, _ := parseProxies(c.TrustedProxies) // validated before
	return prefixes
}

// drainWindow is the window as the router has it, where 0 is the default.
func (c *Config) drainWindow() time.Duration {
	if c.Shutdown.Drain == 0 {
		return -1
	}
	return c.Shutdown.Drain
}

// cacheDir is where compiled filters are kept, "" if nowhere. A directory that
// nobody asked for is done without if it cannot be made; the host says so of
// one that was asked for.
func (c *Config) cacheDir() string {
	dir := c.Cache
	switch dir {
	case "off":
		return ""
	case "":
		base, err := os.UserCacheDir()
		if err != nil {
			return ""
		}
		dir = filepath.Join(base, "sluice")
	}
	// It holds executable code, so it is nobody else's from the beginning.
	if err := os.MkdirAll(dir, 0o700); err != nil && c.Cache == "" {
		return ""
	}
	return dir
}
