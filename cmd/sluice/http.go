package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"syscall"
	"time"

	"sluice/admin"
	"sluice/cmd/sluice/demo"
	"sluice/router"
)

const (
	maxHeader = 16 << 10 // bytes of a request's header: a token fits, a flood does not
	idleTime  = 60 * time.Second
)

// clientHandler is what clients and the probes of a load balancer see.
func clientHandler(r *router.Router, withDemo bool) http.Handler {
	mux := http.NewServeMux()
	if withDemo {
		mux.Handle("/", demo.Handler())
	}
	for path, h := range handshakes(r) {
		mux.Handle(path, h)
	}
	mux.Handle("/healthz", admin.Liveness())
	mux.Handle("/readyz", admin.Readiness(r.Health))
	stats := admin.PublicStats(r)
	mux.HandleFunc("GET /stats", func(w http.ResponseWriter, req *http.Request) {
		// Once clients are asked who they are, the counts are for operators.
		if !r.Unauthenticated() {
			http.NotFound(w, req)
			return
		}
		if !r.AllowsHost(req) {
			http.Error(w, "the Host header names a host that is not this node's; if it is yours, add it to allowed_origins", http.StatusForbidden)
			return
		}
		stats.ServeHTTP(w, req)
	})
	return mux
}

// handshakes are the handlers of the WebSocket endpoints, by path.
func handshakes(r *router.Router) map[string]http.Handler {
	return map[string]http.Handler{"/ws": r, "/ws/secure": r}
}

// newServer bounds every request in time and size. Connections that were
// upgraded are the router's: the bounds end with the upgrade.
func newServer(handler http.Handler, limits *LimitsConfig, log *slog.Logger) *http.Server {
	return &http.Server{
		Handler:           handler,
		ReadHeaderTimeout: limits.HandshakeTimeout,
		ReadTimeout:       limits.HandshakeTimeout,
		WriteTimeout:      limits.HandshakeTimeout + limits.WriteTimeout,
		IdleTimeout:       idleTime,
		MaxHeaderBytes:    maxHeader,
		ErrorLog:          slog.NewLogLogger(log.Handler(), slog.LevelWarn),
	}
}

// listen opens a listener; the error is one line that says what to do.
func listen(address, key string) (net.Listener, error) {
	l, err := listenConfig.Listen(context.Background(), "tcp", address)
	if err == nil {
		return l, nil
	}
	var opErr *net.OpError
	cause := err
	if errors.As(err, &opErr) {
		cause = opErr.Err
	}
	switch {
	case errors.Is(err, syscall.EADDRINUSE):
		return nil, fmt.Errorf("%s: %s is in use by another process; stop it, or choose another port with --%s", key, address, flagOf(key))
	case errors.Is(err, syscall.EACCES):
		return nil, fmt.Errorf("%s: %s needs more rights than this process has; choose a port above 1023 with --%s", key, address, flagOf(key))
	case errors.Is(err, syscall.EADDRNOTAVAIL):
		return nil, fmt.Errorf("%s: %s is not an address of this machine; choose another with --%s", key, address, flagOf(key))
	}
	return nil, fmt.Errorf("%s: %s cannot be listened on: %w", key, address, cause)
}

func flagOf(key string) string { return strings.ReplaceAll(key, ".", "-") }
