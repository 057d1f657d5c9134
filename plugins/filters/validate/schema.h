/* schema.h: what a compiled schema is.
 *
 * A schema has a group of checks for each kind of value, where it has any, so
 * that evaluating it looks only at those that can apply. References are
 * pointers: a recursive schema is a cycle. */
#ifndef VALIDATE_SCHEMA_H
#define VALIDATE_SCHEMA_H

/* The keywords that compile.h knows. NAMED lists them by name. */
enum {
    K_NONE, K_REF, K_DYNAMIC_REF, K_DYNAMIC_ANCHOR, K_RECURSIVE_REF, K_RECURSIVE_ANCHOR, K_SCHEMA, K_ID, K_ANCHOR,
    K_VOCABULARY, K_DEFS, K_DEFINITIONS, K_TYPE, K_ENUM, K_CONST, K_MULTIPLE_OF, K_MAXIMUM, K_EXCLUSIVE_MAXIMUM,
    K_MINIMUM, K_EXCLUSIVE_MINIMUM, K_MAX_LENGTH, K_MIN_LENGTH, K_PATTERN, K_MAX_ITEMS, K_MIN_ITEMS,
    K_UNIQUE_ITEMS, K_MAX_CONTAINS, K_MIN_CONTAINS, K_MAX_PROPERTIES, K_MIN_PROPERTIES, K_REQUIRED,
    K_DEPENDENT_REQUIRED, K_ALL_OF, K_ANY_OF, K_ONE_OF, K_NOT, K_IF, K_THEN, K_ELSE, K_DEPENDENT_SCHEMAS,
    K_PREFIX_ITEMS, K_ITEMS, K_ADDITIONAL_ITEMS, K_CONTAINS, K_PROPERTIES, K_PATTERN_PROPERTIES,
    K_ADDITIONAL_PROPERTIES, K_PROPERTY_NAMES, K_UNEVALUATED_ITEMS, K_UNEVALUATED_PROPERTIES, K_DEPENDENCIES,
    K_COUNT,
    K_FALSE /* no keyword: the schema false */
};

enum { DRAFT_2020 = 1, DRAFT_7 = 2, BOTH = 3 };
/* What a keyword's value holds that is a schema. */
enum { HOLDS_NONE, HOLDS_ONE, HOLDS_LIST, HOLDS_MAP, HOLDS_ITEMS };

static const struct {
    const char *name;
    uint8_t drafts, holds;
} keywords[K_COUNT] = {
    {"", 0, 0},
    {"$ref", BOTH, 0},
    {"$dynamicRef", DRAFT_2020, 0},
    {"$dynamicAnchor", DRAFT_2020, 0},
    {"$recursiveRef", 0, 0},
    {"$recursiveAnchor", 0, 0},
    {"$schema", BOTH, 0},
    {"$id", BOTH, 0},
    {"$anchor", DRAFT_2020, 0},
    {"$vocabulary", DRAFT_2020, 0},
    {"$defs", BOTH, HOLDS_MAP},
    {"definitions", BOTH, HOLDS_MAP},
    {"type", BOTH, 0},
    {"enum", BOTH, 0},
    {"const", BOTH, 0},
    {"multipleOf", BOTH, 0},
    {"maximum", BOTH, 0},
    {"exclusiveMaximum", BOTH, 0},
    {"minimum", BOTH, 0},
    {"exclusiveMinimum", BOTH, 0},
    {"maxLength", BOTH, 0},
    {"minLength", BOTH, 0},
    {"pattern", BOTH, 0},
    {"maxItems", BOTH, 0},
    {"minItems", BOTH, 0},
    {"uniqueItems", BOTH, 0},
    {"maxContains", DRAFT_2020, 0},
    {"minContains", DRAFT_2020, 0},
    {"maxProperties", BOTH, 0},
    {"minProperties", BOTH, 0},
    {"required", BOTH, 0},
    {"dependentRequired", DRAFT_2020, 0},
    {"allOf", BOTH, HOLDS_LIST},
    {"anyOf", BOTH, HOLDS_LIST},
    {"oneOf", BOTH, HOLDS_LIST},
    {"not", BOTH, HOLDS_ONE},
    {"if", BOTH, HOLDS_ONE},
    {"then", BOTH, HOLDS_ONE},
    {"else", BOTH, HOLDS_ONE},
    {"dependentSchemas", DRAFT_2020, HOLDS_MAP},
    {"prefixItems", DRAFT_2020, HOLDS_LIST},
    {"items", BOTH, HOLDS_ITEMS},
    {"additionalItems", DRAFT_7, HOLDS_ONE},
    {"contains", BOTH, HOLDS_ONE},
    {"properties", BOTH, HOLDS_MAP},
    {"patternProperties", BOTH, HOLDS_MAP},
    {"additionalProperties", BOTH, HOLDS_ONE},
    {"propertyNames", BOTH, HOLDS_ONE},
    {"unevaluatedItems", DRAFT_2020, HOLDS_ONE},
    {"unevaluatedProperties", DRAFT_2020, HOLDS_ONE},
    {"dependencies", BOTH, HOLDS_MAP},
};

typedef struct schema schema;

typedef struct {
    schema **at;
    uint32_t n;
} schema_list;

typedef struct {
    const char *at;
    uint32_t len, hash;
} name;

typedef struct {
    number maximum, minimum, above, below; /* text NULL: not given */
    divisor step;                          /* digits 0: not given */
    const char *step_text;
    uint32_t step_len;
} number_checks;

typedef struct {
    uint32_t max, min; /* UNLIMITED, 0: not given */
    regex *pattern;
} string_checks;

typedef struct {
    uint32_t max, min, unique;
    schema_list prefix;
    schema *items, *contains; /* items: what follows the prefix */
    uint32_t max_contains, min_contains;
    uint8_t items_keyword;
} array_checks;

/* What a schema says about one property name. */
typedef struct {
    name name;
    schema *sub; /* properties; NULL: only other keywords name it */
    uint32_t required;
    const name *needs; /* dependentRequired */
    uint32_t needs_count;
    schema *then; /* dependentSchemas */
    uint8_t needs_keyword, then_keyword;
} property;

typedef struct {
    regex *pattern;
    schema *sub;
} pattern_property;

typedef struct {
    uint32_t max, min, required; /* required: how many names */
    property *properties;
    uint32_t properties_count;
    uint32_t *slots, mask; /* hash table: index + 1 into properties */
    pattern_property *patterns;
    uint32_t patterns_count;
    schema *additional, *names;
} object_checks;

typedef struct {
    schema_list all, any, one;
    schema *ref, *not_, *if_, *then, *otherwise;
    schema *sole[6]; /* the one of any, or one, that allows a T_... */
} logic_checks;

/* The values of enum or const, copied into the arena. */
typedef struct {
    const node **at;
    uint32_t n;
    uint32_t *slots, mask; /* NULL unless they are many */
    uint8_t keyword;
} value_checks;

static property *find_property(const object_checks *c, const char *at, uint32_t len, uint32_t hash) {
    uint32_t slot = hash & c->mask;
    for (; c->slots[slot]; slot = (slot + 1) & c->mask) {
        property *p = &c->properties[c->slots[slot] - 1];
        if (p->name.hash == hash && p->name.len == len && same_bytes(p->name.at, at, len)) return p;
    }
    return NULL;
}

enum { S_CHECKS, S_TRUE, S_FALSE };
enum { ANY_TYPE = 0x3F, INTEGER_BIT = 0x40 };

struct schema {
    uint8_t kind;
    uint8_t types; /* a bit for each T_..., and INTEGER_BIT: only whole numbers */
    uint8_t settled; /* a bit for each T_... of which it allows every value */
    uint8_t color;   /* while cycles are looked for */
    uint8_t height;  /* how many schemas lie within each other in it, for the same value */
    uint8_t uses;    /* in how many places it is, up to 2 */
    uint8_t routes;  /* a bit for each T_... for which all that it says is logic->sole */
    schema *alias;   /* all that it says is this $ref */
    number_checks *number;
    string_checks *string;
    array_checks *array;
    object_checks *object;
    value_checks *values, *constant;
    logic_checks *logic;
    schema *unevaluated_items, *unevaluated_properties;

    /* Of use during compilation. */
    const node *source;
    uint32_t resource;
    schema *queued;
};

static schema schema_true = {S_TRUE, ANY_TYPE, ANY_TYPE, 2, 0, 0, 0, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, 0, NULL};
static schema schema_false = {S_FALSE, 0, 0, 2, 0, 0, 0, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, 0, NULL};

#endif
