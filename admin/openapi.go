package admin

import (
	_ "embed"
	"net/http"
)

// openAPIDocument describes every route, with examples that a test sends to a node.
//
//go:embed openapi.json
var openAPIDocument []byte

// openAPI serves the description. It tells nothing of the node, and so needs no token.
func openAPI() http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		_, _ = w.Write(openAPIDocument) // a client that has gone needs no answer
	})
}
