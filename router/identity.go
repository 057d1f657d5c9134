package router

import (
	"crypto/rand"
	"strings"
	"time"

	"sluice/router/wire"
)

// Identity is who a connection is, set by connect filters (or, on a node
// without them, by the client itself). It is immutable; a refresh replaces it.
type Identity struct {
	User    string
	Info    []byte    // raw JSON that others see beside the user; nil: none
	Claims  []byte    // raw JSON object that later filters see; nil: none
	Grants  *Grants   // what the identity may do; nil: the configured default
	Expires time.Time // zero: never

	// TokenID and Tags are what Router.Revoke finds connections by. The router
	// reads them from the claims jti (a string or a number) and tags (a list,
	// of which the strings count) when it admits the identity, and
	// overwrites what is here. The claims' size alone bounds them: a tag that
	// was cut off would be missed by a revocation.
	TokenID string
	Tags    []string
}

// expired reports whether the identity has expired.
func (id *Identity) expired() bool {
	return !id.Expires.IsZero() && !time.Now().Before(id.Expires)
}

// maxExpiry is the longest time for which an expiry is waited for.
const maxExpiry = 100 * 365 * 24 * time.Hour

// AnonymousPrefix begins the user names that anonymous clients are given. A
// filter that gives such a name is not believed.
const AnonymousPrefix = "anonymous-"

func anonymousUser() string { return AnonymousPrefix + strings.ToLower(rand.Text()) }

func isAnonymous(user string) bool { return strings.HasPrefix(user, AnonymousPrefix) }

// named checks an identity that filters gave, which has to name a user.
func (r *Router) named(given *Identity) (*Identity, *refusal) {
	if given == nil || given.User == "" {
		return nil, &refusal{cause: RefusedNoIdentity, code: wire.Unauthorized, reason: "no filter knows who you are"}
	}
	if reason := wire.CheckName([]byte(given.User)); reason != "" {
		return nil, &refusal{cause: RefusedNoIdentity, code: wire.Unauthorized, reason: "the user name that the filters gave you " + reason}
	}
	if isAnonymous(given.User) {
		return nil, &refusal{cause: RefusedReserved, code: wire.Unauthorized, reason: "user names that begin with " + AnonymousPrefix + " are reserved"}
	}
	return r.admissible(given)
}

// admissible completes a copy of an identity, unless it has expired or is
// revoked.
func (r *Router) admissible(given *Identity) (*Identity, *refusal) {
	id := *given
	if id.expired() {
		return nil, &refusal{cause: RefusedExpired, code: wire.Unauthorized, reason: "the identity has expired; get a fresh token"}
	}
	// From here on the expiry does not depend on changes of the wall clock.
	if now := time.Now(); !id.Expires.IsZero() && id.Expires.Sub(now) < maxExpiry {
		id.Expires = now.Add(id.Expires.Sub(now))
	}
	id.TokenID, id.Tags = readClaims(id.Claims)
	if ref := r.revoked.refusal(&id); ref != nil {
		return nil, ref
	}
	return &id, nil
}
