/* probe: tells all that it sees of an event, and answers in every way there
 * is. probe_go/main.go is the same filter. */
#define SLUICE_IMPLEMENTATION
#include "sluice.h"

SLUICE_STATE_VERSION(7)

static char storage[4096];
static sluice_text out;

static void add(const char *s) { sluice_text_add(&out, s); }
static void add_string(sluice_string s) { sluice_text_add_n(&out, s.ptr, s.len); }
static void add_quoted(sluice_string s) {
    add(",\"");
    add_string(s);
    add("\"");
}
static void add_int(int64_t v) {
    add(",");
    sluice_text_add_int(&out, v);
}
static void begin(void) { out = sluice_text_in(storage, sizeof storage); }

SLUICE_ON_CONNECT(e) {
    static char info[256];
    sluice_string user = sluice_meta_find(e, SLUICE_META_HEADER, "x-user");
    sluice_string name = sluice_meta_find(e, SLUICE_META_QUERY, "name");
    static const char grants[] = "[{\"rooms\":\"chat:*\",\"allow\":[\"join\",\"send\"]},{\"allow\":[\"direct\"]}]";
    if (e->kind == SLUICE_KIND_REFRESH) user = sluice_payload(e);
    if (!user.ptr) return sluice_deny_for(e, SLUICE_UNAUTHORIZED, 1500, "who are you?");
    sluice_set_user(e, user.ptr, user.len);
    sluice_set_grants(e, grants, sizeof grants - 1);
    sluice_set_expires_ms(e, e->time_ns / 1000000 + 60000);
    begin();
    add("{\"path\":\"");
    add_string(sluice_meta_find(e, SLUICE_META_ATTRIBUTE, "path"));
    add("\",\"cookie\":\"");
    add_string(sluice_meta_find(e, SLUICE_META_COOKIE, "s"));
    add("\",\"remote\":\"");
    add_string(sluice_remote(e));
    add("\"}");
    sluice_set_claims(e, out.ptr, out.len);
    out = sluice_text_in(info, sizeof info);
    add("\"");
    add_string(name);
    add("\"");
    sluice_set_info(e, out.ptr, out.len);
    return SLUICE_CONTINUE;
}

SLUICE_ON_JOIN(e) {
    if (sluice_is(sluice_room(e), "closed")) return sluice_deny(e, SLUICE_FORBIDDEN, "closed");
    return SLUICE_CONTINUE;
}

static int32_t tell(sluice_event *e) {
    begin();
    add("[");
    sluice_text_add_int(&out, e->hook);
    add_int(e->kind);
    add_int(e->flags);
    add_int(e->time_ns);
    add_int((int64_t)e->conn);
    add_int((int64_t)e->seq);
    add(",");
    add_string(sluice_payload(e));
    add_quoted(sluice_room(e));
    add_quoted(sluice_user(e));
    add_quoted(sluice_target(e));
    add(",");
    add_string(sluice_claims(e));
    add_quoted(sluice_state(e));
    add_int(e->state_version);
    add_quoted(sluice_remote(e));
    add_int(e->expires_ms);
    add("]");
    return sluice_rewrite(e, out.ptr, out.len);
}

static int32_t random_answer(sluice_event *e) {
    static unsigned char bytes[16];
    int64_t set = 0;
    if (sluice_random(bytes, sizeof bytes) != 0) return SLUICE_FAIL;
    for (uint32_t i = 0; i < sizeof bytes; i++) set += bytes[i] != 0;
    begin();
    sluice_text_add_int(&out, set);
    return sluice_rewrite(e, out.ptr, out.len);
}

static int32_t tell_number(sluice_event *e, int64_t v) {
    begin();
    sluice_text_add_int(&out, v);
    return sluice_rewrite(e, out.ptr, out.len);
}

static int32_t tell_value(sluice_event *e) {
    static char value[16];
    int32_t n = sluice_kv_get(sluice_string_of("k"), value, sizeof value);
    if (n > (int32_t)sizeof value || (n < 0 && n != SLUICE_ERROR_NOT_FOUND)) return SLUICE_FAIL;
    if (n < 0) return sluice_rewrite(e, "null", 4);
    begin();
    add("\"");
    sluice_text_add_n(&out, value, (uint32_t)n);
    add("\"");
    return sluice_rewrite(e, out.ptr, out.len);
}

static int32_t tell_lookup(sluice_event *e) {
    begin();
    add("[");
    sluice_text_add_int(&out, sluice_lookup_status(e));
    add(",");
    if (sluice_lookup_status(e) == SLUICE_LOOKUP_FOUND) add_string(sluice_lookup(e));
    else add("null");
    add("]");
    return sluice_rewrite(e, out.ptr, out.len);
}

/* The functions of which the node keeps something. */
static int32_t keep(sluice_event *e, sluice_string p) {
    if (sluice_is(p, "\"counter\"")) return tell_number(e, sluice_counter_add(sluice_string_of("c"), 1, 60000));
    if (sluice_is(p, "\"bucket\"")) return tell_number(e, sluice_bucket_take(sluice_string_of("b"), 1, 2, 1));
    if (sluice_is(p, "\"metric\"")) return tell_number(e, sluice_metric_add("probed", 2));
    if (sluice_is(p, "\"set\"")) return tell_number(e, sluice_kv_set(sluice_string_of("k"), "v", 1, 0));
    if (sluice_is(p, "\"get\"")) return tell_value(e);
    if (sluice_is(p, "\"lookup\"")) return tell_lookup(e);
    return tell(e);
}

SLUICE_ON_MESSAGE(e) {
    sluice_string p = sluice_payload(e);
    sluice_set_state(e, "kept", 4);
    if (sluice_is(p, "\"allow\"")) return SLUICE_ALLOW;
    if (sluice_is(p, "\"deny\"")) return sluice_deny(e, 1234, "no");
    if (sluice_is(p, "\"drop\"")) return SLUICE_DROP;
    if (sluice_is(p, "\"close\"")) return sluice_disconnect(e, 4003, "bye");
    if (sluice_is(p, "\"fail\"")) return SLUICE_FAIL;
    if (sluice_is(p, "\"reroute\"")) return sluice_reroute(e, "other", 5);
    if (sluice_is(p, "\"forget\"")) {
        sluice_set_state(e, NULL, 0);
        return SLUICE_CONTINUE;
    }
    if (sluice_is(p, "\"random\"")) return random_answer(e);
    if (sluice_is(p, "\"now\"")) return tell_number(e, sluice_now());
    return keep(e, p);
}

static int32_t log_end(sluice_event *e, const char *what) {
    begin();
    add(what);
    add(" ");
    add_string(sluice_room(e));
    add_int(e->cause);
    sluice_log_n(SLUICE_LOG_WARN, out.ptr, out.len);
    return SLUICE_CONTINUE;
}

SLUICE_ON_LEAVE(e) { return log_end(e, "left"); }
SLUICE_ON_DISCONNECT(e) { return log_end(e, "gone"); }
