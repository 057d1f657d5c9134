/* Native unit tests of hello: the filter is included, its hooks are called.
 *
 *     cc -std=c99 -I../.. -o /tmp/hello_test hello_test.c && /tmp/hello_test */
#include "hello.c"

static int failures;

static void expect(int ok, const char *what) {
    printf("%s %s\n", ok ? "ok  " : "FAIL", what);
    failures += !ok;
}

static int32_t configure(sluice_event *e, const char *configuration) {
    sluice_test_begin(e, SLUICE_HOOK_CONFIGURE);
    sluice_test_put(&e->payload, configuration);
    return on_configure(e);
}

static int32_t message(sluice_event *e, const char *content) {
    sluice_test_begin(e, SLUICE_HOOK_MESSAGE);
    sluice_test_put(&e->payload, content);
    return on_message(e);
}

int main(void) {
    sluice_event e;

    expect(configure(&e, "[]") == SLUICE_DENY, "a configuration that is no object is refused");
    expect(configure(&e, "{\"wrod\":\"x\"}") == SLUICE_DENY, "an unknown key is refused");
    expect(configure(&e, "{\"word\":7}") == SLUICE_DENY, "a word that is no string is refused");
    expect(configure(&e, "{}") == SLUICE_DENY && sluice_test_is(e.out_reason, "word is missing"), "a missing word is refused");
    expect(configure(&e, " { \"word\" : \"sp\\u0061m\" } ") == SLUICE_CONTINUE, "a word is accepted");

    expect(message(&e, "\"buy spam now\"") == SLUICE_DENY, "the word is refused");
    expect(e.out_code == SLUICE_INVALID && sluice_test_is(e.out_reason, "that word is not welcome here"), "with a reason");

    expect(message(&e, "\"hi\"") == SLUICE_CONTINUE, "other content passes");
    expect(sluice_test_is(e.out_payload, "{\"n\":1,\"content\":\"hi\"}"), "stamped with the first number");

    sluice_test_begin(&e, SLUICE_HOOK_MESSAGE);
    sluice_test_put(&e.payload, "\"hi\"");
    sluice_test_put_n(&e.state, "\x29\0\0\0", 4);
    expect(on_message(&e) == SLUICE_CONTINUE && sluice_test_is(e.out_payload, "{\"n\":42,\"content\":\"hi\"}"),
           "the number goes on from the state");
    return failures != 0;
}
