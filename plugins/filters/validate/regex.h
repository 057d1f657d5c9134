/* regex.h: what a compiled regular expression is. regex_parse.h, with the sets
 * of code points in regex_sets.h, reads its text into a tree; regex_compile.h
 * turns the tree into a program of states over classes of code points;
 * regex_match.h runs that as an automaton whose states are made when they are
 * first met. Every step of a match looks at one code point and never goes back,
 * so the time is linear in the text. */
#ifndef VALIDATE_REGEX_H
#define VALIDATE_REGEX_H

enum { MAX_STATES = 4000, MAX_CLASSES = 250 };

enum { OP_CLASS, OP_SPLIT, OP_JUMP, OP_ASSERT, OP_MATCH };
enum { AT_BEGIN, AT_END, AT_WORD_EDGE, NOT_AT_WORD_EDGE };

typedef struct {
    uint8_t op;
    uint16_t arg;  /* class: which set; assert: what; split: the other way */
    uint16_t next;
} instruction;

typedef struct {
    uint32_t has[8]; /* a bit for each class */
} class_set;

typedef struct dfa_state dfa_state;
enum { BUCKETS = 32 };

typedef struct regex {
    /* Static after compilation. */
    const char *text; /* as it was written, for reasons */
    uint32_t text_len;
    const instruction *program;
    uint32_t states;
    const class_set *sets;
    uint32_t classes; /* and the class of that number is the end of the text */
    const uint32_t *starts; /* runs of code points: where each begins, */
    const uint8_t *kinds;   /* and its class */
    uint32_t runs;
    class_set word;  /* the classes of \w, if has_edges */
    int has_edges;   /* \b or \B occurs */
    int anchored;    /* it matches nowhere but at the beginning */
    uint8_t ascii[128];

    /* The automaton, as far as it is known; of an earlier generation: nothing. */
    uint32_t generation;
    dfa_state *start;
    dfa_state *buckets[BUCKETS];
} regex;

#endif
