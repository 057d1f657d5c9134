//go:build ignore

/* auth: admits a client by its JSON Web Token. README.md beside this file says
 * what it promises. The first line keeps the Go tool off: `sluice plugin build` compiles
 * this.
 *
 * A token's path: find it (source.h), take it apart and have the host verify it
 * (base64url.h, strict.h, jws.h), only then read its claims (claims.h,
 * grants.h). Whatever goes wrong on the way is an outcome (outcome.h) other
 * than ADMITTED, and there is one place that admits. */
#define SLUICE_IMPLEMENTATION
#include "sluice.h"
#include "claims.h"
#include "config.h"
#include "jws.h"
#include "outcome.h"
#include "source.h"

SLUICE_ON_CONFIGURE(e) {
    sluice_string nothing = sluice_string_of("");
    if (!read_configuration(sluice_payload(e))) return sluice_deny_n(e, SLUICE_INVALID, reason.ptr, reason.len);
    if (sluice_verify(nothing, nothing, nothing, nothing) == SLUICE_VERIFY_NO_KEYS)
        return sluice_deny(e, SLUICE_INVALID, "there are no keys: add some to the filter's entry, such as keys: [{alg: HS256, secret: \"${SLUICE_AUTH_KEY}\"}]");
    return SLUICE_CONTINUE;
}

static int32_t refuse(sluice_event *e, outcome o) {
    if (refusals[o].code == SLUICE_UNAVAILABLE) e->out_retry_ms = 1000;
    return sluice_deny(e, refusals[o].code, refusals[o].reason);
}

SLUICE_ON_CONNECT(e) {
    source s = {{NULL, 0}, 0, 0};
    sluice_string payload;
    identity id;
    if (e->kind == SLUICE_KIND_REFRESH) {
        s.token = sluice_payload(e);
        s.found = s.token.len > 0;
    } else {
        s = find_token(e);
        if (!s.found && config.optional) return SLUICE_CONTINUE; /* without an identity */
    }
    if (!s.found) return refuse(e, NO_TOKEN);
    if (s.ambiguous) return refuse(e, SEVERAL_TOKENS);
    outcome o = jws_open(s.token, &payload);
    if (o == ADMITTED) o = read_claims_of(payload, e->time_ns / 1000000, &id);
    if (o != ADMITTED) return refuse(e, o);
    /* All of it is set, so that nothing of an earlier filter's identity stays. */
    sluice_set_user(e, id.user.ptr, id.user.len);
    sluice_set_info(e, id.info.ptr, id.info.len);
    sluice_set_claims(e, payload.ptr, payload.len);
    sluice_set_grants(e, id.grants.ptr, id.grants.len);
    sluice_set_expires_ms(e, id.expires_ms);
    return SLUICE_CONTINUE;
}
