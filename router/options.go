package router

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"strings"
	"time"
)

// Options are what a router is built with and keeps for its life. What may
// change while it runs is in Generation.
type Options struct {
	// Broker carries the messages. New starts it; whoever made it closes it,
	// after Router.Close. Required.
	Broker Broker

	// Log receives what the operator should know. Default: slog.Default().
	Log *slog.Logger

	// NodeID is the node's name in message ids and logs: at most 32 letters,
	// digits, '-', '_' or '.'. It must differ from every other node's. Default: random.
	NodeID string

	// Version is told to clients in welcome. Default: "dev".
	Version string

	// Anonymous admits, under a generated user name, a client for whom the
	// connect filters set no user. Default: such a client gets 401.
	Anonymous bool

	// AllowedOrigins are the origins of browsers beside the node's own: host or
	// scheme://host, with the port if it is not the scheme's, where * stands for
	// any run of characters but ':'. "*" alone allows every origin. Default: none.
	// Where everyone is admitted at a loopback address, a page under a name that
	// is not loopback's needs it too, unless a reverse proxy stands before.
	AllowedOrigins []string

	// TrustedProxies are the addresses whose X-Forwarded-For is believed.
	// Default: none.
	TrustedProxies []netip.Prefix

	// AnnounceConnections says whether user_connected and user_disconnected are
	// sent to everyone. Default: on a node without connect filters, while it has
	// up to AnnounceMax connections, for it costs their square.
	AnnounceConnections Announce

	// DrainWindow is the time over which Drain spreads its closes. Default: 10 s;
	// negative: all at once.
	DrainWindow time.Duration

	// Reload reads the configuration anew, when an order of the nodes says so. It is
	// called on a goroutine of its own, never twice at a time. Default: such an order
	// fails.
	Reload func(context.Context) error
}

const maxNodeID = 32

// complete checks the options and fills in defaults.
func (o *Options) complete() error {
	if o.Broker == nil {
		return errors.New("router: Options.Broker is missing")
	}
	if o.Log == nil {
		o.Log = slog.Default()
	}
	if o.NodeID == "" {
		o.NodeID = "n" + randomName()
	}
	if len(o.NodeID) > maxNodeID || strings.Trim(o.NodeID, nodeIDLetters) != "" {
		return fmt.Errorf("router: node id %q: use at most %d letters, digits, '-', '_' or '.'", o.NodeID, maxNodeID)
	}
	if o.Version == "" {
		o.Version = "dev"
	}
	if o.DrainWindow == 0 {
		o.DrainWindow = 10 * time.Second
	}
	return nil
}

const nodeIDLetters = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_."
