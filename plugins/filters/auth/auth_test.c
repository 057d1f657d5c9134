//go:build ignore

/* Native unit tests of auth: the filter is included, its hooks are called, and
 * the host's keys are a stub. Built with sanitizers, they show that no token
 * makes it read or write where it must not.
 *
 *     cc -std=c99 -fsanitize=address,undefined -I../../../sdk/c -o /tmp/auth_test auth_test.c && /tmp/auth_test */
#include "auth.c"

static int failures;
static int32_t verified = 1; /* what the keys say */
static int asked;            /* how often they were asked */

static int32_t keys_say(sluice_string alg, sluice_string id, sluice_string message, sluice_string sig) {
    volatile char sum = 0; /* all of it can be read */
    for (uint32_t i = 0; i < alg.len; i++) sum ^= alg.ptr[i];
    for (uint32_t i = 0; i < id.len; i++) sum ^= id.ptr[i];
    for (uint32_t i = 0; i < message.len; i++) sum ^= message.ptr[i];
    for (uint32_t i = 0; i < sig.len; i++) sum ^= sig.ptr[i];
    asked++;
    return verified;
}

static void expect(int ok, const char *what) {
    printf("%s %s\n", ok ? "ok  " : "FAIL", what);
    failures += !ok;
}

static int32_t configure(sluice_event *e, const char *text) {
    sluice_test_begin(e, SLUICE_HOOK_CONFIGURE);
    sluice_test_put(&e->payload, text);
    return on_configure(e);
}

static int32_t connect_with(sluice_event *e, const void *token, uint32_t n) {
    sluice_test_begin(e, SLUICE_HOOK_CONNECT);
    e->kind = SLUICE_KIND_REFRESH; /* a token as it is */
    e->time_ns = 1000000000;
    sluice_test_put_n(&e->payload, token, n);
    asked = 0;
    return on_connect(e);
}

static char token[MAX_TOKEN + 8];

/* Makes a token of texts. */
static uint32_t make(const char *header, const char *payload) {
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    const char *parts[3] = {header, payload, "signature"};
    uint32_t n = 0;
    for (int p = 0; p < 3; p++) {
        uint32_t bits = 0, have = 0;
        if (p) token[n++] = '.';
        for (const unsigned char *c = (const unsigned char *)parts[p]; *c; c++)
            for (bits = bits << 8 | *c, have += 8; have >= 6;) token[n++] = digits[bits >> (have -= 6) & 63];
        if (have) token[n++] = digits[bits << (6 - have) & 63];
    }
    return n;
}

static void expect_refused(const char *header, const char *payload, const char *why, int was_asked) {
    sluice_event e;
    int32_t verdict = connect_with(&e, token, make(header, payload));
    expect(verdict == SLUICE_DENY && sluice_test_is(e.out_reason, why) && asked == was_asked, why);
}

static const char good_header[] = "{\"alg\":\"HS256\",\"typ\":\"JWT\",\"kid\":\"k\\u00e9\",\"x\":[{\"\\ud83d\\ude00\":-1.5e+3},null,true]}";
static const char good_payload[] =
    "{\"sub\":\"ann\",\"name\":\"A\\\"nn\",\"aud\":[\"x\",\"chat\"],\"iss\":\"id\",\"exp\":4102444800.25,\"role\":[{\"a\":\"]\"},\"mod\"],"
    "\"grants\":[{\"rooms\":\"chat:*\",\"allow\":[\"join\"]},{\"allow\":[\"direct\"]}],\"o\":{\"k\":{\"k\":[]}}}";

static uint32_t next_random(void) {
    uint32_t r = 0;
    sluice_random(&r, sizeof r);
    return r;
}

/* Changes texts at random, and makes tokens of them whose signature is good. */
static void batter(const char *header, const char *payload, int times) {
    static const char odd[] = "{}[]\",:\\u0d8\x01\xc2\xe2\xf0\x80\xff.*-+eE9tfn$";
    static char h[256], p[1024];
    int judged = 0;
    sluice_event e;
    for (int i = 0; i < times; i++) {
        memcpy(h, header, strlen(header) + 1);
        memcpy(p, payload, strlen(payload) + 1);
        for (uint32_t k = next_random() % 3; k > 0; k--) h[next_random() % strlen(header)] = odd[next_random() % (sizeof odd - 1)];
        for (uint32_t k = next_random() % 4; k > 0; k--) p[next_random() % strlen(payload)] = odd[next_random() % (sizeof odd - 1)];
        if (next_random() % 8 == 0) p[next_random() % strlen(payload)] = 0;
        uint32_t n = make(h, p);
        if (next_random() % 8 == 0) token[next_random() % n] = odd[next_random() % (sizeof odd - 1)];
        int32_t verdict = connect_with(&e, token, n);
        judged += verdict == SLUICE_DENY || (verdict == SLUICE_CONTINUE && sluice_test_is(e.out_user, "") == 0);
    }
    expect(judged == times, "whatever is changed, a token is refused, or names a user");
}

int main(void) {
    sluice_event e;
    const char *config_text = "{\"issuer\":\"id\",\"audience\":[\"chat\"],\"required\":{\"role\":\"mod\"},\"max_bytes\":24576}";
    expect(configure(&e, config_text) == SLUICE_DENY, "without keys it is refused");
    sluice_test_verify = keys_say;
    expect(configure(&e, "{\"issuer\":1}") == SLUICE_DENY, "a bad configuration is refused");
    expect(configure(&e, config_text) == SLUICE_CONTINUE, "a good configuration is accepted");

    expect(connect_with(&e, token, make(good_header, good_payload)) == SLUICE_CONTINUE, "a good token is admitted");
    expect(sluice_test_is(e.out_user, "ann") && sluice_test_is(e.out_payload, "{\"name\":\"A\\\"nn\"}"), "with user and info");
    expect(sluice_test_is(e.out_claims, good_payload) && e.out_grants.len > 0 && e.out_expires_ms == 4102444860250, "claims, grants and expiry");

    expect_refused("{\"alg\":\"none\"}", good_payload, "token algorithm is not acceptable", 0);
    expect_refused("{\"alg\":\"HS256\",\"crit\":[]}", good_payload, "token header is not acceptable", 0);
    expect_refused("{\"alg\":\"HS256\",\"alg\":\"HS256\"}", good_payload, "token is malformed", 0);
    expect_refused(good_header, "{\"sub\":\"a\",\"sub\":\"b\"}", "token is malformed", 1);
    expect_refused(good_header, "{\"sub\":\"a\",\"exp\":1,\"exp\\u0000\":2}", "token issuer is not acceptable", 1);
    expect_refused(good_header, "{\"sub\":\"a\"}", "token lacks a required claim", 1);
    verified = 0;
    expect_refused(good_header, good_payload, "token signature is not valid", 1);
    for (verified = -5; verified < 0; verified++) expect_refused(good_header, good_payload, "tokens cannot be verified now; try again", 1);
    verified = 2;
    expect_refused(good_header, good_payload, "token signature is not valid", 1);
    verified = 1;

    memset(token, '[', sizeof token);
    expect(connect_with(&e, token, MAX_TOKEN) == SLUICE_DENY && asked == 0, "brackets alone are refused");
    batter(good_header, good_payload, 50000);
    expect(configure(&e, "{\"deep_grants\":true,\"optional\":true,\"claims\":{\"info\":[\"o\",\"role\"]},\"audience\":\"x\"}") == SLUICE_CONTINUE,
           "another configuration replaces the first");
    batter(good_header, good_payload, 50000);
    return failures != 0;
}
