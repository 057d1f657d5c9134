package router

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"
	"unicode/utf8"

	"sluice/router/wire"
)

// ControlDo is what an order tells nodes to do.
type ControlDo string

// The orders.
const (
	ControlDisconnect ControlDo = "disconnect" // as Router.Revoke does with User, TokenID or Tag
	ControlRemove     ControlDo = "remove"     // take User out of Room, or of all rooms
	ControlReload     ControlDo = "reload"     // read the configuration anew, as Options.Reload does
)

// Control is an order to all nodes, or to one. Nodes carry it out when it reaches them:
// one that was cut off from the others then, or started later, does not know it.
type Control struct {
	Do   ControlDo
	Node string // the ID of the one node that is meant; "": every node

	User    string // disconnect and remove
	TokenID string // disconnect
	Tag     string // disconnect

	Room     string // remove; "": AllRooms is set
	AllRooms bool   // remove

	Until  time.Time // disconnect: until when connects are refused as well; zero: they are not
	Reason string    // disconnect and remove: what clients are told; "": a default; at most MaxReason bytes
}

// Limits of an order.
const (
	MaxReason  = 500     // bytes; a close frame has room for the first 123
	maxRevoked = 1 << 10 // bytes of a token's id or a tag
	maxControl = 8 << 10 // bytes of an order between nodes
)

// controlJSON is an order between nodes. A field that a node does not know may narrow the
// order, so it does not carry such a one out.
type controlJSON struct {
	Do       ControlDo `json:"do"`
	Node     string    `json:"node,omitempty"`
	User     string    `json:"user,omitempty"`
	TokenID  string    `json:"token,omitempty"`
	Tag      string    `json:"tag,omitempty"`
	Room     string    `json:"room,omitempty"`
	AllRooms bool      `json:"all_rooms,omitempty"`
	Until    int64     `json:"until,omitempty"` // Unix milliseconds
	Reason   string    `json:"reason,omitempty"`
}

// Control sends an order to the nodes, this one included, and returns its id as soon as
// the broker has accepted it. Nodes carry it out in their own time and log what came of
// it. The error is a *ServerError.
func (r *Router) Control(ctx context.Context, c Control) (id string, err error) {
	if err := c.check(time.Now()); err != nil {
		return "", &ServerError{Code: wire.BadRequest, Reason: err.Error()}
	}
	j := controlJSON{c.Do, c.Node, c.User, c.TokenID, c.Tag, c.Room, c.AllRooms, 0, c.Reason}
	if !c.Until.IsZero() {
		j.Until = c.Until.UnixMilli()
	}
	content, err := json.Marshal(j)
	if err != nil {
		panic("router: an order has no JSON: " + err.Error()) // it has strings and numbers alone
	}
	if len(content) > maxControl {
		return "", refusef(wire.TooLarge, "the order has %d bytes, and %d are allowed; give a shorter reason", len(content), maxControl)
	}
	ctx, cancel := r.serverCtx(ctx)
	defer cancel()
	m := &Message{Kind: ControlMessage, ID: r.ids.next(), From: r.opts.NodeID, Content: content}
	if _, err := r.publishIn(ctx, m); err != nil {
		return "", unavailable("the order could not be sent", err)
	}
	return m.ID, nil
}

// check says what is wrong with an order.
func (c *Control) check(now time.Time) error {
	if len(c.Reason) > MaxReason {
		return fmt.Errorf("reason is longer than %d bytes", MaxReason)
	}
	if c.Node != "" && (len(c.Node) > maxNodeID || strings.Trim(c.Node, nodeIDLetters) != "") {
		return fmt.Errorf("node: %q is not the id of a node; info shows them", c.Node)
	}
	if c.Do != ControlRemove && (c.Room != "" || c.AllRooms) {
		return fmt.Errorf("room and all_rooms belong to %s, not to %s", ControlRemove, c.Do)
	}
	if c.Do != ControlDisconnect && (c.TokenID != "" || c.Tag != "" || !c.Until.IsZero()) {
		return fmt.Errorf("token, tag and until belong to %s, not to %s", ControlDisconnect, c.Do)
	}
	switch c.Do {
	case ControlDisconnect:
		return c.checkDisconnect(now)
	case ControlRemove:
		return c.checkRemove()
	case ControlReload:
		if c.User != "" || c.Reason != "" {
			return errors.New("reload takes no user and no reason")
		}
		return nil
	}
	return fmt.Errorf("%w: %q", errUnknownOrder, c.Do)
}

var errUnknownOrder = errors.New("unknown order")

func (c *Control) checkDisconnect(now time.Time) error {
	v := c.revocation()
	if _, err := v.key(); err != nil {
		return errors.New("name one of user, token and tag")
	}
	if c.User != "" {
		if reason := wire.CheckName([]byte(c.User)); reason != "" {
			return errors.New("user " + reason)
		}
	}
	if len(c.TokenID) > maxRevoked || len(c.Tag) > maxRevoked {
		return fmt.Errorf("token and tag have at most %d bytes", maxRevoked)
	}
	if !utf8.ValidString(c.TokenID) || !utf8.ValidString(c.Tag) {
		return errors.New("token and tag must be valid UTF-8") // JSON between the nodes would change them
	}
	if !c.Until.IsZero() && !c.Until.After(now) {
		return fmt.Errorf("until is %s, which has passed; leave it out to close what is open now", c.Until.UTC().Format(time.RFC3339))
	}
	return nil
}

func (c *Control) checkRemove() error {
	if reason := wire.CheckName([]byte(c.User)); reason != "" {
		return errors.New("user " + reason)
	}
	if (c.Room == "") != c.AllRooms {
		return errors.New("name one room, or set all_rooms")
	}
	if c.Room != "" {
		if reason := wire.CheckName([]byte(c.Room)); reason != "" {
			return errors.New("room " + reason)
		}
	}
	return nil
}

func (c *Control) revocation() Revocation {
	return Revocation{User: c.User, TokenID: c.TokenID, Tag: c.Tag, Until: c.Until, Reason: c.Reason}
}

// parseControl reads an order that came from the broker, whose content anyone may have
// written who has access to it.
func parseControl(content []byte) (c Control, err error) {
	if len(content) > maxControl {
		return c, fmt.Errorf("it has %d bytes, and %d are allowed", len(content), maxControl)
	}
	var j controlJSON
	d := json.NewDecoder(bytes.NewReader(content))
	d.DisallowUnknownFields()
	if err := d.Decode(&j); err != nil {
		return c, err
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return c, errors.New("something follows the order")
	}
	c = Control{j.Do, j.Node, j.User, j.TokenID, j.Tag, j.Room, j.AllRooms, time.Time{}, j.Reason}
	if j.Until != 0 {
		c.Until = time.UnixMilli(j.Until)
	}
	return c, nil
}
