/* sluice.h: write Sluice filters in C99 or C++11. One header, no library.
 *
 * In one file of the filter, and only there:
 *
 *     #define SLUICE_IMPLEMENTATION
 *     #include "sluice.h"
 *
 *     SLUICE_ON_MESSAGE(e) {
 *         if (sluice_payload(e).len > 1000) return sluice_deny(e, SLUICE_TOO_LARGE, "too long");
 *         return SLUICE_CONTINUE;
 *     }
 *
 * ABI.md, one folder up, is the normative text of what is declared here.
 * Compiled for wasm this file becomes a filter; compiled natively it becomes
 * something that a unit test can call, see "Native tests" at the end. */
#ifndef SLUICE_H
#define SLUICE_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
#define SLUICE_C extern "C"
extern "C" {
#else
#define SLUICE_C extern
#endif

#ifdef __GNUC__
#define SLUICE_RARE __attribute__((noinline, unused)) static /* small before fast */
#else
#define SLUICE_RARE static inline
#endif

#ifdef __wasm__
#define SLUICE_EXPORT(name) __attribute__((export_name(#name), used))
#define SLUICE_IMPORT(name) __attribute__((import_module("sluice"), import_name(#name)))
#else
#define SLUICE_EXPORT(name)
#endif

/* ---- The event: the question, and beside it the room for the answer ---- */

/* A run of bytes at an absolute address of the filter's memory. */
typedef struct sluice_span {
    uint32_t ptr, len;
} sluice_span;

typedef struct sluice_event {
    /* Inputs. Valid until the hook returns. */
    uint32_t size;          /* bytes of this struct that the host knows; 200 in version 1 */
    uint32_t hook;          /* SLUICE_HOOK_... */
    uint32_t kind;          /* SLUICE_KIND_... */
    uint32_t flags;         /* SLUICE_FLAG_... */
    int64_t time_ns;        /* when the event happened, Unix nanoseconds */
    uint64_t conn;          /* the connection; 0: none */
    uint64_t seq;           /* counts the connection's events, from 1 */
    sluice_span payload;    /* configure: the configuration; message: the content; refresh: the token */
    sluice_span room;
    sluice_span user;
    sluice_span target;     /* a direct message's receiver */
    sluice_span claims;     /* a JSON object */
    sluice_span state;      /* what this filter keeps about the connection */
    uint32_t state_version; /* the version that wrote it */
    uint32_t cause;         /* leave: SLUICE_CAUSE_...; disconnect: the close code */
    sluice_span meta;       /* connect: an array of sluice_meta_entry, len is their number */
    sluice_span lookup;     /* what the host looked up for the event, see sluice_lookup_status */
    sluice_span remote;     /* the client's address, without port */
    int64_t expires_ms;     /* when the identity expires, Unix milliseconds; 0: never */

    /* Outputs. All zero when the hook is called; the setters below fill them. */
    uint32_t out_code;
    uint32_t out_retry_ms;
    sluice_span out_reason;
    sluice_span out_payload;
    sluice_span out_room;
    sluice_span out_state;
    sluice_span out_user;
    sluice_span out_claims;
    sluice_span out_grants;
    int64_t out_expires_ms;
} sluice_event;

typedef struct sluice_meta_entry {
    uint32_t kind, zero; /* SLUICE_META_... */
    sluice_span name, value;
} sluice_meta_entry;

#define SLUICE_ASSERT_AT(field, offset) \
    typedef char sluice_assert_##field[offsetof(sluice_event, field) == (offset) ? 1 : -1]
SLUICE_ASSERT_AT(size, 0);
SLUICE_ASSERT_AT(hook, 4);
SLUICE_ASSERT_AT(kind, 8);
SLUICE_ASSERT_AT(flags, 12);
SLUICE_ASSERT_AT(time_ns, 16);
SLUICE_ASSERT_AT(conn, 24);
SLUICE_ASSERT_AT(seq, 32);
SLUICE_ASSERT_AT(payload, 40);
SLUICE_ASSERT_AT(room, 48);
SLUICE_ASSERT_AT(user, 56);
SLUICE_ASSERT_AT(target, 64);
SLUICE_ASSERT_AT(claims, 72);
SLUICE_ASSERT_AT(state, 80);
SLUICE_ASSERT_AT(state_version, 88);
SLUICE_ASSERT_AT(cause, 92);
SLUICE_ASSERT_AT(meta, 96);
SLUICE_ASSERT_AT(lookup, 104);
SLUICE_ASSERT_AT(remote, 112);
SLUICE_ASSERT_AT(expires_ms, 120);
SLUICE_ASSERT_AT(out_code, 128);
SLUICE_ASSERT_AT(out_retry_ms, 132);
SLUICE_ASSERT_AT(out_reason, 136);
SLUICE_ASSERT_AT(out_payload, 144);
SLUICE_ASSERT_AT(out_room, 152);
SLUICE_ASSERT_AT(out_state, 160);
SLUICE_ASSERT_AT(out_user, 168);
SLUICE_ASSERT_AT(out_claims, 176);
SLUICE_ASSERT_AT(out_grants, 184);
SLUICE_ASSERT_AT(out_expires_ms, 192);
typedef char sluice_assert_event_size[sizeof(sluice_event) == 200 ? 1 : -1];
typedef char sluice_assert_meta_size[sizeof(sluice_meta_entry) == 24 ? 1 : -1];

enum { /* event.hook */
    SLUICE_HOOK_CONFIGURE = 1,
    SLUICE_HOOK_CONNECT = 2,
    SLUICE_HOOK_JOIN = 3,
    SLUICE_HOOK_MESSAGE = 4,
    SLUICE_HOOK_LEAVE = 5,
    SLUICE_HOOK_DISCONNECT = 6
};
enum { /* event.kind */
    SLUICE_KIND_ROOM = 1, /* message */
    SLUICE_KIND_BROADCAST = 2,
    SLUICE_KIND_DIRECT = 3,
    SLUICE_KIND_NEW = 1, /* connect */
    SLUICE_KIND_REFRESH = 2
};
enum { SLUICE_FLAG_SERVER = 1 }; /* event.flags: from the server API */
enum { /* what sluice_lookup_status answers */
    SLUICE_LOOKUP_NONE = 0, /* no lookup was made */
    SLUICE_LOOKUP_FOUND = 1,
    SLUICE_LOOKUP_MISSED = 2, /* there is no answer */
    SLUICE_LOOKUP_FAILED = 3
};
enum { /* event.cause of leave */
    SLUICE_CAUSE_LEFT = 0,
    SLUICE_CAUSE_DISCONNECTED = 1,
    SLUICE_CAUSE_REMOVED = 2
};
enum { /* sluice_meta_entry.kind */
    SLUICE_META_ATTRIBUTE = 1, /* path, host, origin */
    SLUICE_META_HEADER = 2,    /* names in lower case */
    SLUICE_META_QUERY = 3,
    SLUICE_META_COOKIE = 4
};
enum { /* what a hook returns; below 0: the filter reports its own failure */
    SLUICE_CONTINUE = 0,
    SLUICE_ALLOW = 1,
    SLUICE_DENY = 2,
    SLUICE_DROP = 3,
    SLUICE_DISCONNECT = 4,
    SLUICE_FAIL = -1
};
enum { /* codes of a denial; 1000 to 3999 are the filter's own */
    SLUICE_BAD_REQUEST = 400,
    SLUICE_UNAUTHORIZED = 401,
    SLUICE_FORBIDDEN = 403,
    SLUICE_NOT_FOUND = 404,
    SLUICE_CONFLICT = 409,
    SLUICE_TOO_LARGE = 413,
    SLUICE_INVALID = 422,
    SLUICE_RATE_LIMITED = 429,
    SLUICE_UNAVAILABLE = 503
};
enum { /* maxima of outputs, in bytes */
    SLUICE_MAX_NAME = 255, /* room, user */
    SLUICE_MAX_REASON = 512,
    SLUICE_MAX_CLAIMS = 16384, /* also grants */
    SLUICE_MAX_STATE = 1024    /* unless the configuration allows more */
};
enum { SLUICE_LOG_DEBUG = 0, SLUICE_LOG_INFO = 1, SLUICE_LOG_WARN = 2, SLUICE_LOG_ERROR = 3 };

/* ---- Hooks: what a filter defines ---- */

#define SLUICE_HOOK_(name, e)          \
    SLUICE_C int32_t name(sluice_event *); \
    SLUICE_EXPORT(name) int32_t name(sluice_event *e)
#define SLUICE_ON_CONFIGURE(e) SLUICE_HOOK_(on_configure, e)
#define SLUICE_ON_CONNECT(e) SLUICE_HOOK_(on_connect, e)
#define SLUICE_ON_JOIN(e) SLUICE_HOOK_(on_join, e)
#define SLUICE_ON_MESSAGE(e) SLUICE_HOOK_(on_message, e)
#define SLUICE_ON_LEAVE(e) SLUICE_HOOK_(on_leave, e)
#define SLUICE_ON_DISCONNECT(e) SLUICE_HOOK_(on_disconnect, e)

/* Optional: the version of the layout of this filter's state. */
#define SLUICE_STATE_VERSION(n)               \
    SLUICE_C int32_t sluice_state_version(void); \
    SLUICE_EXPORT(sluice_state_version) int32_t sluice_state_version(void) { return (n); }

/* ---- Reading inputs ---- */

typedef struct sluice_string { /* bytes, not ended by NUL as far as len knows */
    const char *ptr;
    uint32_t len;
} sluice_string;

#ifdef __wasm__
static inline sluice_string sluice_view(sluice_span s) {
    sluice_string v = {(const char *)(uintptr_t)s.ptr, s.len};
    return v;
}
static inline void sluice_put(sluice_span *out, const void *p, uint32_t n) {
    out->ptr = (uint32_t)(uintptr_t)(p ? p : (const void *)out);
    out->len = p ? n : 0;
}
#else
sluice_string sluice_view(sluice_span s);
void sluice_put(sluice_span *out, const void *p, uint32_t n);
#endif

static inline sluice_string sluice_payload(const sluice_event *e) { return sluice_view(e->payload); }
static inline sluice_string sluice_room(const sluice_event *e) { return sluice_view(e->room); }
static inline sluice_string sluice_user(const sluice_event *e) { return sluice_view(e->user); }
static inline sluice_string sluice_target(const sluice_event *e) { return sluice_view(e->target); }
static inline sluice_string sluice_claims(const sluice_event *e) { return sluice_view(e->claims); }
static inline sluice_string sluice_state(const sluice_event *e) { return sluice_view(e->state); }
static inline sluice_string sluice_remote(const sluice_event *e) { return sluice_view(e->remote); }
/* What the filter's `lookup:` found for the event; empty unless the status is SLUICE_LOOKUP_FOUND. */
static inline sluice_string sluice_lookup(const sluice_event *e) { return sluice_view(e->lookup); }
static inline int32_t sluice_lookup_status(const sluice_event *e) { return (int32_t)(e->flags >> 1 & 3); }

static inline uint32_t sluice_length(const char *s) {
    uint32_t n = 0;
    while (s[n]) n++;
    return n;
}

static inline sluice_string sluice_string_of(const char *text) {
    sluice_string s = {text, sluice_length(text)};
    return s;
}

/* Whether s is the NUL-terminated text. */
static inline int sluice_is(sluice_string s, const char *text) {
    uint32_t i;
    for (i = 0; i < s.len; i++)
        if (text[i] == 0 || s.ptr[i] != text[i]) return 0;
    return text[i] == 0;
}

/* The i-th of e->meta.len entries of a connect event. */
static inline const sluice_meta_entry *sluice_meta_at(const sluice_event *e, uint32_t i) {
    sluice_span all;
    all.ptr = e->meta.ptr;
    all.len = e->meta.len * (uint32_t)sizeof(sluice_meta_entry);
    return (const sluice_meta_entry *)(const void *)sluice_view(all).ptr + i;
}

/* The first value of that kind and name (a header's in lower case); its ptr is NULL where there is none. */
static inline sluice_string sluice_meta_find(const sluice_event *e, uint32_t kind, const char *name) {
    sluice_string none = {NULL, 0};
    for (uint32_t i = 0; i < e->meta.len; i++) {
        const sluice_meta_entry *m = sluice_meta_at(e, i);
        if (m->kind == kind && sluice_is(sluice_view(m->name), name)) return sluice_view(m->value);
    }
    return none;
}

/* ---- Answering ----
 * Outputs may point at constants, statics, the heap and the inputs, but never
 * at a local variable: the host reads them after the hook has returned. n = 0
 * clears what was there before. */

static inline int32_t sluice_refuse_(sluice_event *e, int32_t verdict, uint32_t code, const char *reason, uint32_t n) {
    e->out_code = code;
    sluice_put(&e->out_reason, reason, n);
    return verdict;
}
static inline int32_t sluice_deny_n(sluice_event *e, uint32_t code, const char *reason, uint32_t n) {
    return sluice_refuse_(e, SLUICE_DENY, code, reason, n);
}
static inline int32_t sluice_deny(sluice_event *e, uint32_t code, const char *reason) {
    return sluice_refuse_(e, SLUICE_DENY, code, reason, sluice_length(reason));
}
/* Deny, and tell the sender when it may try again. */
static inline int32_t sluice_deny_for(sluice_event *e, uint32_t code, uint32_t retry_ms, const char *reason) {
    e->out_retry_ms = retry_ms;
    return sluice_deny(e, code, reason);
}
/* Close the connection; code is 4000 to 4999, or 0 for 4008. */
static inline int32_t sluice_disconnect(sluice_event *e, uint32_t code, const char *reason) {
    return sluice_refuse_(e, SLUICE_DISCONNECT, code, reason, sluice_length(reason));
}
/* Replace the content of a message by another JSON value, and continue. */
static inline int32_t sluice_rewrite(sluice_event *e, const void *json, uint32_t n) {
    sluice_put(&e->out_payload, json, n);
    return SLUICE_CONTINUE;
}
/* Send a room message to another room, and continue. Needs `may: {reroute: [...]}` in the configuration. */
static inline int32_t sluice_reroute(sluice_event *e, const char *room, uint32_t n) {
    sluice_put(&e->out_room, room, n);
    return SLUICE_CONTINUE;
}
/* What the next event of this connection finds in sluice_state, on any verdict; n = 0 forgets it. */
static inline void sluice_set_state(sluice_event *e, const void *p, uint32_t n) { sluice_put(&e->out_state, p, n); }

/* Identity, in on_connect. Info is a JSON value that others see beside the user; claims is a JSON object. */
static inline void sluice_set_user(sluice_event *e, const char *p, uint32_t n) { sluice_put(&e->out_user, p, n); }
static inline void sluice_set_info(sluice_event *e, const char *json, uint32_t n) { sluice_put(&e->out_payload, json, n); }
static inline void sluice_set_claims(sluice_event *e, const char *json, uint32_t n) { sluice_put(&e->out_claims, json, n); }
static inline void sluice_set_grants(sluice_event *e, const char *json, uint32_t n) { sluice_put(&e->out_grants, json, n); }
static inline void sluice_set_expires_ms(sluice_event *e, int64_t unix_ms) { e->out_expires_ms = unix_ms; }

/* ---- Composing text, such as a reason with a number in it ----
 * What does not fit is left out, at the boundary of a UTF-8 character. */

typedef struct sluice_text {
    char *ptr;
    uint32_t len, cap;
} sluice_text;

static inline sluice_text sluice_text_in(char *storage, uint32_t cap) {
    sluice_text t = {storage, 0, cap};
    return t;
}
SLUICE_RARE void sluice_text_add_n(sluice_text *t, const char *p, uint32_t n) {
    if (n > t->cap - t->len) {
        n = t->cap - t->len;
        while (n > 0 && ((unsigned char)p[n] & 0xC0) == 0x80) n--;
        t->cap = t->len + n;
    }
    char *to = t->ptr + t->len; /* kept here: what is written could be t itself */
    for (uint32_t i = 0; i < n; i++) to[i] = p[i];
    t->len += n;
}
SLUICE_RARE void sluice_text_add(sluice_text *t, const char *s) { sluice_text_add_n(t, s, sluice_length(s)); }
SLUICE_RARE void sluice_text_add_int(sluice_text *t, int64_t v) {
    char digits[20];
    uint32_t n = 0;
    uint64_t u = v < 0 ? 0 - (uint64_t)v : (uint64_t)v;
    do digits[19 - n++] = (char)('0' + u % 10);
    while ((u /= 10) != 0);
    if (v < 0) digits[19 - n++] = '-';
    sluice_text_add_n(t, digits + 20 - n, n);
}

/* ---- Capabilities: a module imports those that it calls, and no others ---- */

enum { /* what sluice_verify answers */
    SLUICE_VERIFIED = 1,
    SLUICE_NOT_VERIFIED = 0,
    SLUICE_VERIFY_NO_ALGORITHM = -1,
    SLUICE_VERIFY_NO_KEYS = -2,    /* the filter has no `keys:` */
    SLUICE_VERIFY_UNAVAILABLE = -5 /* its keys have not been fetched yet */
};
enum { /* errors of the functions that keep something on the node */
    SLUICE_ERROR_ARGUMENT = -1,
    SLUICE_ERROR_UNSUPPORTED = -2, /* the node is older than the function */
    SLUICE_ERROR_NOT_FOUND = -3,
    SLUICE_ERROR_QUOTA = -4 /* the filter keeps as much as its `limits:` allow */
};

#ifdef __wasm__
SLUICE_IMPORT(log) void sluice_import_log(int32_t level, const char *p, uint32_t n);
SLUICE_IMPORT(now) int64_t sluice_now(void);                          /* Unix nanoseconds, at this moment */
SLUICE_IMPORT(random) int32_t sluice_random(void *p, uint32_t n);     /* 0, or an error below 0 */
SLUICE_IMPORT(verify) int32_t sluice_import_verify(const char *alg, uint32_t alg_len, const char *kid, uint32_t kid_len, const char *message,
                                                   uint32_t message_len, const char *signature, uint32_t signature_len);
SLUICE_IMPORT(metric_add) int32_t sluice_import_metric_add(const char *name, uint32_t name_len, int64_t delta);
SLUICE_IMPORT(counter_add) int64_t sluice_import_counter_add(const char *key, uint32_t key_len, int64_t delta, int64_t window_ms);
SLUICE_IMPORT(bucket_take) int64_t sluice_import_bucket_take(const char *key, uint32_t key_len, int64_t tokens, int64_t burst,
                                                             int64_t refill_per_s);
SLUICE_IMPORT(kv_get) int32_t sluice_import_kv_get(const char *key, uint32_t key_len, void *out, uint32_t out_cap);
SLUICE_IMPORT(kv_set) int32_t sluice_import_kv_set(const char *key, uint32_t key_len, const void *value, uint32_t value_len, int64_t ttl_ms);
static inline void sluice_log_n(int32_t level, const char *p, uint32_t n) { sluice_import_log(level, p, n); }
/* Adds to one of the filter's metrics, [a-z_][a-z0-9_]* of at most 64 bytes. 0, or an error. */
static inline int32_t sluice_metric_add(const char *name, int64_t delta) { return sluice_import_metric_add(name, sluice_length(name), delta); }
/* Adds to a counter of the whole node, and returns its new value, never below 0,
 * or an error. Keys have 1 to 255 bytes. The count starts anew when window_ms
 * have passed since its first add; 0: never. delta 0 reads. */
static inline int64_t sluice_counter_add(sluice_string key, int64_t delta, int64_t window_ms) {
    return sluice_import_counter_add(key.ptr, key.len, delta, window_ms);
}
/* Takes tokens from a bucket of the whole node, which holds burst, is full at
 * first, and is refilled: 0 if they were taken; else none were, and the result
 * is in how many milliseconds they could be (INT64_MAX: never), or an error. */
static inline int64_t sluice_bucket_take(sluice_string key, int64_t tokens, int64_t burst, int64_t refill_per_s) {
    return sluice_import_bucket_take(key.ptr, key.len, tokens, burst, refill_per_s);
}
/* The length of a value that the node keeps, which is copied to out if it fits, or an error. */
static inline int32_t sluice_kv_get(sluice_string key, void *out, uint32_t cap) { return sluice_import_kv_get(key.ptr, key.len, out, cap); }
/* Keeps a value on the node for ttl_ms; 0: for ever; below 0: forgets it. 0, or an error. */
static inline int32_t sluice_kv_set(sluice_string key, const void *value, uint32_t n, int64_t ttl_ms) {
    return sluice_import_kv_set(key.ptr, key.len, value, n, ttl_ms);
}
/* Whether one of the filter's `keys:` verifies the signature of the message. alg
 * is a JWS algorithm, kid may be empty. Granted by `keys:`. */
static inline int32_t sluice_verify(sluice_string alg, sluice_string kid, sluice_string message, sluice_string signature) {
    return sluice_import_verify(alg.ptr, alg.len, kid.ptr, kid.len, message.ptr, message.len, signature.ptr, signature.len);
}
#else
int32_t sluice_verify(sluice_string alg, sluice_string kid, sluice_string message, sluice_string signature);
int64_t sluice_now(void);
int32_t sluice_random(void *p, uint32_t n);
void sluice_log_n(int32_t level, const char *p, uint32_t n);
int32_t sluice_metric_add(const char *name, int64_t delta);
int64_t sluice_counter_add(sluice_string key, int64_t delta, int64_t window_ms);
int64_t sluice_bucket_take(sluice_string key, int64_t tokens, int64_t burst, int64_t refill_per_s);
int32_t sluice_kv_get(sluice_string key, void *out, uint32_t cap);
int32_t sluice_kv_set(sluice_string key, const void *value, uint32_t n, int64_t ttl_ms);
#endif
static inline void sluice_log(int32_t level, const char *text) { sluice_log_n(level, text, sluice_length(text)); }

/* ---- Native tests: compile natively, fill an event, call the hook, look at the outputs ---- */

#ifndef __wasm__
void sluice_test_begin(sluice_event *e, uint32_t hook);     /* a fresh event; earlier ones become invalid */
void sluice_test_put(sluice_span *field, const char *text); /* sluice_test_put(&e.payload, "\"hi\"") */
void sluice_test_put_n(sluice_span *field, const void *p, uint32_t n);
void sluice_test_meta(sluice_event *e, uint32_t kind, const char *name, const char *value);
int sluice_test_is(sluice_span field, const char *text); /* whether a field holds the text */
void sluice_test_lookup(sluice_event *e, int32_t status, const char *text); /* what the event's lookup ended with; text of FOUND */
void sluice_test_forget(void);                /* all metrics, counters, buckets and values, which else outlive an event */
int64_t sluice_test_metric(const char *name); /* what sluice_metric_add has added */
extern int64_t sluice_test_now;               /* what sluice_now answers, and what counters, buckets and values go by */
/* What sluice_verify asks; NULL, as at first: there are no keys. */
extern int32_t (*sluice_test_verify)(sluice_string alg, sluice_string kid, sluice_string message, sluice_string signature);
#endif

#ifdef __cplusplus
}
#endif
#endif /* SLUICE_H */

#if defined(SLUICE_IMPLEMENTATION) && !defined(SLUICE_IMPLEMENTED)
#define SLUICE_IMPLEMENTED
#ifndef __wasm__
#include <stdio.h>
#include <string.h>
#endif
#if !defined(__wasm__) || defined(__wasi__) || defined(__EMSCRIPTEN__)
#include <stdlib.h>
#endif
#ifdef __cplusplus
extern "C" {
#endif

#ifdef __wasm__

SLUICE_C void sluice_abi_v1(void);
SLUICE_EXPORT(sluice_abi_v1) void sluice_abi_v1(void) {}

SLUICE_C void *sluice_buffer(uint32_t min);
#ifdef SLUICE_BUFFER_SIZE
/* A fixed buffer: events that need more are refused as too big. */
static uint64_t sluice_buffer_[(SLUICE_BUFFER_SIZE + 7) / 8];
SLUICE_EXPORT(sluice_buffer) void *sluice_buffer(uint32_t min) {
    return min <= sizeof sluice_buffer_ ? (void *)sluice_buffer_ : NULL;
}
#elif defined(__wasi__) || defined(__EMSCRIPTEN__)
/* With a libc, memory is malloc's alone: some take all that there is when they are first called. */
SLUICE_EXPORT(sluice_buffer) void *sluice_buffer(uint32_t min) {
    static void *buffer;
    static uint32_t size;
    void *larger;
    if (min <= size) return buffer;
    larger = malloc(min); /* the old one stays where this fails */
    if (!larger) return NULL;
    free(buffer);
    buffer = larger;
    size = min;
    return buffer;
}
#else
/* Without one, a growing buffer in pages of its own. */
SLUICE_EXPORT(sluice_buffer) void *sluice_buffer(uint32_t min) {
    static uint32_t base, pages; /* what was given out last, in pages */
    uint32_t end = (uint32_t)__builtin_wasm_memory_size(0);
    uint32_t want = min / 65536 + (min % 65536 != 0), from = base, have = pages;
    if (want == 0) want = 1;
    if (want <= have) return (void *)(uintptr_t)(base * 65536);
    if (have == 0 || from + have != end) { /* somebody else has grown memory: begin behind it */
        from = end;
        have = 0;
    }
    if (__builtin_wasm_memory_grow(0, want - have) == (size_t)-1) return NULL;
    base = from;
    pages = want;
    return (void *)(uintptr_t)(base * 65536);
}
#endif

/* Compilers emit calls to these even where no library is linked. */
#if !__STDC_HOSTED__ && !defined(SLUICE_NO_MEMORY_FUNCTIONS)
SLUICE_C void *memcpy(void *to, const void *from, size_t n);
SLUICE_C void *memmove(void *to, const void *from, size_t n);
SLUICE_C void *memset(void *to, int c, size_t n);
SLUICE_C int memcmp(const void *a, const void *b, size_t n);
SLUICE_C size_t strlen(const char *s);
__attribute__((weak, no_builtin)) void *memcpy(void *to, const void *from, size_t n) {
    unsigned char *t = (unsigned char *)to;
    const unsigned char *f = (const unsigned char *)from;
    while (n--) *t++ = *f++;
    return to;
}
__attribute__((weak, no_builtin)) void *memmove(void *to, const void *from, size_t n) {
    unsigned char *t = (unsigned char *)to;
    const unsigned char *f = (const unsigned char *)from;
    if (t <= f) while (n--) *t++ = *f++;
    else while (n--) t[n] = f[n];
    return to;
}
__attribute__((weak, no_builtin)) void *memset(void *to, int c, size_t n) {
    unsigned char *t = (unsigned char *)to;
    while (n--) *t++ = (unsigned char)c;
    return to;
}
__attribute__((weak, no_builtin)) int memcmp(const void *a, const void *b, size_t n) {
    const unsigned char *x = (const unsigned char *)a, *y = (const unsigned char *)b;
    for (; n; n--, x++, y++)
        if (*x != *y) return *x - *y;
    return 0;
}
__attribute__((weak, no_builtin)) size_t strlen(const char *s) {
    size_t n = 0;
    while (s[n]) n++;
    return n;
}
#endif

#else /* native */

/* Spans hold 32-bit addresses, so natively they count from the start of this. */
#define SLUICE_TEST_MEMORY (4u << 20)
static uint64_t sluice_test_memory_[SLUICE_TEST_MEMORY / 8];
static uint32_t sluice_test_used_;
int64_t sluice_test_now = 0;
int32_t (*sluice_test_verify)(sluice_string alg, sluice_string kid, sluice_string message, sluice_string signature) = NULL;

static uint32_t sluice_test_take_(uint32_t n) {
    uint32_t at = (sluice_test_used_ + 7u) & ~7u;
    if (at == 0) at = 8;
    if (n >= SLUICE_TEST_MEMORY - at) {
        fprintf(stderr, "sluice.h: the event takes more than the %u bytes of a native test\n", SLUICE_TEST_MEMORY);
        abort();
    }
    sluice_test_used_ = at + n + 1;
    return at;
}
sluice_string sluice_view(sluice_span s) {
    sluice_string v = {(const char *)sluice_test_memory_ + s.ptr, s.len};
    return v;
}
void sluice_put(sluice_span *out, const void *p, uint32_t n) {
    char *to;
    if (!p) n = 0;
    out->ptr = sluice_test_take_(n);
    out->len = n;
    to = (char *)sluice_test_memory_ + out->ptr;
    if (n) memcpy(to, p, n);
    to[n] = 0;
}
void sluice_test_begin(sluice_event *e, uint32_t hook) {
    sluice_test_used_ = 0;
    memset(e, 0, sizeof *e);
    e->size = sizeof *e;
    e->hook = hook;
    e->seq = 1;
    e->conn = 1;
    sluice_test_put(&e->payload, "");
    e->room = e->user = e->target = e->claims = e->state = e->lookup = e->remote = e->payload;
    e->meta.ptr = e->payload.ptr;
}
void sluice_test_put_n(sluice_span *field, const void *p, uint32_t n) { sluice_put(field, p, n); }
void sluice_test_put(sluice_span *field, const char *text) { sluice_put(field, text, (uint32_t)strlen(text)); }
void sluice_test_meta(sluice_event *e, uint32_t kind, const char *name, const char *value) {
    uint32_t n = e->meta.len, size = (uint32_t)sizeof(sluice_meta_entry);
    uint32_t at = sluice_test_take_((n + 1) * size);
    sluice_meta_entry *to = (sluice_meta_entry *)(void *)((char *)sluice_test_memory_ + at);
    memcpy(to, (char *)sluice_test_memory_ + e->meta.ptr, n * size);
    memset(&to[n], 0, size);
    to[n].kind = kind;
    sluice_test_put(&to[n].name, name);
    sluice_test_put(&to[n].value, value);
    e->meta.ptr = at;
    e->meta.len = n + 1;
}
int sluice_test_is(sluice_span field, const char *text) { return sluice_is(sluice_view(field), text); }
int64_t sluice_now(void) { return sluice_test_now; }
int32_t sluice_random(void *p, uint32_t n) {
    static uint64_t x = 88172645463325252u; /* xorshift: the same in every run */
    unsigned char *to = (unsigned char *)p;
    while (n--) {
        x ^= x << 13;
        x ^= x >> 7;
        x ^= x << 17;
        *to++ = (unsigned char)x;
    }
    return 0;
}
int32_t sluice_verify(sluice_string alg, sluice_string kid, sluice_string message, sluice_string signature) {
    if (!sluice_test_verify) return SLUICE_VERIFY_NO_KEYS;
    return alg.len ? sluice_test_verify(alg, kid, message, signature) : SLUICE_VERIFY_NO_ALGORITHM;
}
void sluice_test_lookup(sluice_event *e, int32_t status, const char *text) {
    e->flags = (e->flags & ~6u) | ((uint32_t)status & 3u) << 1;
    sluice_test_put(&e->lookup, status == SLUICE_LOOKUP_FOUND ? text : "");
}

/* What a node keeps, in a list; without quotas. */
typedef struct sluice_kept_ {
    struct sluice_kept_ *next;
    int kind; /* m, c, b or v */
    uint32_t key_len, len;
    int64_t number, ends; /* ends: 0: never */
    int64_t since;        /* of a counter: its first add; of a bucket: when it had this level */
    double level;         /* in tokens */
    char *key, *value;
} sluice_kept_;
static sluice_kept_ *sluice_kept_all_;

static void *sluice_test_alloc_(size_t n) {
    void *p = calloc(1, n + 1);
    if (!p) abort();
    return p;
}
static void sluice_kept_drop_(sluice_kept_ **at) {
    sluice_kept_ *gone = *at;
    if (!gone) return;
    *at = gone->next;
    free(gone->key);
    free(gone->value);
    free(gone);
}
/* The entry's place in the list, or the end of it. What has ended is gone. */
static sluice_kept_ **sluice_kept_at_(int kind, sluice_string key) {
    sluice_kept_ **at = &sluice_kept_all_;
    while (*at && ((*at)->kind != kind || (*at)->key_len != key.len || memcmp((*at)->key, key.ptr, key.len) != 0)) at = &(*at)->next;
    if (*at && (*at)->ends && sluice_test_now >= (*at)->ends) {
        sluice_kept_drop_(at);
        return sluice_kept_at_(kind, key);
    }
    return at;
}
static sluice_kept_ *sluice_kept_make_(sluice_kept_ **at, int kind, sluice_string key) {
    sluice_kept_ *k = *at;
    if (k) return k;
    k = (sluice_kept_ *)sluice_test_alloc_(sizeof *k);
    k->kind = kind;
    k->key = (char *)sluice_test_alloc_(key.len);
    memcpy(k->key, key.ptr, key.len);
    k->key_len = key.len;
    return *at = k;
}
static int64_t sluice_kept_ends_(int64_t since, int64_t ms) {
    if (ms <= 0 || ms > (INT64_MAX - (since < 0 ? 0 : since)) / 1000000) return 0;
    return since + ms * 1000000;
}
static int64_t sluice_kept_sum_(int64_t value, int64_t delta) {
    if (delta > 0 && value > INT64_MAX - delta) return INT64_MAX;
    return value + delta < 0 ? 0 : value + delta;
}
void sluice_test_forget(void) {
    while (sluice_kept_all_) sluice_kept_drop_(&sluice_kept_all_);
}
int64_t sluice_test_metric(const char *name) {
    sluice_kept_ *k = *sluice_kept_at_('m', sluice_string_of(name));
    return k ? k->number : 0;
}
int32_t sluice_metric_add(const char *name, int64_t delta) {
    sluice_string key = sluice_string_of(name);
    sluice_kept_ *k;
    if (key.len < 1 || key.len > 64 || delta < 0 || (name[0] >= '0' && name[0] <= '9')) return SLUICE_ERROR_ARGUMENT;
    for (const char *c = name; *c; c++)
        if (!((*c >= 'a' && *c <= 'z') || (*c >= '0' && *c <= '9') || *c == '_')) return SLUICE_ERROR_ARGUMENT;
    k = sluice_kept_make_(sluice_kept_at_('m', key), 'm', key);
    k->number = sluice_kept_sum_(k->number, delta);
    return 0;
}
int64_t sluice_counter_add(sluice_string key, int64_t delta, int64_t window_ms) {
    sluice_kept_ **at, *k;
    if (key.len < 1 || key.len > 255 || window_ms < 0) return SLUICE_ERROR_ARGUMENT;
    at = sluice_kept_at_('c', key);
    if (*at && sluice_kept_ends_((*at)->since, window_ms) && sluice_test_now >= sluice_kept_ends_((*at)->since, window_ms)) {
        if (delta == 0) return 0;
        sluice_kept_drop_(at);
    }
    if (delta == 0) return *at ? (*at)->number : 0;
    if (!*at) {
        if (delta < 0) return 0;
        sluice_kept_make_(at, 'c', key)->since = sluice_test_now;
    }
    k = *at;
    k->ends = sluice_kept_ends_(k->since, window_ms);
    k->number = sluice_kept_sum_(k->number, delta);
    if (k->number > 0) return k->number;
    sluice_kept_drop_(at);
    return 0;
}
int64_t sluice_bucket_take(sluice_string key, int64_t tokens, int64_t burst, int64_t refill_per_s) {
    sluice_kept_ **at, *k;
    double level = (double)burst, wait;
    if (key.len < 1 || key.len > 255 || tokens < 0 || burst < 1 || tokens > burst || refill_per_s < 0) return SLUICE_ERROR_ARGUMENT;
    at = sluice_kept_at_('b', key);
    if (*at) {
        if (sluice_test_now < (*at)->since) (*at)->since = sluice_test_now; /* the clock was set back */
        level = (*at)->level + (double)(sluice_test_now - (*at)->since) * 1e-9 * (double)refill_per_s;
        if (level > (double)burst) level = (double)burst;
    }
    if ((double)tokens > level + 1e-9) {
        if (refill_per_s == 0) return INT64_MAX;
        wait = ((double)tokens - level) * 1000 / (double)refill_per_s;
        if (wait >= 9e18) return INT64_MAX;
        return (double)(int64_t)wait < wait - 1e-6 ? (int64_t)wait + 1 : (int64_t)wait > 0 ? (int64_t)wait : 1;
    }
    if (tokens == 0) return 0;
    k = sluice_kept_make_(at, 'b', key);
    k->level = level - (double)tokens;
    k->since = sluice_test_now;
    return 0;
}
int32_t sluice_kv_get(sluice_string key, void *out, uint32_t cap) {
    sluice_kept_ *k;
    if (key.len < 1 || key.len > 255) return SLUICE_ERROR_ARGUMENT;
    k = *sluice_kept_at_('v', key);
    if (!k) return SLUICE_ERROR_NOT_FOUND;
    if (k->len > 0 && k->len <= cap) memcpy(out, k->value, k->len);
    return (int32_t)k->len;
}
int32_t sluice_kv_set(sluice_string key, const void *value, uint32_t n, int64_t ttl_ms) {
    sluice_kept_ *k;
    if (key.len < 1 || key.len > 255) return SLUICE_ERROR_ARGUMENT;
    if (ttl_ms < 0) {
        sluice_kept_drop_(sluice_kept_at_('v', key));
        return 0;
    }
    k = sluice_kept_make_(sluice_kept_at_('v', key), 'v', key);
    free(k->value);
    k->value = (char *)sluice_test_alloc_(n);
    if (n) memcpy(k->value, value, n);
    k->len = n;
    k->ends = sluice_kept_ends_(sluice_test_now, ttl_ms);
    return 0;
}
void sluice_log_n(int32_t level, const char *p, uint32_t n) { fprintf(stderr, "[log %d] %.*s\n", (int)level, (int)n, p); }

#endif /* native */

#ifdef __cplusplus
}
#endif
#endif /* SLUICE_IMPLEMENTATION */
