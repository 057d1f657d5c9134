package router

import (
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"sluice/router/wire"
)

// Revocation cuts off whom it names: a user, the bearer of one token, or all
// whose tokens have a tag. Exactly one of User, TokenID and Tag is set.
type Revocation struct {
	User    string
	TokenID string // the claim jti of the token that a connection holds now
	Tag     string // one of the claim tags

	// Until is when it ends. Before, connects and refreshes of whom it names are
	// refused. Zero: only what is open now is closed.
	Until time.Time

	// Reason is what clients are told. Default: that the user, the token, or its
	// bearer's access has been revoked.
	Reason string
}

// MaxRevocations is how many users, tokens and tags may be revoked at one time.
const MaxRevocations = 1 << 16

// ErrRevocations is returned by Revoke when MaxRevocations are in force.
var ErrRevocations = errors.New("router: as many revocations are in force as a node remembers")

// Revoke closes the connections of this node that the revocation names, with
// 4001 for a token and 4003 for a user or a tag, and returns how many it
// closed. It does not wait for their end. Until Revocation.Until it also
// refuses their connects and refreshes, those that have begun included. A
// revocation of the same user, token or tag replaces the earlier one, also to
// end it sooner. Revocations do not outlive the node, and other nodes do not
// learn of them.
//
// ErrRevocations means that the connections were closed but that new ones are not
// refused. After any other error nothing has happened.
func (r *Router) Revoke(v Revocation) (closed int, err error) {
	key, err := v.key()
	if err != nil {
		return 0, err
	}
	now := time.Now()
	if !v.Until.IsZero() {
		if !v.Until.After(now) {
			return 0, fmt.Errorf("router: the revocation ended at %s already; leave Until out to close what is open now", v.Until.Format(time.RFC3339))
		}
		err = r.revoked.add(key, revoked{until: v.Until, reason: v.Reason}, now)
	}
	// Who registers, or is renewed, after this snapshot was taken looks at the
	// list afterwards.
	ref := key.refusal(v.Reason)
	for _, m := range r.everyone.snapshot() {
		if m.state.Load() != gone && key.names(m.conn.who()) && m.conn.cutOff(ref) {
			closed++
		}
	}
	return closed, err
}

// cutOff closes the connection for a revocation.
func (c *conn) cutOff(ref *refusal) bool {
	if !c.close(wire.CloseCodeOf(ref.code), ref.reason) {
		return false
	}
	c.r.count.revoked.count(ref.revoked)
	return true
}

// Kinds of what is revoked, as Stats counts them.
const (
	revokedUser  = "user"
	revokedToken = "token"
	revokedTag   = "tag"
)

// revokedKey is what is revoked.
type revokedKey struct {
	kind string
	name string
}

func (v *Revocation) key() (key revokedKey, err error) {
	set := 0
	for kind, name := range map[string]string{revokedUser: v.User, revokedToken: v.TokenID, revokedTag: v.Tag} {
		if name != "" {
			key = revokedKey{kind, name}
			set++
		}
	}
	if set != 1 {
		return key, fmt.Errorf("router: a revocation names one of User, TokenID and Tag; %d are set", set)
	}
	return key, nil
}

// names reports whether the identity is revoked by the key.
func (k revokedKey) names(id *Identity) bool {
	switch k.kind {
	case revokedUser:
		return id.User == k.name
	case revokedToken:
		return id.TokenID == k.name
	}
	return slices.Contains(id.Tags, k.name)
}

// refusal is what the client is told, on a connect, a refresh or a close.
func (k revokedKey) refusal(reason string) *refusal {
	ref := &refusal{cause: RefusedRevoked, revoked: k.kind, code: wire.Forbidden, reason: reason}
	if k.kind == revokedToken {
		ref.code = wire.Unauthorized
	}
	if reason == "" {
		ref.reason = defaultReasons[k.kind]
	}
	return ref
}

var defaultReasons = map[string]string{
	revokedUser:  "the user has been revoked",
	revokedToken: "the token has been revoked",
	revokedTag:   "your access has been revoked",
}

// revocations are what connects and refreshes are refused for. Those that have
// ended are forgotten when there is no room for another.
type revocations struct {
	mu sync.RWMutex
	// Guarded by mu.
	list map[revokedKey]revoked
}

type revoked struct {
	until  time.Time
	reason string
}

func (l *revocations) add(key revokedKey, v revoked, now time.Time) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if _, there := l.list[key]; !there && len(l.list) >= MaxRevocations {
		l.sweepLocked(now)
		if len(l.list) >= MaxRevocations {
			return ErrRevocations
		}
	}
	if l.list == nil {
		l.list = make(map[revokedKey]revoked)
	}
	l.list[key] = v
	return nil
}

func (l *revocations) sweepLocked(now time.Time) {
	for key, v := range l.list {
		if !v.until.After(now) {
			delete(l.list, key)
		}
	}
}

// refusal is why the identity is refused; nil: it is not revoked.
func (l *revocations) refusal(id *Identity) *refusal {
	l.mu.RLock()
	defer l.mu.RUnlock()
	if len(l.list) == 0 {
		return nil
	}
	now := time.Now()
	if ref := l.lookLocked(revokedKey{revokedUser, id.User}, now); ref != nil {
		return ref
	}
	if ref := l.lookLocked(revokedKey{revokedToken, id.TokenID}, now); ref != nil {
		return ref
	}
	for _, tag := range id.Tags {
		if ref := l.lookLocked(revokedKey{revokedTag, tag}, now); ref != nil {
			return ref
		}
	}
	return nil
}

func (l *revocations) lookLocked(key revokedKey, now time.Time) *refusal {
	v, there := l.list[key]
	if !there || !v.until.After(now) {
		return nil
	}
	return key.refusal(v.reason)
}
