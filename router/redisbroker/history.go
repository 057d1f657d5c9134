package redisbroker

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"sluice/router"
)

// newest is the place of a room's newest message. If the room has no history one
// begins, provided that keep says so.
func (s *shard) newest(ctx context.Context, room string, keep router.Keep) (router.Position, error) {
	begin := "0"
	if keep.Size > 0 {
		begin = "1"
	}
	reply, err := s.run(ctx, s.reads, newestScript, newestSource, 0,
		[]string{s.keys.stream(room), s.keys.meta(room)}, begin, millis(keep.TTL), metaGraceMillis, freshEpoch())
	if err != nil || len(reply) == 0 {
		return router.Position{}, err
	}
	return s.position(reply)
}

// history reads a part of a room's history, and writes nothing but a new epoch
// if the one that is there has ended.
func (s *shard) history(ctx context.Context, room string, q router.HistoryQuery) (router.HistoryPage, error) {
	if q.Limit < 1 {
		return router.HistoryPage{}, fmt.Errorf("redisbroker: a page of history needs a limit of at least 1, not %d", q.Limit)
	}
	r := reading{s: s, room: room, query: q, expect: 1}
	if q.After != nil {
		r.epoch, r.from, r.expect = q.After.Epoch, "("+entryID(q.After.Offset), q.After.Offset+1
	} else if q.Before > 0 {
		r.from = "(" + entryID(q.Before)
	} else {
		r.from = "+"
	}
	// Once more than needed only if an epoch has ended, or nothing on a page was ours.
	for {
		more, err := r.next(ctx)
		if err != nil {
			return router.HistoryPage{}, err
		}
		if !more {
			return r.result(), nil
		}
	}
}

// reading is one call of history.
type reading struct {
	s     *shard
	room  string
	query router.HistoryQuery

	// Where the next read begins.
	epoch, from string

	// What has been read.
	page    router.HistoryPage
	expect  uint64 // offset of the next message, if nothing is missing
	holes   bool   // something is missing
	renewed bool   // a new epoch was begun, or could not be
}

func entryID(offset uint64) string { return strconv.FormatUint(offset, 10) + "-0" }

// next reads once, and reports whether to read again.
func (r *reading) next(ctx context.Context) (again bool, err error) {
	forward := r.query.After != nil
	direction := "<"
	if forward {
		direction = ">"
	}
	reply, err := r.s.run(ctx, r.s.reads, historyScript, historySource, r.answerBytes(),
		[]string{r.s.keys.stream(r.room), r.s.keys.meta(r.room)},
		direction, r.from, r.epoch, r.query.Limit+1, r.scriptBytes(), metaGraceMillis)
	if err != nil {
		return false, err
	}
	if len(reply) == 0 {
		r.page = router.HistoryPage{}
		return false, nil
	}
	epoch, isText := reply[0].(string)
	offset, isNumber := reply[1].(int64)
	if len(reply) < 4 || len(reply)%2 != 0 || !isText || !isNumber {
		return false, errReply
	}
	if suspect, _ := reply[2].(int64); suspect == 1 {
		if !r.renewed {
			return true, r.renew(ctx)
		}
		r.holes = true
	}
	r.page.Newest = router.Position{Epoch: epoch, Offset: uint64(offset)}
	cut, _ := reply[3].(int64)
	return r.take(reply[4:], cut == 1)
}

// renew begins the epoch that a read found missing. If Redis does not take writes
// the history is read as it is, and is not gapless.
func (r *reading) renew(ctx context.Context) error {
	r.renewed = true
	if _, err := r.s.newest(ctx, r.room, router.Keep{}); err != nil && !errors.Is(err, router.ErrUnavailable) {
		return err
	}
	return nil
}

// scriptBytes bounds what Redis sends: envelopes, which are larger than what
// the query counts.
func (r *reading) scriptBytes() int {
	if r.query.MaxBytes <= 0 {
		return 0
	}
	return r.query.MaxBytes + (r.query.Limit+1)*(maxID+maxKey+64)
}

// answerBytes is about what comes, to bound what is asked for at the same time.
func (r *reading) answerBytes() int {
	if b := r.query.MaxBytes; b > 0 {
		return min(b, r.query.Limit<<10)
	}
	return r.query.Limit << 10
}

// take adds entries, pairs of an id and an envelope, to the page, and reports
// whether there was something but nothing fit for it. cut says that there is more
// behind the entries.
func (r *reading) take(entries []any, cut bool) (again bool, err error) {
	forward := r.query.After != nil
	r.page.More = cut
	bytes, taken := 0, 0
	for ; len(entries) >= 2; entries = entries[2:] {
		id, _ := entries[0].(string)
		envelope, _ := entries[1].(string)
		if taken++; taken > r.query.Limit {
			r.page.More = true
			break
		}
		m := r.decode(id, envelope)
		if m == nil {
			r.holes = true
			r.from = "(" + id
			continue
		}
		if bytes += pageBytes(m); len(r.page.Messages) > 0 && r.query.MaxBytes > 0 && bytes > r.query.MaxBytes {
			r.page.More = true
			break
		}
		if forward {
			r.holes = r.holes || m.Offset != r.expect
			r.expect = m.Offset + 1
		}
		r.page.Messages = append(r.page.Messages, m)
	}
	if len(r.page.Messages) == 0 && r.page.More {
		r.page.More = false
		r.epoch = r.page.Newest.Epoch
		return true, nil
	}
	return false, nil
}

// decode is the message of an entry, or nil if it is none.
func (r *reading) decode(id, envelope string) *router.Message {
	number, ok := strings.CutSuffix(id, "-0")
	offset, err := strconv.ParseUint(number, 10, 64)
	if !ok || err != nil || offset == 0 || envelope == "" {
		r.s.b.count(malformedEntry)
		return nil
	}
	payload := make([]byte, 0, 64+len(envelope))
	payload = appendHeader(payload, router.Position{Epoch: r.page.Newest.Epoch, Offset: offset})
	m, err := decodeMessage(router.Topic{Name: r.room}, append(payload, envelope...))
	if err != nil {
		r.s.b.countMalformed(err)
		return nil
	}
	return m
}

// pageBytes is what counts against HistoryQuery.MaxBytes.
func pageBytes(m *router.Message) int { return len(m.Content) + len(m.Info) + len(m.From) }

func (r *reading) result() router.HistoryPage {
	p := &r.page
	if r.query.After == nil {
		slices.Reverse(p.Messages)
		return *p
	}
	after := *r.query.After
	p.Gapless = p.Newest.Epoch != "" && after.Epoch == p.Newest.Epoch && !r.holes &&
		(len(p.Messages) > 0 || after.Offset == p.Newest.Offset)
	return *p
}
