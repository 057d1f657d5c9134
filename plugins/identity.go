package plugins

import (
	"bytes"
	"time"

	"sluice/router"
)

// identity gathers what connect filters say of a client.
type identity struct {
	said   bool
	named  bool // a filter has set the user
	info   []byte
	grants []byte // as a filter wrote them
	parsed *router.Grants
	user   string // that parsed is for
}

// take adds an answer. Later filters see the user, claims and expiry.
func (id *identity) take(a *answer, q *question) {
	id.said = id.said || a.user.set || a.claims.set || a.grants.set || a.payload.set || a.expires != 0
	if a.user.set {
		id.named = true
		q.user = string(a.user.bytes)
	}
	if a.claims.set {
		q.claims = keep(a.claims.bytes)
	}
	if a.payload.set {
		id.info = keep(a.payload.bytes)
	}
	if a.expires != 0 {
		q.expires = a.expires
	}
	if a.grants.set {
		id.grants, id.parsed, id.user = keep(a.grants.bytes), a.parsed, q.user
	}
}

func keep(b []byte) []byte {
	if len(b) == 0 {
		return nil
	}
	return bytes.Clone(b)
}

// conclude makes the identity of an admitted client.
func (id *identity) conclude(e *router.Event, q *question) {
	v := &e.Verdict
	if !id.said || v.Action == router.Deny {
		return
	}
	if e.Kind == router.KindRefresh && !id.named {
		q.user = "" // nobody has said that the token is this user's
	}
	out := &router.Identity{User: q.user, Info: id.info, Claims: q.claims, Grants: id.parsed}
	if q.expires != 0 {
		out.Expires = time.UnixMilli(q.expires)
	}
	if id.parsed != nil && id.user != q.user {
		// A later filter changed the user, whom patterns may name.
		grants, err := router.ParseGrants(id.grants, q.user)
		if err != nil {
			v.Action, v.Code, v.Reason, v.Failure = router.Deny, 503, "a filter failed", CauseValue.String()
			return
		}
		out.Grants = grants
	}
	v.Identity = out
}
