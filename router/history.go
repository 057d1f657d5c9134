package router

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sync/singleflight"

	"sluice/router/wire"
)

// Bounds of the reading of histories.
const (
	maxReads = 64               // at one time, by all connections of a node
	readWait = 30 * time.Second // for a place among them

	// maxMessagesBytes bounds the messages of one event, so that it has maxPageBytes
	// at most with all that is beside them. A page has at least one message all the same.
	maxMessagesBytes = maxPageBytes - 4<<10
)

// historyReads are the reads of histories that a node's connections wait for.
type historyReads struct {
	places chan struct{} // has an element for each read
	shared singleflight.Group
}

// readHistory reads a part of a room's history, when its turn has come.
func (r *Router) readHistory(room string, q HistoryQuery) (HistoryPage, error) {
	waiting, cancel := context.WithTimeout(r.ctx, readWait)
	defer cancel()
	select {
	case r.reads.places <- struct{}{}:
		defer func() { <-r.reads.places }()
	case <-waiting.Done():
		return HistoryPage{}, fmt.Errorf("%w: too many histories are being read", ErrUnavailable)
	}
	ctx, cancel := r.brokerCtx()
	defer cancel()
	return r.broker.History(ctx, room, q)
}

// recovery is the answer to recover.
type recovery struct {
	asked     bool
	mayRead   bool // what was missed
	recovered bool
	messages  []byte // encoded
	has       standing
}

// recovered finds out what a client missed that knows all up to cmd.Recover, and gets
// by delivery what comes behind at. That the client was a member then is not
// known, so what it missed is read for those alone who may read the history.
func (c *conn) recovered(cur *current, cmd *wire.Command, rule *boundRule, room string, at standing) (recovery, error) {
	if !cmd.HasRecover {
		return recovery{has: at}, nil
	}
	rec := recovery{asked: true, has: at, mayRead: c.may(cur, actHistory, room)}
	err := c.r.recover(&rec, rule, room, Position{Epoch: string(cmd.Recover.Epoch), Offset: cmd.Recover.Offset})
	switch {
	case err != nil:
		c.r.count.recoveries.count(RecoveryUnavailable)
	case rec.recovered:
		c.r.count.recoveries.count(RecoveryDone)
	default:
		c.r.count.recoveries.count(RecoveryRefused)
	}
	return rec, err
}

func (r *Router) recover(rec *recovery, rule *boundRule, room string, known Position) error {
	at := rec.has.Position
	switch {
	case !rule.keepsHistory() || at.Epoch == "":
		return nil
	case known == at:
		rec.recovered = true
		return nil
	case known.Epoch != at.Epoch || known.Offset > at.Offset:
		return r.recoverAhead(rec, room, known)
	case !rec.mayRead || at.Offset-known.Offset > uint64(rule.Recover):
		return nil
	}
	// Clients that lost their connections together missed the same.
	key := strings.Join([]string{room, known.Epoch, strconv.FormatUint(known.Offset, 36), strconv.FormatUint(at.Offset, 36)}, "\x00")
	shared, err, _ := r.reads.shared.Do(key, func() (any, error) { return r.missed(room, known, at) })
	if err != nil {
		return err
	}
	rec.messages = shared.([]byte)
	rec.recovered = rec.messages != nil
	return nil
}

// recoverAhead is for a client that may come from a node which has delivered more than
// this one has. Its deliveries start where it is, if the broker knows that place. If
// the broker is in an epoch of which this node has yet to hear, they start behind what
// there is of it: the client may have had that, there or in the epoch before.
func (r *Router) recoverAhead(rec *recovery, room string, known Position) error {
	at := rec.has.Position
	page, err := r.readHistory(room, HistoryQuery{After: &at, Limit: 1, MaxBytes: 1})
	switch newest := page.Newest; {
	case err != nil:
		return err
	case newest.Epoch == "":
	case newest.Epoch != at.Epoch:
		rec.has = standing{newest, at.Epoch}
	case newest.covers(known):
		rec.recovered, rec.has.Position = true, known
	}
	return nil
}

// missed reads the messages behind from, up to to, and encodes them; nil: they cannot
// all be had, or are too many for one event.
func (r *Router) missed(room string, from, to Position) ([]byte, error) {
	n := int(to.Offset - from.Offset)
	page, err := r.readHistory(room, HistoryQuery{After: &from, Limit: n, MaxBytes: maxMessagesBytes})
	if err != nil {
		return nil, err
	}
	if !page.Gapless || len(page.Messages) < n {
		return nil, nil
	}
	var encoded []byte
	for i, m := range page.Messages[:n] {
		if m.Epoch != to.Epoch || m.Offset != from.Offset+1+uint64(i) {
			return nil, nil
		}
		if encoded = appendKept(encoded, m); len(encoded) > maxMessagesBytes {
			return nil, nil
		}
	}
	return encoded, nil
}

func appendKept(dst []byte, m *Message) []byte {
	return wire.AppendHistoryMessage(dst, &wire.HistoryMessage{
		From: m.From, Info: m.Info, Content: m.Content, MessageID: m.ID, Offset: m.Offset, Time: m.Time,
	})
}

// history answers what was said in a room.
func (c *conn) history(cur *current, cmd *wire.Command) judgement {
	m := c.rooms.find(cmd.Room)
	switch {
	case m == nil:
		return c.deny(cmd, wire.Forbidden, "you are not in this room; send join_room first")
	case !c.may(cur, actHistory, m.group.name):
		return c.deny(cmd, wire.Forbidden, "you may not see what was said in this room")
	case !cur.rules.rule(m.group.name).keepsHistory():
		return c.deny(cmd, wire.Unsupported, "no history is kept of this room")
	case cmd.HasSince && cmd.Cursor != nil:
		return c.deny(cmd, wire.BadRequest, "cursor: leads to what was said before; it does not go with since")
	}
	q := HistoryQuery{Limit: cmd.Limit, MaxBytes: maxMessagesBytes}
	if q.Limit == 0 {
		q.Limit = defaultPage
	}
	var epoch string // of the cursor
	switch {
	case cmd.HasSince:
		q.After = &Position{Epoch: string(cmd.Since.Epoch), Offset: cmd.Since.Offset}
	case cmd.Cursor != nil:
		var ok bool
		if epoch, q.Before, ok = parseCursor(string(cmd.Cursor)); !ok {
			return c.deny(cmd, wire.BadRequest, "cursor: is not one that this node gave")
		}
	}
	page, err := c.r.readHistory(m.group.name, q)
	if err != nil {
		c.r.brokerFailed("reading a history", err)
		return c.deny(cmd, wire.Unavailable, "the room's history could not be read; try again")
	}
	if epoch != "" && page.Newest.Epoch != epoch {
		return c.deny(cmd, wire.BadRequest, "cursor: the history has begun anew since; ask without one")
	}
	c.sendHistory(cmd, m.group.name, &page)
	return admitted
}

// sendHistory answers with as much of a page as an event may hold: its first messages
// after since, else its last ones.
func (c *conn) sendHistory(cmd *wire.Command, room string, page *HistoryPage) {
	e := wire.HistoryPage{
		ID: cmd.ID, Room: room, Epoch: page.Newest.Epoch, Offset: page.Newest.Offset,
		More: page.More, Since: cmd.HasSince, Gapless: page.Gapless,
	}
	encoded, kept := encodePage(page.Messages, cmd.HasSince)
	e.Messages = encoded
	e.More = e.More || len(kept) < len(page.Messages)
	if e.More && !e.Since && len(kept) > 0 {
		e.Cursor = cursorTo(kept[0].Position)
	}
	c.reply(256+len(room)+len(encoded), func(dst []byte) []byte { return wire.AppendHistory(dst, &e) })
}

// encodePage encodes the first or the last messages of a list, as many as an event may
// hold, and one at least.
func encodePage(list []*Message, first bool) (encoded []byte, kept []*Message) {
	ends := make([]int, len(list)+1) // ends[n] is where the first n end
	for i, m := range list {
		encoded = appendKept(encoded, m)
		ends[i+1] = len(encoded)
	}
	if first {
		n := len(list)
		for n > 1 && ends[n] > maxMessagesBytes {
			n--
		}
		return encoded[:ends[n]], list[:n]
	}
	skip := 0
	for skip < len(list)-1 && len(encoded)-ends[skip] > maxMessagesBytes {
		skip++
	}
	if skip > 0 {
		encoded = encoded[ends[skip]+1:] // and the comma
	}
	return encoded, list[skip:]
}

// A cursor is the place before which the next page ends.
func cursorTo(p Position) string { return strconv.FormatUint(p.Offset, 10) + "." + p.Epoch }

func parseCursor(s string) (epoch string, before uint64, ok bool) {
	offset, epoch, _ := strings.Cut(s, ".")
	before, err := strconv.ParseUint(offset, 10, 64)
	return epoch, before, err == nil && before > 0 && epoch != ""
}
