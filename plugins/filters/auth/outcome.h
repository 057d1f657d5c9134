/* outcome.h: why a client is refused. A reason tells a client what to do about
 * its token, and nothing of what is in the token, the configuration or the keys. */
#ifndef AUTH_OUTCOME_H
#define AUTH_OUTCOME_H

#include "sluice.h"

typedef enum {
    ADMITTED,
    NO_TOKEN,
    SEVERAL_TOKENS,
    TOO_LARGE,
    MALFORMED,
    BAD_ALGORITHM,
    BAD_HEADER,
    BAD_SIGNATURE,
    NO_KEYS,
    EXPIRED,
    TOO_EARLY,
    BAD_ISSUER,
    BAD_AUDIENCE,
    LACKS_CLAIM,
    BAD_USER,
    BAD_GRANTS,
    OUTCOMES
} outcome;

static const struct {
    uint32_t code;
    const char *reason;
} refusals[OUTCOMES] = {
    {0, ""},
    {SLUICE_UNAUTHORIZED, "a token is required"},
    {SLUICE_UNAUTHORIZED, "more than one token was sent"},
    {SLUICE_UNAUTHORIZED, "token is too large"},
    {SLUICE_UNAUTHORIZED, "token is malformed"},
    {SLUICE_UNAUTHORIZED, "token algorithm is not acceptable"},
    {SLUICE_UNAUTHORIZED, "token header is not acceptable"},
    {SLUICE_UNAUTHORIZED, "token signature is not valid"},
    {SLUICE_UNAVAILABLE, "tokens cannot be verified now; try again"},
    {SLUICE_UNAUTHORIZED, "token has expired"},
    {SLUICE_UNAUTHORIZED, "token is not valid yet"},
    {SLUICE_UNAUTHORIZED, "token issuer is not acceptable"},
    {SLUICE_UNAUTHORIZED, "token audience is not acceptable"},
    {SLUICE_UNAUTHORIZED, "token lacks a required claim"},
    {SLUICE_UNAUTHORIZED, "token has no acceptable user"},
    {SLUICE_FORBIDDEN, "token grants are not acceptable"},
};

#endif
