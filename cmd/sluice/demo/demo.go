// Package demo is the page on which people try a node out: they chat in
// rooms, see who is there, and what the filters refuse.
//
// demo.html, its style and its scripts (demo.js: the page, connection.js: the
// protocol's side of it, log.js: what is shown of events) are served as they
// are, under a policy that lets the page run its own scripts and talk to its
// own node, and nothing else. The page knows nothing of the node but the client
// protocol.
package demo

import (
	"embed"
	"net/http"
	"path"
	"strconv"
)

//go:embed demo.html demo.css *.js icon.svg
var files embed.FS

// policy forbids all that the page does not need: inline script and style,
// frames around it, forms that are sent, and anything from elsewhere. A
// WebSocket to the page's own host is 'self'.
const policy = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; " +
	"frame-ancestors 'none'; base-uri 'none'; form-action 'none'; " +
	"require-trusted-types-for 'script'; trusted-types 'none'"

var contentTypes = map[string]string{
	".html": "text/html; charset=utf-8",
	".css":  "text/css; charset=utf-8",
	".js":   "text/javascript; charset=utf-8",
	".svg":  "image/svg+xml",
}

// Handler serves the page at / with what belongs to it, and nothing else.
func Handler() http.Handler {
	mux := http.NewServeMux()
	entries, err := files.ReadDir(".")
	if err != nil {
		panic("demo: " + err.Error()) // the files are in the binary
	}
	for _, entry := range entries {
		content, err := files.ReadFile(entry.Name())
		if err != nil {
			panic("demo: " + err.Error())
		}
		place := "/" + entry.Name()
		if place == "/demo.html" {
			place = "/{$}"
		}
		mux.Handle("GET "+place, file(contentTypes[path.Ext(entry.Name())], content))
	}
	return mux
}

func file(contentType string, content []byte) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		h := w.Header()
		h.Set("Content-Type", contentType)
		h.Set("Content-Length", strconv.Itoa(len(content)))
		h.Set("Content-Security-Policy", policy)
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("X-Frame-Options", "DENY")
		h.Set("Referrer-Policy", "no-referrer")
		h.Set("Cross-Origin-Opener-Policy", "same-origin")
		h.Set("Cross-Origin-Resource-Policy", "same-origin")
		h.Set("Cache-Control", "no-cache") // the next start may have another page
		_, _ = w.Write(content)            // a reader that has gone needs no answer
	}
}
