package main

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"text/tabwriter"
	"time"
)

// nodesInfo is what `sluice status` reads of GET /api/info.
type nodesInfo struct {
	Node  string `json:"node"` // which answers
	Nodes []struct {
		ID          string `json:"id"`
		Version     string `json:"version"`
		Uptime      int64  `json:"uptime_seconds"`
		Connections int    `json:"connections"`
		Users       int    `json:"users"`
		Rooms       int    `json:"rooms"`
		Generation  uint64 `json:"generation"`
		Filters     string `json:"filters"`
		Draining    bool   `json:"draining"`
	} `json:"nodes"`
}

// nodes prints which nodes there are. That they cannot be asked for is not the
// node's failure: what it has in force is shown all the same.
func (to *remote) nodes(ctx context.Context, stdout io.Writer) error {
	var info nodesInfo
	if err := to.call(ctx, http.MethodGet, "/api/info", nil, &info); err != nil {
		_, err = fmt.Fprintf(stdout, "which nodes there are is not known: %s\n", oneLine(err.Error(), 1000))
		return err
	}
	w := tabwriter.NewWriter(stdout, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "NODE\tVERSION\tUP\tCONNECTIONS\tUSERS\tROOMS\tGENERATION\tFILTERS")
	for _, n := range info.Nodes {
		note := ""
		if n.ID == info.Node {
			note = ", this one"
		}
		if n.Draining {
			note += ", draining"
		}
		fmt.Fprintf(w, "%s%s\t%s\t%s\t%d\t%d\t%d\t%d\t%s\n", oneLine(n.ID, 64), note, oneLine(n.Version, 64),
			time.Duration(n.Uptime)*time.Second, n.Connections, n.Users, n.Rooms, n.Generation, oneLine(n.Filters, 12))
	}
	return w.Flush()
}
