/* report.h: the words of a refusal, and where in a document something is. */
#ifndef VALIDATE_REPORT_H
#define VALIDATE_REPORT_H

enum { MAX_PATH = 256, MAX_SHOWN = 64 };

static char reason_storage[SLUICE_MAX_REASON];
static sluice_text reason;

static void begin_reason(void) { reason = sluice_text_in(reason_storage, sizeof reason_storage); }
static void say(const char *text) { sluice_text_add(&reason, text); }
static void say_number(int64_t n) { sluice_text_add_int(&reason, n); }

/* Appends text that a sender or a schema wrote: at most most bytes of it, and
 * what is no printable UTF-8 as a question mark. */
static void say_text(const char *p, uint32_t len, uint32_t most) {
    const char *end = p + len, *from = p;
    while (p < end) {
        const char *before = p;
        uint32_t c = get_utf8(&p, end);
        if ((uint32_t)(p - from) > most) {
            say("...");
            return;
        }
        int whole = c >= 0x20 && c != 0x7F && (c < 0xD800 || c >= 0xE000) && c <= 0x10FFFF && (p - before > 1 || c < 0x80) &&
                    !(p - before == 2 && c < 0x80) && !(p - before == 3 && c < 0x800) && !(p - before == 4 && c < 0x10000);
        if (whole)
            sluice_text_add_n(&reason, before, (uint32_t)(p - before));
        else
            say("?");
    }
}

static void say_quoted(const char *p, uint32_t len) {
    say("\"");
    say_text(p, len, MAX_SHOWN);
    say("\"");
}

/* A key as a step of a JSON pointer. */
static void say_step(const char *p, uint32_t len) {
    uint32_t begun = reason.len;
    say("/");
    for (uint32_t i = 0, from = 0; i <= len; i++) {
        if (i < len && p[i] != '/' && p[i] != '~') continue;
        if (reason.len - begun > MAX_SHOWN) {
            say("...");
            return;
        }
        say_text(p + from, i - from, MAX_SHOWN);
        if (i < len) say(p[i] == '/' ? "~1" : "~0");
        from = i + 1;
    }
}

/* Appends the JSON pointer of a value, or of the value of a key. */
static void say_path(const node *root, const node *target) {
    uint32_t begun = reason.len;
    const node *at = root;
    while (at != target && (at->type == T_ARRAY || at->type == T_OBJECT)) {
        const node *child = at + 1;
        for (uint32_t i = 0;; i++) {
            const node *value = at->type == T_OBJECT ? child + 1 : child;
            if (i == at->tag) return;
            if (target < value + value->span) {
                if (reason.len - begun > MAX_PATH) {
                    say("/...");
                    return;
                }
                if (at->type == T_OBJECT) {
                    say_step(child->at, child->len);
                } else {
                    say("/");
                    say_number(i);
                }
                if (target == child) return;
                at = value;
                break;
            }
            child = value + value->span;
        }
    }
}

static const char *type_name(const node *v) {
    static const char *const names[] = {"null", "a boolean", "a number", "a string", "an array", "an object"};
    return names[v->type];
}

/* A scalar as it would be written, cut short. */
static void say_value(const node *v) {
    if (v->type == T_STRING)
        say_quoted(v->at, v->len);
    else if (v->type == T_NUMBER)
        say_text(v->at, v->len, 32);
    else if (v->type == T_BOOL)
        say(v->is_true ? "true" : "false");
    else
        say(v->type == T_NULL ? "null" : type_name(v));
}

#endif
