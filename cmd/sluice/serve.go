package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"sync/atomic"
	"time"

	"sluice/admin"
	"sluice/plugins"
	"sluice/plugins/capture"
	"sluice/plugins/filters"
	"sluice/router"
	"sluice/router/listener"
)

const (
	drainGrace = 5 * time.Second // for connections to end after they were closed
	httpGrace  = 2 * time.Second // for answers under way at the end
)

// runServe runs a node until ctx ends, and then drains it.
func runServe(ctx context.Context, from sources, stdout, stderr io.Writer) error {
	if from.Dev {
		from.DevKey = newDevKey()
	}
	from.Looks = make(looks)
	l, err := load(from)
	if err != nil {
		return err
	}
	if l.Dev {
		if err := l.checkDev(); err != nil {
			return err
		}
	}
	log, level := newLogger(l, stderr)
	n, err := newNode(ctx, l, log)
	if err != nil {
		return err
	}
	n.reloads.Store(newReloads(n, from, level))
	n.handlers()
	defer n.close()
	if l.Dev {
		// The listeners are open: whoever is quick waits for the node to serve.
		if err := n.printLinks(stdout); err != nil {
			return err
		}
	}
	return n.serve(ctx)
}

// newLogger makes the node's logger. Its level can be changed.
func newLogger(l *loaded, w io.Writer) (*slog.Logger, *slog.LevelVar) {
	level := new(slog.LevelVar)
	level.Set(l.logLevel())
	o := &slog.HandlerOptions{Level: level}
	if l.Log.Format == "json" {
		return slog.New(slog.NewJSONHandler(w, o)), level
	}
	return slog.New(slog.NewTextHandler(w, o)), level
}

func (c *Config) logLevel() (level slog.Level) {
	_ = level.UnmarshalText([]byte(c.Log.Level)) // validated before
	return level
}

func newHost(l *loaded, log *slog.Logger, recorder plugins.Recorder) (*plugins.Host, error) {
	o := plugins.HostOptions{CacheDir: l.cacheDir(), Log: log, Builtins: filters.FS, Sources: l.filterSources(log), Recorder: recorder}
	if redis := l.lookupRedis(); redis != nil {
		o.Redis = redis
	}
	return plugins.NewHost(o)
}

// retire ends the filters of a generation that is no longer in force.
func retire(g *router.Generation) {
	if chain, ok := g.Filters.(*plugins.Chain); ok {
		chain.Retire()
	}
}

// node is one running node. Its parts are closed in the reverse order of the
// fields; those that were not reached at the start are nil.
type node struct {
	// Static after construction.
	config  *loaded
	log     *slog.Logger
	capture *capture.Capture // nil: none
	host    *plugins.Host
	broker  router.Broker
	router  *router.Router
	clients *endpoint
	admin   *endpoint               // nil: off
	reloads atomic.Pointer[reloads] // nil until the node is built: orders may come before

	profiling admin.Profiling // as admin.pprof of the configuration in force; set by reloads
}

// endpoint is one address and what is served there.
type endpoint struct {
	key    string // of its address in the configuration
	net    net.Listener
	server server
}

// server is an http.Server, or one that takes handshakes by a shorter path.
type server interface {
	Serve(l net.Listener) error
	Shutdown(ctx context.Context) error
	Close() error
}

// newNode builds all parts and opens the listeners, but serves nothing yet.
func newNode(ctx context.Context, l *loaded, log *slog.Logger) (*node, error) {
	n := &node{config: l, log: log}
	if err := n.build(ctx); err != nil {
		n.close()
		return nil, err
	}
	return n, nil
}

func (n *node) build(ctx context.Context) (err error) {
	l := n.config
	if n.capture, err = startCapture(l, n.log); err != nil {
		return err
	}
	if n.host, err = newHost(l, n.log, recorder(n.capture)); err != nil {
		return err
	}
	generation, err := buildGeneration(ctx, l, n.host, nil)
	if err != nil {
		return err
	}
	clients, err := listen(l.Listen, "listen")
	if err != nil {
		retire(generation)
		return err
	}
	n.clients = &endpoint{key: "listen", net: clients}
	if !l.adminOff() {
		operators, err := listen(l.Admin.Listen, "admin.listen")
		if err != nil {
			retire(generation)
			return err
		}
		n.admin = &endpoint{key: "admin.listen", net: operators}
	}
	id := l.nodeID()
	if n.broker, err = newBroker(l, id, n.log); err != nil {
		retire(generation)
		return err
	}
	n.router, err = router.New(router.Options{
		Broker:              n.broker,
		NodeID:              id,
		Reload:              n.reloadByOrder,
		Log:                 n.log,
		Version:             nodeVersion(),
		Anonymous:           l.Anonymous,
		AllowedOrigins:      l.AllowedOrigins,
		TrustedProxies:      l.proxies(),
		AnnounceConnections: announces[l.AnnounceConnections],
		DrainWindow:         l.drainWindow(),
	}, generation)
	if err != nil {
		retire(generation)
		return l.redisError(err)
	}
	return nil
}

// reloadByOrder reads the configuration anew because the nodes were told to. A node
// that is starting has just read it.
func (n *node) reloadByOrder(ctx context.Context) error {
	r := n.reloads.Load()
	if r == nil {
		return nil
	}
	_, err := r.Reload(ctx, "order")
	return err
}

func (n *node) handlers() {
	limits := &n.config.Limits
	n.clients.server = listener.New(newServer(clientHandler(n.router, n.config.Demo), limits, n.log), handshakes(n.router))
	if n.admin == nil {
		return
	}
	n.admin.server = newServer(admin.Handler(admin.Options{
		Router:   n.router,
		Reloader: n.reloads.Load(),
		Token:    n.config.Admin.Token,
		Loopback: isLoopback(n.config.Admin.Listen),

		Profiling: &n.profiling,
		Version:   nodeVersion(),
	}), limits, n.log)
}

// serve serves both listeners until ctx ends and the node has drained, or
// until a listener fails. All that it started has ended when it returns.
func (n *node) serve(ctx context.Context) error {
	failed := make(chan error, 2)
	serving := 0
	for _, l := range []*endpoint{n.clients, n.admin} {
		if l == nil {
			continue
		}
		serving++
		go func() {
			err := l.server.Serve(l.net)
			if errors.Is(err, http.ErrServerClosed) {
				err = nil
			} else {
				err = fmt.Errorf("%s: %w", l.key, err)
			}
			failed <- err
		}()
	}
	n.reloads.Load().listen() // before anyone is told of the node, and sends it a SIGHUP
	n.announce()

	var err error
	select {
	case <-ctx.Done():
	case err = <-failed:
		serving--
	}
	n.reloads.Load().stop()
	n.drain()
	n.shutdown()
	for range serving {
		err = errors.Join(err, <-failed)
	}
	return err
}

func (n *node) announce() {
	file := n.config.File
	if file == "" {
		file = "none"
		if n.config.Dev {
			file = "that of --dev"
		}
	}
	args := []any{"clients", "ws://" + n.clients.net.Addr().String() + "/ws"}
	if n.admin != nil {
		args = append(args, "admin", "http://"+n.admin.net.Addr().String())
	}
	args = append(args, "filters", len(n.config.Filters), "config", file, "version", nodeVersion())
	n.log.Info("listening", args...)
}

// drain closes the clients' connections over the window. The probes answer
// meanwhile: /readyz that the node is not ready.
func (n *node) drain() {
	n.log.Info("draining", "connections", n.router.Stats().Connections, "window", n.config.Shutdown.Drain.String())
	ctx, cancel := context.WithTimeout(context.Background(), n.config.Shutdown.Drain+drainGrace)
	defer cancel()
	if err := n.router.Drain(ctx); err != nil {
		n.log.Warn("some connections did not end in time", "error", err)
	}
}

// shutdown ends the servers.
func (n *node) shutdown() {
	ctx, cancel := context.WithTimeout(context.Background(), httpGrace)
	defer cancel()
	for _, l := range []*endpoint{n.clients, n.admin} {
		if l == nil {
			continue
		}
		if err := l.server.Shutdown(ctx); err != nil {
			l.server.Close()
		}
	}
}

// close ends what was built.
func (n *node) close() {
	n.profiling.Set(false)
	for _, l := range []*endpoint{n.clients, n.admin} {
		if l != nil {
			l.net.Close()
		}
	}
	if n.router != nil {
		n.router.Close()
		retire(n.router.Generation())
	}
	if n.broker != nil {
		n.broker.Close()
	}
	if n.host != nil {
		n.host.Close(context.Background())
	}
	if n.capture != nil {
		n.capture.Close()
	}
}
