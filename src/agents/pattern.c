#include "agents/pattern.h"

#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/mem.h"

/*
 * PCRE2 counts the steps of a match anew at each character where one can begin, and a step
 * of machine code may pass over many characters. So that no text takes long, only a short
 * text is tried at once, with few steps; else a few beginnings at a time, and the clock is
 * looked at between.
 */
enum {
    SHORT_BYTES = 256,
    /* The most that a text of uap-core's tests needs: 900 steps at one of many characters,
     * 16,000 where a match begins at the text's beginning only. */
    STEPS_FEW = 300,
    STEPS_MAX = 2000,
    STEPS_ANCHORED_MAX = 60000,
    BEGINNINGS = 32,
    HEAP_KIB_MAX = 256,
    STACK_BYTES_FIRST = 32 << 10,
    STACK_BYTES_MAX = 256 << 10,
    TIME_NS = 2000000 /* a hundred times what a usual text needs */
};

struct pattern {
    pcre2_code *code;
    uint32_t n_groups;
    bool machine;  /* it is machine code */
    bool anchored; /* matches begin where the text does */
};

struct matcher {
    pcre2_match_data *data;
    pcre2_match_context *few, *some, *anchored;
    pcre2_jit_stack *stack;
    /* Other threads' turns are not this one's work: the thread's clock, which costs more to
     * read, decides when the other one's time is over. 0: not looked at yet. */
    uint64_t mono_end, thread_end;
};

static bool refuse(struct err *e, int code, size_t at)
{
    PCRE2_UCHAR text[200];

    (void)pcre2_get_error_message(code, text, sizeof text);
    return err_set(e, "%s, at character %zu", (const char *)text, at + 1);
}

struct pattern *pattern_new(struct str regex, bool caseless, struct err *e)
{
    uint32_t options = PCRE2_UTF | PCRE2_NEVER_BACKSLASH_C | PCRE2_USE_OFFSET_LIMIT;
    struct pattern *p;
    pcre2_code *code;
    PCRE2_SIZE at;
    int error;

    if (caseless) {
        options |= PCRE2_CASELESS;
    }
    code = pcre2_compile((PCRE2_SPTR)regex.p, regex.n, options, &error, &at, NULL);
    if (code == NULL) {
        (void)refuse(e, error, at);
        return NULL;
    }
    p = mem_zalloc(sizeof *p);
    p->code = code;
    p->machine = pcre2_jit_compile(code, PCRE2_JIT_COMPLETE) == 0;
    (void)pcre2_pattern_info(code, PCRE2_INFO_CAPTURECOUNT, &p->n_groups);
    (void)pcre2_pattern_info(code, PCRE2_INFO_ALLOPTIONS, &options);
    p->anchored = (options & PCRE2_ANCHORED) != 0;
    return p;
}

void pattern_free(struct pattern *p)
{
    if (p != NULL) {
        pcre2_code_free(p->code);
        free(p);
    }
}

size_t pattern_bytes(const struct pattern *p)
{
    size_t code = 0, machine = 0;

    (void)pcre2_pattern_info(p->code, PCRE2_INFO_SIZE, &code);
    (void)pcre2_pattern_info(p->code, PCRE2_INFO_JITSIZE, &machine);
    return sizeof *p + code + machine;
}

uint32_t pattern_n_groups(const struct pattern *p)
{
    return p->n_groups;
}

static pcre2_match_context *bounded(uint32_t steps, pcre2_jit_stack *stack)
{
    pcre2_match_context *c = pcre2_match_context_create(NULL);

    if (c == NULL) {
        abort(); /* as mem_alloc does */
    }
    (void)pcre2_set_match_limit(c, steps);
    (void)pcre2_set_depth_limit(c, steps);
    (void)pcre2_set_heap_limit(c, HEAP_KIB_MAX);
    if (stack != NULL) {
        pcre2_jit_stack_assign(c, NULL, stack);
    }
    return c;
}

struct matcher *matcher_new(void)
{
    struct matcher *m = mem_zalloc(sizeof *m);

    m->data = pcre2_match_data_create(AGENT_GROUPS_MAX + 1, NULL);
    m->stack = pcre2_jit_stack_create(STACK_BYTES_FIRST, STACK_BYTES_MAX, NULL);
    if (m->data == NULL) {
        abort();
    }
    m->few = bounded(STEPS_FEW, m->stack);
    m->some = bounded(STEPS_MAX, m->stack);
    m->anchored = bounded(STEPS_ANCHORED_MAX, m->stack);
    matcher_begin(m);
    return m;
}

void matcher_free(struct matcher *m)
{
    if (m != NULL) {
        pcre2_match_data_free(m->data);
        pcre2_match_context_free(m->few);
        pcre2_match_context_free(m->some);
        pcre2_match_context_free(m->anchored);
        pcre2_jit_stack_free(m->stack);
        free(m);
    }
}

void matcher_begin(struct matcher *m)
{
    m->mono_end = clock_mono_ns() + TIME_NS;
    m->thread_end = 0;
}

bool matcher_is_late(struct matcher *m)
{
    if (LIKELY(clock_mono_ns() < m->mono_end)) {
        return false;
    }
    if (m->thread_end == 0) {
        m->thread_end = clock_thread_ns() + TIME_NS;
        return false;
    }
    return clock_thread_ns() > m->thread_end;
}

static int match(const struct pattern *p, struct matcher *m, struct str text,
                 size_t from, pcre2_match_context *context)
{
    PCRE2_SPTR subject = (PCRE2_SPTR)text.p;

    if (p->machine) {
        return pcre2_jit_match(p->code, subject, text.n, from, 0, m->data, context);
    }
    return pcre2_match(p->code, subject, text.n, from, PCRE2_NO_UTF_CHECK, m->data,
                       context);
}

/* A few beginnings at a time. */
static NOINLINE int match_slowly(const struct pattern *p, struct matcher *m,
                                 struct str text)
{
    for (size_t from = 0; from <= text.n;) {
        size_t last = from + BEGINNINGS - 1;
        int n;

        if (matcher_is_late(m)) {
            return PCRE2_ERROR_MATCHLIMIT;
        }
        (void)pcre2_set_offset_limit(m->some, last);
        n = match(p, m, text, from, m->some);
        if (n != PCRE2_ERROR_NOMATCH) {
            return n;
        }
        from = last + 1;
        while (from < text.n && ((unsigned char)text.p[from] & 0xC0) == 0x80) {
            from++;
        }
    }
    return PCRE2_ERROR_NOMATCH;
}

static int match_bounded(const struct pattern *p, struct matcher *m, struct str text)
{
    int n = PCRE2_ERROR_MATCHLIMIT;

    if (p->anchored) {
        return match(p, m, text, 0, m->anchored);
    }
    if (text.n <= SHORT_BYTES) {
        n = match(p, m, text, 0, m->few);
    }
    return UNLIKELY(n == PCRE2_ERROR_MATCHLIMIT) ? match_slowly(p, m, text) : n;
}

enum pattern_result pattern_match(const struct pattern *p, struct matcher *m,
                                  struct str text,
                                  struct str groups[AGENT_GROUPS_MAX + 1])
{
    int n = match_bounded(p, m, text);
    const PCRE2_SIZE *at = pcre2_get_ovector_pointer(m->data);

    if (n == PCRE2_ERROR_NOMATCH) {
        return PATTERN_NONE;
    }
    if (n < 0) {
        return PATTERN_TOO_FAR;
    }
    if (n == 0) { /* more groups than have room */
        n = AGENT_GROUPS_MAX + 1;
    }
    for (int i = 0; i <= AGENT_GROUPS_MAX; i++) {
        bool set = i < n && at[2 * i] != PCRE2_UNSET && at[2 * i] <= at[2 * i + 1];

        groups[i] = set ? (struct str){text.p + at[2 * i], at[2 * i + 1] - at[2 * i]}
                        : (struct str){NULL, 0};
    }
    return PATTERN_OK;
}
