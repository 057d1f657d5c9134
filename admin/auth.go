package admin

import (
	"crypto/sha256"
	"crypto/subtle"
	"net/http"
	"strings"

	"sluice/router"
)

// guard lets on loopback only requests pass that were made to loopback: a web page can make its own name resolve to 127.0.0.1 and
// would then be the same origin as the listener, but it cannot change the Host
// header that the browser sends.
func guard(loopback bool, next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("X-Content-Type-Options", "nosniff")
		if loopback && !router.LoopbackHost(r.Host) {
			refuse(w, http.StatusForbidden, "forbidden", "the Host header names another host; this listener answers to localhost and 127.0.0.1")
			return
		}
		next.ServeHTTP(w, r)
	})
}

// reading lets only requests pass that change nothing.
func reading(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method != http.MethodGet && r.Method != http.MethodHead {
			w.Header().Set("Allow", "GET, HEAD")
			refuse(w, http.StatusMethodNotAllowed, "bad_request", "use GET")
			return
		}
		next.ServeHTTP(w, r)
	})
}

// authorized wants the bearer token, if there is one.
func authorized(token string, next http.Handler) http.Handler {
	if token == "" {
		return next
	}
	// Digests have one length, so that comparing takes one time.
	want := sha256.Sum256([]byte(token))
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		scheme, given, _ := strings.Cut(r.Header.Get("Authorization"), " ")
		have := sha256.Sum256([]byte(strings.TrimSpace(given)))
		if !strings.EqualFold(scheme, "Bearer") || subtle.ConstantTimeCompare(have[:], want[:]) != 1 {
			w.Header().Set("WWW-Authenticate", `Bearer realm="sluice"`)
			refuse(w, http.StatusUnauthorized, "unauthorized", "send the header Authorization: Bearer with the value of admin.token")
			return
		}
		next.ServeHTTP(w, r)
	})
}
