/* Native tests of sluice.h, sluice_json.h and sluice_rooms.h themselves. */
#define SLUICE_IMPLEMENTATION
#include "sluice.h"
#include "sluice_json.h"
#include "sluice_rooms.h"

static int failures;

static void expect(int ok, const char *what) {
    printf("%s %s\n", ok ? "ok  " : "FAIL", what);
    failures += !ok;
}

static sluice_string in(const char *s) { return sluice_string_of(s); }

static void text(void) {
    char room[8];
    sluice_text t = sluice_text_in(room, 8);
    sluice_text_add(&t, "abc");
    sluice_text_add_int(&t, -42);
    expect(t.len == 6 && memcmp(room, "abc-42", 6) == 0, "text and numbers are composed");
    sluice_text_add(&t, "x\xC3\xA9");
    expect(t.len == 7 && room[6] == 'x', "what does not fit is cut before a character");
    sluice_text_add(&t, "y");
    expect(t.len == 7, "and nothing is added behind a cut");
    char wide[24];
    t = sluice_text_in(wide, sizeof wide);
    sluice_text_add_int(&t, INT64_MIN);
    expect(t.len == 20 && memcmp(wide, "-9223372036854775808", 20) == 0, "the smallest number is composed");
    t = sluice_text_in(wide, sizeof wide);
    sluice_text_add_int(&t, 0);
    expect(t.len == 1 && wide[0] == '0', "zero is composed");
}

static void comparing(void) {
    expect(sluice_is(in("abc"), "abc"), "equal texts are equal");
    expect(!sluice_is(in("abc"), "ab") && !sluice_is(in("ab"), "abc"), "a beginning is not the whole");
    expect(sluice_is(in(""), ""), "empty texts are equal");
}

static void events(void) {
    sluice_event e;
    sluice_test_begin(&e, SLUICE_HOOK_CONNECT);
    expect(sluice_room(&e).len == 0 && e.meta.len == 0 && e.out_reason.ptr == 0, "a fresh event is empty");
    sluice_test_meta(&e, SLUICE_META_HEADER, "x-a", "1");
    sluice_test_meta(&e, SLUICE_META_COOKIE, "x-a", "2");
    sluice_test_meta(&e, SLUICE_META_COOKIE, "x-a", "3");
    expect(e.meta.len == 3, "meta entries are counted");
    expect(sluice_is(sluice_meta_find(&e, SLUICE_META_HEADER, "x-a"), "1"), "meta is found by kind");
    expect(sluice_is(sluice_meta_find(&e, SLUICE_META_COOKIE, "x-a"), "2"), "the first of several is found");
    expect(sluice_meta_find(&e, SLUICE_META_QUERY, "x-a").ptr == NULL, "what is not there is NULL");
    expect(sluice_is(sluice_view(sluice_meta_at(&e, 2)->value), "3"), "repeats are kept");
    sluice_test_put(&e.user, "ann");
    expect(sluice_is(sluice_user(&e), "ann"), "an input is read");
    expect(sluice_deny_for(&e, SLUICE_RATE_LIMITED, 250, "slow") == SLUICE_DENY, "deny denies");
    expect(e.out_code == 429 && e.out_retry_ms == 250 && sluice_test_is(e.out_reason, "slow"), "with code, retry and reason");
    expect(sluice_disconnect(&e, 4003, "bye") == SLUICE_DISCONNECT && e.out_code == 4003, "disconnect disconnects");
    expect(e.out_state.ptr == 0, "an output is unset at first");
    sluice_set_state(&e, NULL, 0);
    expect(e.out_state.ptr != 0 && e.out_state.len == 0, "clearing is not unset");
    expect(sluice_reroute(&e, "b", 1) == SLUICE_CONTINUE && sluice_test_is(e.out_room, "b"), "reroute continues with a room");
    sluice_test_now = 77;
    expect(sluice_now() == 77, "the clock is the test's");
}

static int64_t number(const char *json, int *ok) {
    sluice_json j = sluice_json_in(in(json));
    int64_t v = 0;
    *ok = sluice_json_int(&j, &v) && sluice_json_done(&j);
    return v;
}

static int string_is(const char *json, const char *want) {
    char s[16];
    uint32_t n = 0;
    sluice_json j = sluice_json_in(in(json));
    return sluice_json_string(&j, s, sizeof s, &n) && sluice_json_done(&j) && strcmp(s, want) == 0 && n == strlen(want);
}

static int string_fails(const char *json) {
    char s[8];
    sluice_json j = sluice_json_in(in(json));
    return !sluice_json_string(&j, s, sizeof s, NULL) && j.bad;
}

/* Sums the numbers of {"name": [numbers], ...}; -1 where it is malformed. */
static int64_t sum(const char *json) {
    sluice_json j = sluice_json_in(in(json));
    char key[8];
    int64_t total = 0, v;
    if (!sluice_json_enter(&j, '{')) return -1;
    while (sluice_json_key(&j, key, sizeof key)) {
        if (!sluice_json_enter(&j, '[')) return -1;
        while (sluice_json_next(&j))
            if (sluice_json_int(&j, &v)) total += v;
    }
    return sluice_json_done(&j) ? total : -1;
}

static void json(void) {
    int ok;
    expect(number(" 12 ", &ok) == 12 && ok, "a number is read");
    expect(number("-7", &ok) == -7 && ok, "a negative number is read");
    expect(number("0", &ok) == 0 && ok, "zero is read");
    const char *bad[] = {"", "-", "01", "1.0", "1e3", "1234567890123456", "\"1\"", "1 2", "x", "--1"};
    for (unsigned i = 0; i < sizeof bad / sizeof *bad; i++) {
        number(bad[i], &ok);
        expect(!ok, bad[i][0] ? bad[i] : "(nothing) is no number");
    }
    expect(string_is("\"a\\n\\\"\\\\\\/\"", "a\n\"\\/"), "escapes are decoded");
    expect(string_is("\"\\u0041\\u00e9\\u20AC\"", "A\xC3\xA9\xE2\x82\xAC"), "code units are decoded");
    expect(string_is("\"\\ud83d\\ude00\"", "\xF0\x9F\x98\x80"), "surrogate pairs are decoded");
    expect(string_is("\"\xC3\xA9\"", "\xC3\xA9"), "UTF-8 is kept");
    expect(string_fails("\"12345678\""), "a string that does not fit is a mistake");
    expect(string_fails("\"123456\\u00e9\""), "also one that its last escape overflows");
    expect(!string_fails("\"1234567\""), "one that just fits is read");
    expect(string_fails("\"\\ud83d\"") && string_fails("\"\\ude00\""), "lone surrogates are mistakes");
    expect(string_fails("\"\\x\"") && string_fails("\"\\u12g4\"") && string_fails("\"\\"), "broken escapes are mistakes");
    expect(string_fails("\"a") && string_fails("\"a\nb\"") && string_fails("7"), "so are strings without an end, with a line break, or none");
    expect(sum("{}") == 0 && sum("{\"a\":[]}") == 0, "empty containers are read");
    expect(sum(" { \"a\" : [ 1 , 2 ] , \"b\" : [ 3 ] } ") == 6, "nested containers are read");
    const char *broken[] = {"{", "{\"a\"}", "{\"a\":[1,]}", "{\"a\":[,1]}", "{\"a\":[1 2]}", "{\"a\":[1]", "{\"a\":[1]}}", "{\"a\":[1],}", "{,}", "[]"};
    for (unsigned i = 0; i < sizeof broken / sizeof *broken; i++) expect(sum(broken[i]) == -1, broken[i]);
}

/* The length of the only key of an object; -1 where it is malformed. */
static int32_t key_length(const char *json, int with_length) {
    sluice_json j = sluice_json_in(in(json));
    char key[8];
    uint32_t n = 99;
    if (!sluice_json_enter(&j, '{')) return -1;
    if (with_length ? !sluice_json_key_n(&j, key, sizeof key, &n) : !sluice_json_key(&j, key, sizeof key)) return -1;
    return (int32_t)(with_length ? n : sluice_length(key));
}

static void keys(void) {
    expect(key_length("{\"ab\":1}", 0) == 2 && key_length("{\"ab\":1}", 1) == 2, "a key is read");
    expect(key_length("{\"\":1}", 0) == 0 && key_length("{\"\":1}", 1) == 0, "and so is the empty one");
    expect(key_length("{\"ab\\u0000c\":1}", 1) == 4, "a NUL within a key counts");
    expect(key_length("{\"ab\\u0000c\":1}", 0) == -1 && key_length("{\"ab\\u0000\":1}", 0) == -1, "where nothing tells the length it is a mistake");
    expect(key_length("{\"12345678\":1}", 1) == -1 && key_length("{\"1\" 1}", 1) == -1, "so are keys that do not fit, and those without a colon");
}

static void keeping(void) {
    char v[4] = "xxx";
    sluice_event e;
    sluice_test_forget();
    sluice_test_now = 0;
    expect(sluice_counter_add(in("c"), 2, 1000) == 2 && sluice_counter_add(in("c"), -5, 1000) == 0, "a counter never is below zero");
    expect(sluice_counter_add(in("c"), 3, 1000) == 3 && sluice_counter_add(in("c"), 0, 1000) == 3, "and is read by adding nothing");
    sluice_test_now = 1000000000;
    expect(sluice_counter_add(in("c"), 1, 1000) == 1, "a window ends");
    expect(sluice_counter_add(in(""), 1, 0) == SLUICE_ERROR_ARGUMENT, "a counter needs a key");
    expect(sluice_bucket_take(in("b"), 2, 2, 4) == 0 && sluice_bucket_take(in("b"), 1, 2, 4) == 250, "a bucket says when it has a token");
    sluice_test_now += 250000000;
    expect(sluice_bucket_take(in("b"), 1, 2, 4) == 0 && sluice_bucket_take(in("b"), 3, 2, 4) == SLUICE_ERROR_ARGUMENT, "and has it then");
    expect(sluice_kv_get(in("k"), v, sizeof v) == SLUICE_ERROR_NOT_FOUND, "there is no value at first");
    expect(sluice_kv_set(in("k"), "abc", 3, 10) == 0 && sluice_kv_get(in("k"), v, 2) == 3 && v[0] == 'x', "a value that does not fit is not written");
    expect(sluice_kv_get(in("k"), v, sizeof v) == 3 && memcmp(v, "abc", 3) == 0, "one that does is");
    sluice_test_now += 10000000;
    expect(sluice_kv_get(in("k"), v, sizeof v) == SLUICE_ERROR_NOT_FOUND, "it expires");
    expect(sluice_kv_set(in("k"), "", 0, 0) == 0 && sluice_kv_get(in("k"), v, 0) == 0, "a value may be empty");
    expect(sluice_kv_set(in("k"), NULL, 0, -1) == 0 && sluice_kv_get(in("k"), v, 0) == SLUICE_ERROR_NOT_FOUND, "and be forgotten");
    expect(sluice_metric_add("a_1", 2) == 0 && sluice_metric_add("a_1", 3) == 0 && sluice_test_metric("a_1") == 5, "a metric is a sum");
    expect(sluice_metric_add("1a", 2) == SLUICE_ERROR_ARGUMENT && sluice_metric_add("a", -1) == SLUICE_ERROR_ARGUMENT, "of what is not negative, by a name");
    sluice_test_begin(&e, SLUICE_HOOK_MESSAGE);
    expect(sluice_lookup_status(&e) == SLUICE_LOOKUP_NONE && sluice_lookup(&e).len == 0, "no lookup is made at first");
    sluice_test_lookup(&e, SLUICE_LOOKUP_FOUND, "[1]");
    expect(sluice_lookup_status(&e) == SLUICE_LOOKUP_FOUND && sluice_is(sluice_lookup(&e), "[1]"), "what was found is read");
    sluice_test_lookup(&e, SLUICE_LOOKUP_FAILED, "[1]");
    expect(sluice_lookup_status(&e) == SLUICE_LOOKUP_FAILED && sluice_lookup(&e).len == 0, "and nothing where the lookup failed");
}

static int32_t keys_say(sluice_string alg, sluice_string kid, sluice_string message, sluice_string signature) {
    return sluice_is(alg, "HS256") && sluice_is(kid, "k") && sluice_is(message, "m") && sluice_is(signature, "s");
}

static void verifying(void) {
    expect(sluice_verify(in("HS256"), in("k"), in("m"), in("s")) == SLUICE_VERIFY_NO_KEYS, "there are no keys at first");
    sluice_test_verify = keys_say;
    expect(sluice_verify(in("HS256"), in("k"), in("m"), in("s")) == SLUICE_VERIFIED, "the test's keys are asked");
    expect(sluice_verify(in("HS256"), in("k"), in("m"), in("t")) == SLUICE_NOT_VERIFIED, "and may say no");
    expect(sluice_verify(in(""), in("k"), in("m"), in("s")) == SLUICE_VERIFY_NO_ALGORITHM, "without an algorithm they are not");
}

/* Writes the i-th text of an alphabet into storage, where the texts of n
 * letters come before those of n + 1; the zeroth is empty. */
static sluice_string nth(char *storage, const char *alphabet, uint32_t i) {
    uint32_t letters = sluice_length(alphabet);
    sluice_string s = {storage, 0};
    for (; i > 0; i = (i - 1) / letters) storage[s.len++] = alphabet[(i - 1) % letters];
    return s;
}

/* The definition, word for word, however long it takes. */
static int defined_to_match(sluice_string p, sluice_string s) {
    int two = p.len > 1 && p.ptr[0] == '*' && p.ptr[1] == '*';
    sluice_string rest = {p.ptr + 1, p.len - 1};
    if (p.len == 0) return s.len == 0;
    if (p.ptr[0] != '*') {
        sluice_string behind = {s.ptr + 1, s.len - 1};
        return s.len > 0 && s.ptr[0] == p.ptr[0] && defined_to_match(rest, behind);
    }
    if (two) rest.ptr++, rest.len--;
    for (uint32_t n = 0;; n++) { /* a run of n bytes */
        sluice_string behind = {s.ptr + n, s.len - n};
        if (defined_to_match(rest, behind)) return 1;
        if (n == s.len || (!two && s.ptr[n] == ':')) return 0;
    }
}

static int fault_is(sluice_string pattern, const char *beginning) {
    const char *fault = sluice_pattern_fault(pattern);
    return fault && strncmp(fault, beginning, strlen(beginning)) == 0;
}

static void rooms(void) {
    static char longest[SLUICE_MAX_PATTERN + 1];
    char p[16], s[16];
    uint32_t wrong = 0, matched = 0;
    for (uint32_t i = 1; i <= 5460; i++) { /* up to 6 of 4 letters */
        sluice_string pattern = nth(p, "ab:*", i);
        if (sluice_pattern_fault(pattern)) continue;
        for (uint32_t k = 0; k <= 363; k++) { /* up to 5 of 3 letters */
            sluice_string name = nth(s, "ab:", k);
            int want = defined_to_match(pattern, name);
            matched += (uint32_t)want;
            wrong += want != sluice_pattern_matches(pattern, name);
        }
    }
    expect(wrong == 0 && matched > 10000, "every short pattern matches the short names that it is defined to match");
    memset(longest, 'x', sizeof longest);
    sluice_string pattern = {longest, SLUICE_MAX_PATTERN};
    expect(!sluice_pattern_fault(pattern), "the longest pattern has no fault");
    pattern.len++;
    expect(fault_is(pattern, "has to be a room pattern"), "a longer one has");
    expect(fault_is(in(""), "has to be a room pattern"), "and so has the empty one");
    expect(fault_is(in("a***"), "has three stars") && !sluice_pattern_fault(in("**a**")), "and one with three stars in a row");
    expect(sluice_pattern_is_deep(in("a:**")) && sluice_pattern_is_deep(in("**")), "two stars are deep");
    expect(!sluice_pattern_is_deep(in("*:*")) && !sluice_pattern_is_deep(in("*")) && !sluice_pattern_is_deep(in("")), "single ones are not");
}

int main(void) {
    text();
    verifying();
    rooms();
    comparing();
    events();
    json();
    keys();
    keeping();
    return failures != 0;
}
