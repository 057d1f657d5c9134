/* report_fault.h: a fault in words: where, which keyword, what was expected.
 * Of the content no more is repeated than a key or a short value. */
#ifndef VALIDATE_REPORT_FAULT_H
#define VALIDATE_REPORT_FAULT_H

static void say_types(const schema *s) {
    static const char *const names[] = {"null", "a boolean", "a number", "a string", "an array", "an object"};
    uint32_t left = 0;
    for (uint32_t t = 0; t < 6; t++) left += s->types >> t & 1;
    if (!left) say("nothing");
    for (uint32_t t = 0; t < 6; t++) {
        if (!(s->types >> t & 1)) continue;
        say(t == T_NUMBER && s->types & INTEGER_BIT ? "an integer" : names[t]);
        left--;
        if (left) say(left == 1 ? " or " : ", ");
    }
}

static void say_amount(const char *what, uint32_t count, const char *than, uint32_t limit) {
    say(what);
    say_number(count);
    say(than);
    say_number(limit);
}

static void say_limit(const char *than) {
    const number *limit = (const number *)fault.detail;
    say_value(fault.at);
    say(than);
    say_text(limit->text, limit->len, 32);
}

/* The allowed values, if they are few and short. */
static void say_allowed(const value_checks *c) {
    uint32_t size = 0;
    for (uint32_t i = 0; i < c->n && size <= 120; i++) size += c->at[i]->type <= T_STRING ? c->at[i]->len + 4 : 200;
    if (size > 120 || c->n == 0) {
        say(c->n == 1 ? "this is not the one value allowed" : "this is none of the ");
        if (c->n != 1) {
            say_number(c->n);
            say(" values allowed");
        }
        return;
    }
    say("has to be ");
    for (uint32_t i = 0; i < c->n; i++) {
        if (i) say(i + 1 == c->n ? " or " : ", ");
        say_value(c->at[i]);
    }
}

static void say_dependent(const property *p) {
    if (fault.count != UNLIMITED) {
        say_quoted(p->needs[fault.count].at, p->needs[fault.count].len);
        say(" has to be there if ");
    }
    say_quoted(p->name.at, p->name.len);
    say(fault.count == UNLIMITED ? " is not allowed" : " is");
}

static void say_counted(void) {
    const schema *s = fault.schema;
    uint32_t n = fault.count;
    switch (fault.keyword) {
    case K_MAX_LENGTH: say_amount("", n, " characters, at most ", s->string->max); break;
    case K_MIN_LENGTH: say_amount("", n, n == 1 ? " character, at least " : " characters, at least ", s->string->min); break;
    case K_MAX_ITEMS: say_amount("", n, " items, at most ", s->array->max); break;
    case K_MIN_ITEMS: say_amount("", n, n == 1 ? " item, at least " : " items, at least ", s->array->min); break;
    case K_MAX_CONTAINS: say_amount("", n, " items are as contains says, at most ", s->array->max_contains); break;
    case K_MIN_CONTAINS: say_amount("", n, " items are as contains says, at least ", s->array->min_contains); break;
    case K_MAX_PROPERTIES: say_amount("", n, " properties, at most ", s->object->max); break;
    default: say_amount("", n, n == 1 ? " property, at least " : " properties, at least ", s->object->min); break;
    }
    say(" are allowed");
    if (fault.keyword == K_MIN_LENGTH || fault.keyword == K_MIN_ITEMS || fault.keyword == K_MIN_CONTAINS || fault.keyword == K_MIN_PROPERTIES) {
        reason.len -= 7;
        say("needed");
    }
}

static void say_expectation(void) {
    const schema *s = fault.schema;
    switch (fault.keyword) {
    case K_TYPE:
        say("has to be ");
        say_types(s);
        say(", and is ");
        say(type_name(fault.at));
        break;
    case K_ENUM:
    case K_CONST: say_allowed((const value_checks *)fault.detail); break;
    case K_MAXIMUM: say_limit(" is more than "); break;
    case K_MINIMUM: say_limit(" is less than "); break;
    case K_EXCLUSIVE_MAXIMUM: say_limit(" is not less than "); break;
    case K_EXCLUSIVE_MINIMUM: say_limit(" is not more than "); break;
    case K_MULTIPLE_OF:
        say_value(fault.at);
        say(" is no multiple of ");
        say_text(s->number->step_text, s->number->step_len, 32);
        break;
    case K_PATTERN:
        say("does not match ");
        say_quoted(((const regex *)fault.detail)->text, ((const regex *)fault.detail)->text_len);
        break;
    case K_UNIQUE_ITEMS: say("an earlier item is the same"); break;
    case K_REQUIRED:
        say_quoted(((const property *)fault.detail)->name.at, ((const property *)fault.detail)->name.len);
        say(" is missing");
        break;
    case K_DEPENDENT_REQUIRED:
    case K_DEPENDENT_SCHEMAS:
    case K_DEPENDENCIES: say_dependent((const property *)fault.detail); break;
    case K_ITEMS:
    case K_ADDITIONAL_ITEMS:
        if (fault.count == 0)
            say("no items are allowed");
        else
            say_amount("", fault.at->tag, " items, at most ", fault.count), say(" are allowed");
        break;
    case K_ADDITIONAL_PROPERTIES:
    case K_UNEVALUATED_PROPERTIES: say("this property is not allowed"); break;
    case K_UNEVALUATED_ITEMS: say("this item is not allowed"); break;
    case K_NOT: say("is as it must not be"); break;
    case K_FALSE: say("nothing is allowed here"); break;
    default: say_counted();
    }
}

static void say_combination(void) {
    const schema_list *l = fault.keyword == K_ANY_OF ? &fault.schema->logic->any : &fault.schema->logic->one;
    if (fault.keyword == K_ONE_OF && fault.detail) {
        say("matches more than one of the ");
        say_number(l->n);
        say(" schemas: those at ");
        say_number((const schema *const *)fault.detail - (const schema *const *)l->at);
        say(" and ");
        say_number(fault.count);
        return;
    }
    say("matches none of the ");
    say_number(l->n);
    say(l->n == 1 ? " schema" : " schemas");
}

/* Puts the fault into the reason. */
static void say_fault(const node *root) {
    const char *keyword = fault.keyword < K_COUNT ? keywords[fault.keyword].name : "false";
    begin_reason();
    say_path(root, fault.key ? fault.key : fault.at);
    if (reason.len == 0) say("content");
    say(": ");
    if (fault.key) say("propertyNames: ");
    say(keyword);
    say(": ");
    if (fault.keyword == K_ANY_OF || fault.keyword == K_ONE_OF)
        say_combination();
    else
        say_expectation();
}

#endif
