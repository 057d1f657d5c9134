/* source.h: where a request has its token. */
#ifndef AUTH_SOURCE_H
#define AUTH_SOURCE_H

#include "sluice.h"
#include "strict.h"

typedef struct {
    sluice_string token;
    int found;     /* there is one, which may be empty */
    int ambiguous; /* there are several that differ */
} source;

static void offer(source *s, sluice_string token) {
    if (s->found && !same_text(s->token, token)) s->ambiguous = 1;
    s->found = 1;
    s->token = token;
}

static char lower(char c) { return c >= 'A' && c <= 'Z' ? (char)(c + 32) : c; }

/* Whether s begins with the text, which is in lower case, in any case. */
static int begins(sluice_string s, const char *text) {
    uint32_t i = 0;
    for (; text[i]; i++)
        if (i == s.len || lower(s.ptr[i]) != text[i]) return 0;
    return 1;
}

static sluice_string behind(sluice_string s, uint32_t n) {
    sluice_string rest = {s.ptr + n, s.len - n};
    return rest;
}

/* Authorization: Bearer TOKEN. Other schemes are somebody else's. */
static void offer_authorization(source *s, sluice_string value) {
    if (!begins(value, "bearer")) return;
    value = behind(value, 6);
    if (value.len && value.ptr[0] != ' ') return;
    while (value.len && value.ptr[0] == ' ') value = behind(value, 1);
    offer(s, value);
}

/* Sec-WebSocket-Protocol: sluice.v1, sluice.token.TOKEN; or the token as it is,
 * known by the {" that a JOSE header begins with. */
static void offer_subprotocols(source *s, sluice_string value) {
    static const char prefix[] = "sluice.token.";
    while (value.len) {
        sluice_string one = {value.ptr, 0};
        while (one.len < value.len && value.ptr[one.len] != ',') one.len++;
        value = behind(value, one.len < value.len ? one.len + 1 : one.len);
        while (one.len && (one.ptr[0] == ' ' || one.ptr[0] == '\t')) one = behind(one, 1);
        while (one.len && (one.ptr[one.len - 1] == ' ' || one.ptr[one.len - 1] == '\t')) one.len--;
        if (begins(one, prefix)) {
            offer(s, behind(one, sizeof prefix - 1));
        } else if (one.len > 3 && one.ptr[0] == 'e' && one.ptr[1] == 'y' && one.ptr[2] == 'J') {
            offer(s, one);
        }
    }
}

/* Looks everywhere that the filter's entry lets it see. */
static source find_token(const sluice_event *e) {
    source s = {{NULL, 0}, 0, 0};
    for (uint32_t i = 0; i < e->meta.len; i++) {
        const sluice_meta_entry *m = sluice_meta_at(e, i);
        sluice_string name = sluice_view(m->name), value = sluice_view(m->value);
        if (m->kind == SLUICE_META_QUERY || m->kind == SLUICE_META_COOKIE) {
            offer(&s, value);
        } else if (m->kind == SLUICE_META_HEADER && sluice_is(name, "authorization")) {
            offer_authorization(&s, value);
        } else if (m->kind == SLUICE_META_HEADER && sluice_is(name, "sec-websocket-protocol")) {
            offer_subprotocols(&s, value);
        }
    }
    return s;
}

#endif
