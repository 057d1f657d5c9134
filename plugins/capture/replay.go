package capture

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"sluice/plugins"
	"sluice/plugins/lookup"
	"sluice/router"
)

// ReplayOptions say what is replayed.
type ReplayOptions struct {
	// Old and New are modules: paths, or builtin:NAME.
	Old, New string

	// Filter is whose questions are replayed; "": those of the only filter of the
	// capture, or of the one that is Old.
	Filter string

	// Config and NewConfig are the configurations of both modules and of New
	// alone; nil: as recorded, and as Config.
	Config, NewConfig json.RawMessage

	Show     int   // differences that the report holds
	Builtins fs.FS // for builtin:NAME; nil: there are none
	CacheDir string
}

// What the machine may be in the way of; see plugins.CauseUnavailable.
const (
	settleTries = 40
	settleWait  = 50 * time.Millisecond
)

// memory is what an instance may hold during a replay, whatever it had.
const memory = 256 << 20

// Replay asks two modules every question that was put to a filter, with what the
// host answered then, and compares what they say. The questions are independent of
// each other: each has the state that was recorded with it. Replays of the same
// capture and modules have the same report.
func Replay(ctx context.Context, path string, o ReplayOptions) (*Report, error) {
	r, err := Open(path)
	if err != nil {
		return nil, err
	}
	defer r.Close()
	p := &replay{options: o, reader: r}
	p.old = &side{replay: p, plugin: o.Old, config: o.Config}
	p.new = &side{replay: p, plugin: o.New, config: orElse(o.NewConfig, o.Config)}
	if o.Filter == "" {
		if p.options.Filter, err = choose(path, o); err != nil {
			return nil, err
		}
	}
	for _, s := range []*side{p.old, p.new} {
		if err := s.open(); err != nil {
			return nil, errors.Join(err, p.close())
		}
	}
	report, err := p.run(ctx)
	if err = errors.Join(err, p.close()); err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return report, nil
}

func orElse(a, b json.RawMessage) json.RawMessage {
	if a != nil {
		return a
	}
	return b
}

// choose finds the filter that is meant, where none is named.
func choose(path string, o ReplayOptions) (string, error) {
	r, err := Open(path)
	if err != nil {
		return "", err
	}
	defer r.Close()
	for err == nil {
		_, err = r.Next()
	}
	if !errors.Is(err, io.EOF) {
		return "", fmt.Errorf("%s: %w", path, err)
	}
	names := r.names()
	if len(names) == 1 {
		return names[0], nil
	}
	if len(names) == 0 {
		return "", fmt.Errorf("%s holds no event that a filter was asked about", path)
	}
	old, err := digest(o.Old, o.Builtins)
	if err != nil {
		return "", err
	}
	var same []string
	for _, s := range r.Filters() {
		if s.SHA256 == old && !slices.Contains(same, s.Name) {
			same = append(same, s.Name)
		}
	}
	if len(same) == 1 {
		return same[0], nil
	}
	return "", fmt.Errorf("%s holds several filters: name one by --filter: %s", path, strings.Join(names, ", "))
}

func (r *Reader) names() []string {
	var names []string
	for _, s := range r.Filters() {
		if !slices.Contains(names, s.Name) {
			names = append(names, s.Name)
		}
	}
	return names
}

// replay is one replay on its way.
type replay struct {
	options  ReplayOptions
	reader   *Reader
	old, new *side
}

// side is one of the two modules, in a host of its own.
type side struct {
	replay *replay
	plugin string
	config json.RawMessage // in place of the recorded one
	digest string

	player *player
	host   *plugins.Host
	chain  *plugins.Chain
	built  string // what chain was built for
}

func (s *side) open() (err error) {
	if s.digest, err = digest(s.plugin, s.replay.options.Builtins); err != nil {
		return err
	}
	s.player = newPlayer(s.replay.reader.Header.Time)
	s.host, err = plugins.NewHost(plugins.HostOptions{
		CacheDir: s.replay.options.CacheDir, Lanes: 1, Log: slog.New(slog.DiscardHandler), Builtins: s.replay.options.Builtins,
		Now: s.player.Now, Random: s.player, Recorder: s.player, Lookup: s.player.Lookup,
	})
	return err
}

func (p *replay) close() error {
	var errs []error
	for _, s := range []*side{p.old, p.new} {
		if s.chain != nil {
			s.chain.Retire()
		}
		if s.host != nil {
			errs = append(errs, s.host.Close(context.Background()))
		}
	}
	return errors.Join(errs...)
}

func (p *replay) run(ctx context.Context) (*Report, error) {
	out := newReport(p)
	for {
		e, err := p.reader.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return nil, err
		}
		out.Dropped += e.Dropped
		for i := range e.Asked {
			a := &e.Asked[i]
			source := p.reader.Source(a.Filter)
			if source.Name != p.options.Filter {
				continue
			}
			if err := ctx.Err(); err != nil {
				return nil, err
			}
			if err := p.question(ctx, out, source, e, a); err != nil {
				return nil, err
			}
		}
	}
	if end := p.reader.End; end != nil {
		out.Dropped = end.Dropped
	}
	out.Cut = p.reader.Cut
	if out.Questions == 0 {
		return nil, fmt.Errorf("it holds no question to a filter %q; there are: %s", p.options.Filter, strings.Join(p.reader.names(), ", "))
	}
	return out, nil
}

// question asks both sides.
func (p *replay) question(ctx context.Context, out *Report, source *Source, e *Event, a *Asked) error {
	out.Questions++
	number := uint64(out.Questions)
	var said [2]said
	for i, s := range []*side{p.old, p.new} {
		if err := s.build(ctx, source, a); err != nil {
			return err
		}
		one, err := s.ask(number, source, e, a)
		if err != nil {
			return err
		}
		said[i] = one
	}
	then := said0(a)
	out.add(number, source, e, a, then, said[0], said[1])
	return nil
}

// build loads the module with the settings that the filter then had.
func (s *side) build(ctx context.Context, source *Source, a *Asked) error {
	settings := *source
	settings.ID, settings.SHA256, settings.Private = 0, "", false
	if s.config != nil {
		settings.Config = Text(s.config)
	} else if source.Private {
		return fmt.Errorf("the capture does not hold the configuration of filter %q, since there may be secrets in it: give it by --config", source.Name)
	}
	looks := a.LookupStatus != 0
	key := fmt.Sprintf("%s %v", sourceKey(&settings), looks)
	if s.built == key {
		return nil
	}
	spec := plugins.Spec{
		Name: settings.Name, Plugin: s.plugin, Config: json.RawMessage(settings.Config),
		Headers: list(settings.Headers), Query: list(settings.Query), Cookies: list(settings.Cookies),
		Capabilities: plugins.Capabilities(), May: plugins.May{Allow: true, Reroute: settings.Reroute},
		Memory: memory, Time: plugins.MaxTime, StateBytes: settings.StateBytes,
	}
	if looks { // player.Lookup answers
		spec.Lookup = &lookup.Spec{HTTP: &lookup.HTTP{URL: "https://replay.invalid/"}, OnMiss: lookup.Pass, OnFailure: lookup.Pass}
	}
	chain, err := s.host.Build(ctx, []plugins.Spec{spec}, s.chain)
	if err != nil {
		return err
	}
	if s.chain != nil {
		s.chain.Retire()
	}
	s.chain, s.built = chain, key
	return nil
}

// list is never nil, which stands for what a bundled filter usually sees.
func list(names []string) []string { return append([]string{}, names...) }

// said is what one side answered.
type said struct {
	Output
	failure  string
	asked    bool // false: it has no such hook
	diverged bool
}

// said0 is what the recorded module answered.
func said0(a *Asked) said { return said{Output: a.Answer, failure: a.Failure, asked: true} }

func (s *side) ask(number uint64, source *Source, e *Event, a *Asked) (said, error) {
	for try := 0; ; try++ {
		q, err := a.question(e)
		if err != nil {
			return said{}, err
		}
		states := []router.State{}
		if len(a.State) > 0 {
			states = append(states, router.State{Filter: source.Name, Version: a.StateVersion, Data: slices.Clone(a.State)})
		}
		q.States, q.Request = &states, requestOf(&q, a.Meta)
		s.player.ask(number, e, a)
		if err := s.chain.Judge(&q); err != nil {
			return said{}, err
		}
		// An instance that was discarded has its successor a little later.
		passing := q.Verdict.Failure == plugins.CauseUnavailable.String() || q.Verdict.Failure == plugins.CauseOverloaded.String()
		if passing && try < settleTries {
			time.Sleep(settleWait)
			continue
		}
		got := s.player.got
		if got == nil || len(got.Asked) == 0 {
			return said{failure: q.Verdict.Failure}, nil
		}
		one := &got.Asked[0]
		return said{outputOf(&one.Answer), one.Failure.String(), true, s.player.diverged}, nil
	}
}

// requestOf is an upgrade request of which a filter sees the same.
func requestOf(q *router.Event, metas []Meta) *http.Request {
	if q.Hook != router.HookConnect || q.Kind != router.KindNew {
		return nil
	}
	r := &http.Request{Method: http.MethodGet, URL: &url.URL{}, Header: http.Header{}}
	query := url.Values{}
	origin := ""
	for _, m := range metas {
		value := string(m.Value)
		switch plugins.MetaKind(m.Kind) {
		case plugins.MetaHeader:
			r.Header.Add(m.Name, value)
		case plugins.MetaQuery:
			query.Add(m.Name, value)
		case plugins.MetaCookie:
			r.AddCookie(&http.Cookie{Name: m.Name, Value: value})
		case plugins.MetaAttribute:
			switch m.Name {
			case "path":
				r.URL.Path = value
			case "host":
				r.Host = value
			case "origin":
				origin = value
			}
		}
	}
	if origin != "" {
		r.Header.Set("Origin", origin)
	}
	r.URL.RawQuery = query.Encode()
	return r
}
