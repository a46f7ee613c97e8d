#include "agents/agents.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agents/fold.h"
#include "agents/regex_file.h"
#include "agents/sieve.h"
#include "base/mem.h"
#include "base/utf8.h"

enum { LOOK_AFTER = 2 }; /* expressions, at the clock */

struct agents {
    struct str file;
    struct regex_file rules;
    struct pattern **patterns;          /* of all sections, one after another */
    uint32_t first[AGENT_SECTIONS + 1]; /* of a section */
    struct sieve *sieve;
    size_t code_bytes;
};

/* The group that is a part's value where no template is given; 0: none. */
static const uint8_t defaults[AGENT_SECTIONS][AGENT_PARTS_MAX] = {
    {1, 2, 3, 4, 0}, {1, 2, 3, 4, 5}, {1, 0, 1, 0, 0}};

struct teller {
    agent_problem_fn *problem;
    void *arg;
    uint32_t n;
};

static void tell(void *arg, uint32_t line, const char *text)
{
    struct teller *t = arg;

    if (t->n++ < 50) {
        t->problem(t->arg, line, text);
    }
}

/* ---- loading ---------------------------------------------------------------------- */

/* {,5} is text for one version of PCRE2, and 0 to 5 times for Python and another. */
static bool has_open_braces(struct str regex)
{
    for (size_t i = 0; i + 2 < regex.n; i++) {
        if (regex.p[i] == '\\') {
            i++;
        } else if (regex.p[i] == '{' && regex.p[i + 1] == ',' &&
                   regex.p[i + 2] >= '0' && regex.p[i + 2] <= '9') {
            return true;
        }
    }
    return false;
}

static void check_template(const struct agent_rule *rule, const char *key,
                           struct str template, uint32_t n_groups, struct teller *t)
{
    char text[200];

    for (size_t i = 0; i + 1 < template.n; i++) {
        char c = template.p[i + 1];

        if (template.p[i] == '$' && c >= '0' && c <= '9' &&
            (c == '0' || (uint32_t)(c - '0') > n_groups)) {
            (void)snprintf(text, sizeof text,
                           "%s: $%c: the regex has %u group%s; expected $1 to $9 of "
                           "its groups",
                           key, c, n_groups, n_groups == 1 ? "" : "s");
            tell(t, rule->line, text);
            return;
        }
    }
}

static void check_rule(enum agent_section section, const struct agent_rule *rule,
                       const struct pattern *p, struct teller *t)
{
    char text[200];

    for (uint32_t i = 0; i < AGENT_PARTS_MAX; i++) {
        if (rule->templates[i].p != NULL) {
            check_template(rule, regex_file_key(section, i), rule->templates[i],
                           pattern_n_groups(p), t);
        }
    }
    if (pattern_n_groups(p) == 0 && rule->templates[0].n == 0) {
        (void)snprintf(text, sizeof text,
                       "the regex has no group and its parser no %s: no family",
                       regex_file_key(section, 0));
        tell(t, rule->line, text);
    }
}

static struct pattern *compile(const struct agent_rule *rule, struct teller *t)
{
    char text[ERR_TEXT_MAX + 100];
    struct pattern *p = NULL;
    struct err e;

    if (has_open_braces(rule->regex)) {
        (void)err_set(&e, "{,n} is not clear, write {0,n}");
    } else {
        p = pattern_new(rule->regex, rule->caseless, &e);
    }
    if (p == NULL) {
        (void)snprintf(text, sizeof text, "regex \"%.*s\": %s",
                       rule->regex.n < 60 ? (int)rule->regex.n : 60, rule->regex.p,
                       e.text);
        tell(t, rule->line, text);
    }
    return p;
}

/* Expression n; false: a problem was told, or there are too many bytes. */
static bool add_rule(struct agents *a, enum agent_section section,
                     const struct agent_rule *rule, uint32_t n,
                     struct literal_sets *sets, struct teller *t)
{
    struct pattern *p = compile(rule, t);

    a->patterns[n] = p;
    if (p == NULL) {
        return true;
    }
    check_rule(section, rule, p, t);
    literals_of(rule->regex, rule->caseless, sets);
    sieve_add(a->sieve, n, sets);
    a->code_bytes += pattern_bytes(p);
    if (a->code_bytes > AGENT_CODE_BYTES_MAX) {
        tell(t, rule->line,
             "the regexes so far need more than 64 MiB of memory: expected shorter "
             "repetitions");
        return false;
    }
    return true;
}

static void add_rules(struct agents *a, struct teller *t)
{
    struct literal_sets *sets = mem_alloc(sizeof *sets);
    bool more = true;

    for (uint32_t i = 0; more && i < AGENT_SECTIONS; i++) {
        const struct agent_rules *rules = &a->rules.sections[i];

        for (uint32_t k = 0; more && k < rules->n; k++) {
            more = add_rule(a, (enum agent_section)i, &rules->list[k], a->first[i] + k,
                            sets, t);
        }
    }
    free(sets);
}

struct agents *agents_new(struct str file, agent_problem_fn *problem, void *arg)
{
    struct agents *a = mem_zalloc(sizeof *a);
    struct teller t = {problem, arg, 0};
    uint32_t n = 0;

    if (!regex_file_read(file, &a->rules, problem, arg)) {
        free(a);
        return NULL;
    }
    for (uint32_t i = 0; i < AGENT_SECTIONS; i++) {
        a->first[i] = n;
        n += a->rules.sections[i].n;
    }
    a->first[AGENT_SECTIONS] = n;
    a->file = (struct str){mem_strndup(file.p, file.n), file.n};
    a->patterns = mem_zalloc((n + 1) * sizeof *a->patterns);
    a->sieve = sieve_new(n);
    add_rules(a, &t);
    if (t.n > 0) {
        agents_free(a);
        return NULL;
    }
    sieve_build(a->sieve);
    return a;
}

void agents_free(struct agents *a)
{
    if (a != NULL) {
        for (uint32_t i = 0; i < a->first[AGENT_SECTIONS]; i++) {
            pattern_free(a->patterns[i]);
        }
        free(a->patterns);
        sieve_free(a->sieve);
        regex_file_fini(&a->rules);
        free((char *)a->file.p);
        free(a);
    }
}

struct str agents_file(const struct agents *a)
{
    return a->file;
}

size_t agents_bytes(const struct agents *a)
{
    return a->file.n + a->code_bytes + sieve_bytes(a->sieve) +
           agents_n_rules(a) * sizeof(struct agent_rule);
}

uint32_t agents_n_rules(const struct agents *a)
{
    return a->first[AGENT_SECTIONS];
}

uint32_t agents_n_unfiltered(const struct agents *a)
{
    return sieve_n_always(a->sieve);
}

/* ---- texts -------------------------------------------------------------------------- */

size_t agents_words(const struct agents *a)
{
    return sieve_words(agents_n_rules(a)) + 1;
}

void agents_sieve(const struct agents *a, struct str text, uint64_t *mask)
{
    char folded[AGENT_TEXT_BYTES_MAX];

    sieve_scan(a->sieve, (struct str){folded, fold_text(text, folded)}, mask);
}

static bool is_space(char c)
{
    return c == ' ' || (c >= '\t' && c <= '\r');
}

static struct str trimmed(struct str s)
{
    while (s.n > 0 && is_space(s.p[0])) {
        s.p++;
        s.n--;
    }
    while (s.n > 0 && is_space(s.p[s.n - 1])) {
        s.n--;
    }
    return s;
}

/* As much of s as has room; never half a character. */
static size_t fitting(struct str s, size_t room)
{
    size_t n = s.n < room ? s.n : room;

    if (n < s.n) {
        while (n > 0 && ((unsigned char)s.p[n] & 0xC0) == 0x80) {
            n--;
        }
    }
    return n;
}

static struct str expand(struct str template, const struct str *groups, char *room)
{
    size_t n = 0;

    for (size_t i = 0; i < template.n; i++) {
        struct str part = {template.p + i, 1};
        size_t take;

        if (template.p[i] == '$' && i + 1 < template.n && template.p[i + 1] >= '1' &&
            template.p[i + 1] <= '9') {
            part = groups[template.p[++i] - '0'];
        } else {
            while (i + 1 < template.n && template.p[i + 1] != '$') {
                i++;
                part.n++;
            }
        }
        take = part.n > 0 ? fitting(part, AGENT_VALUE_BYTES_MAX - n) : 0;
        if (take > 0) {
            memcpy(room + n, part.p, take);
        }
        n += take;
        if (take < part.n) {
            break;
        }
    }
    return (struct str){room, n};
}

static struct str value_of(const struct agent_rule *rule, enum agent_section section,
                           uint32_t part, const struct str *groups, char *room)
{
    struct str v = {NULL, 0};

    if (rule->templates[part].n > 0) {
        v = expand(rule->templates[part], groups, room);
    } else if (defaults[section][part] > 0 && groups[defaults[section][part]].n > 0) {
        v = groups[defaults[section][part]];
        v.n = fitting(v, AGENT_VALUE_BYTES_MAX);
        memcpy(room, v.p, v.n);
        v.p = room;
    }
    v = v.n > 0 ? trimmed(v) : v;
    return v.n > 0 ? v : (struct str){NULL, 0};
}

/* The next expression from i that the mask has; end: none. */
static uint32_t next_in(const uint64_t *mask, uint32_t i, uint32_t end)
{
    while (i < end) {
        uint64_t word = mask[i / 64] >> (i % 64);

        if (word != 0) {
            i += (uint32_t)__builtin_ctzll(word);
            break;
        }
        i = (i / 64 + 1) * 64;
    }
    return i < end ? i : end;
}

bool agents_parse(const struct agents *a, enum agent_section section,
                  const struct agent_job *job, struct agent_values *out,
                  uint32_t *skipped, uint32_t *line)
{
    const struct agent_rule *rules = a->rules.sections[section].list;
    uint32_t end = a->first[section + 1], i = a->first[section];
    struct str groups[AGENT_GROUPS_MAX + 1];
    uint32_t n_run = 0;

    matcher_begin(job->matcher);
    *skipped = 0;
    *line = 0;
    for (; i < end; i++) {
        const struct agent_rule *rule;
        enum pattern_result r;

        i = job->mask != NULL ? next_in(job->mask, i, end) : i;
        if (i == end) {
            break;
        }
        rule = &rules[i - a->first[section]];
        r = ++n_run % LOOK_AFTER == 0 && matcher_is_late(job->matcher)
                ? PATTERN_TOO_FAR
                : pattern_match(a->patterns[i], job->matcher, job->text, groups);
        if (r == PATTERN_TOO_FAR) {
            *line = (*skipped)++ == 0 ? rule->line : *line;
            continue;
        }
        if (r == PATTERN_NONE) {
            continue;
        }
        for (uint32_t k = 0; k < AGENT_PARTS_MAX; k++) {
            out->parts[k] = value_of(rule, section, k, groups,
                                     job->room + k * AGENT_VALUE_BYTES_MAX);
        }
        if (out->parts[0].p != NULL) {
            return true;
        }
    }
    *out = (struct agent_values){0};
    return false;
}
