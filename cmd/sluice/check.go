package main

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"strings"

	"sluice/plugins"
	"sluice/router"
)

// runCheck loads all that serve would, and prints what it found.
func runCheck(ctx context.Context, from sources, connect bool, stdout, stderr io.Writer) error {
	l, err := load(from)
	if err != nil {
		return err
	}
	host, err := newHost(l, warnings(stderr), nil)
	if err != nil {
		return err
	}
	defer host.Close(context.Background())
	g, err := buildGeneration(ctx, l, host, nil)
	if err != nil {
		return err
	}
	defer retire(g)
	if connect {
		if err := l.connectRedis(ctx, warnings(stderr)); err != nil {
			return err
		}
	}
	fmt.Fprint(stdout, l.summary(g, connect))
	return nil
}

// warnings logs what a filter will not get, without the time: nobody collects it.
func warnings(w io.Writer) *slog.Logger {
	return slog.New(slog.NewTextHandler(w, &slog.HandlerOptions{Level: slog.LevelWarn, ReplaceAttr: func(groups []string, a slog.Attr) slog.Attr {
		if a.Key == slog.TimeKey && len(groups) == 0 {
			return slog.Attr{}
		}
		return a
	}}))
}

// summary is what check says of a configuration that is right.
func (l *loaded) summary(g *router.Generation, connected bool) string {
	name, admin := l.File, l.Admin.Listen
	if name == "" {
		name = "the built-in defaults"
	}
	if l.adminOff() {
		admin = "off"
	}
	var out strings.Builder
	fmt.Fprintf(&out, "OK: %s\n  listen   %s\n  admin    %s\n  broker   %s\n  rooms    %s\n  filters  %s\n",
		name, l.Listen, admin, l.brokerText(connected), count(len(l.Rooms), "rule"), count(len(l.Filters), "filter"))
	if chain, ok := g.Filters.(*plugins.Chain); ok {
		for _, f := range chain.Info() {
			fmt.Fprintf(&out, "    %s: %s, version %s, on %s\n", f.Name, f.File, f.Version, strings.Join(f.Hooks, ", "))
		}
		for _, f := range chain.Candidates() {
			fmt.Fprintf(&out, "    candidate for %s: %s, version %s, %s %.4g%%\n", f.Name, f.File, f.Version, f.Role, 100*f.Share)
		}
	}
	return out.String()
}

// brokerText is what the summary says of what carries messages.
func (l *loaded) brokerText(connected bool) string {
	if l.Broker != "redis" {
		return l.Broker
	}
	shards := l.Redis.Shards
	if len(shards) == 0 {
		shards = []RedisConnection{l.Redis.RedisConnection}
	}
	var texts []string
	for _, s := range shards {
		texts = append(texts, s.Mode+" "+strings.Join(s.Addresses, ","))
	}
	text := "redis, " + strings.Join(texts, "; ")
	if connected {
		text += ": it answers, and messages come back"
	}
	return text
}

func count(n int, what string) string {
	switch n {
	case 0:
		return "none"
	case 1:
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}
