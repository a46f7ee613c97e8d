/*
 * Each part of an expression is either "exact", one of a few texts and nothing else, or
 * not. Neighbours that are exact are joined; where that ends, what was joined is a set of
 * texts that each match needs.
 */
#include "agents/literals.h"

#include <stdlib.h>
#include <string.h>

#include "agents/fold.h"
#include "agents/literal_set.h"
#include "base/mem.h"
#include "base/utf8.h"

enum { DEPTH_MAX = 32, CLASS_MAX = 4 };

/* What is known of a part. */
struct known {
    bool exact;               /* it is one of these texts; they may be empty */
    struct literal_set texts; /* exact */
    struct literal_sets needs;
};

struct reader {
    const char *p, *end;
    bool caseless;
    bool lost; /* the syntax is not one that is read here */
    unsigned depth;
};

static void read_choice(struct reader *r, struct known *out);

/* A set that helps: no text of it is short. */
static void need(struct literal_sets *l, const struct literal_set *s)
{
    uint32_t worst = 0;

    if (literal_set_shortest(s) < 2) {
        return;
    }
    if (l->n < LITERAL_SETS_MAX) {
        l->list[l->n++] = *s;
        return;
    }
    for (uint32_t i = 1; i < l->n; i++) {
        if (literal_set_shortest(&l->list[i]) < literal_set_shortest(&l->list[worst])) {
            worst = i;
        }
    }
    if (literal_set_shortest(s) > literal_set_shortest(&l->list[worst])) {
        l->list[worst] = *s;
    }
}

static void set_text(struct known *k, const char *p, size_t n)
{
    k->exact = true;
    k->needs.n = 0;
    k->texts.n = 1;
    k->texts.list[0].n = (uint8_t)fold_text((struct str){p, n}, k->texts.list[0].text);
}

static void set_unknown(struct known *k)
{
    k->exact = false;
    k->needs.n = 0;
    k->texts.n = 0;
}

/* ---- parts ---------------------------------------------------------------------- */

/* A letter or another character as it stands. Without case, characters beyond ASCII are
 * also others. */
static void take_character(struct reader *r, struct known *out)
{
    unsigned n = 1;

    if ((unsigned char)*r->p >= 0x80) {
        n = utf8_char(r->p, r->end);
    }
    if (n == 0) {
        r->lost = true;
    } else if (n > 1 && r->caseless) {
        set_unknown(out);
    } else {
        set_text(out, r->p, n);
    }
    r->p += n;
}

/* The character of an escape, if it stands for itself; 0: it is a class or an assertion
 * of one letter, or the reader is lost. */
static char escaped(struct reader *r)
{
    char c = r->end - r->p > 1 ? r->p[1] : '\0';

    r->p += 2;
    if (c > ' ' && c < 0x7f && strchr("dDwWsSbBAzZ", c) != NULL) {
        return '\0';
    }
    r->lost = r->lost || c <= ' ' || (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') ||
              (c >= 'a' && c <= 'z') || c == 0x7f;
    return c;
}

/* A class of a few characters is exact. */
static void read_class(struct reader *r, struct known *out)
{
    bool few = true, first = true;

    out->exact = true;
    out->needs.n = 0;
    out->texts.n = 0;
    r->p++;
    if (r->p < r->end && *r->p == '^') {
        few = false;
        r->p++;
    }
    for (;; first = false) {
        struct literal x = {.n = 1};
        char c;

        if (r->p >= r->end) {
            r->lost = true;
            return;
        }
        c = *r->p;
        if (c == ']' && !first) {
            r->p++;
            break;
        }
        if (c == '[' && r->end - r->p > 1 && strchr(":.=", r->p[1]) != NULL) {
            r->lost = true;
            return;
        }
        if (c == '\\') {
            /* In a class, \b is a character; it is none of those that are few. */
            c = escaped(r);
            few = few && c != '\0';
        } else {
            few = few && (unsigned char)c < 0x80 && c != '-';
            r->p++;
        }
        if (r->lost) {
            return;
        }
        (void)fold_text((struct str){&c, 1}, x.text);
        few = few && literal_set_put(&out->texts, &x) && out->texts.n <= CLASS_MAX;
    }
    if (!few) {
        set_unknown(out);
    }
}

/* After "(": what kind of a group it is. False: it gives no text to what is around it. */
static bool read_group_head(struct reader *r)
{
    static const struct {
        struct str head;
        bool text;
    } heads[] = {{STR("?:"), true},  {STR("?>"), true},   {STR("?="), false},
                 {STR("?!"), false}, {STR("?<="), false}, {STR("?<!"), false}};

    if (r->p < r->end && *r->p == '*') {
        r->lost = true;
    }
    if (r->p >= r->end || *r->p != '?') {
        return true;
    }
    for (size_t i = 0; i < N_ELEMS(heads); i++) {
        struct str h = heads[i].head;

        if ((size_t)(r->end - r->p) >= h.n && memcmp(r->p, h.p, h.n) == 0) {
            r->p += h.n;
            return heads[i].text;
        }
    }
    r->lost = true;
    return true;
}

static void read_group(struct reader *r, struct known *out)
{
    bool text;

    r->p++;
    text = read_group_head(r);
    if (r->lost || ++r->depth > DEPTH_MAX) {
        r->lost = true;
        return;
    }
    read_choice(r, out);
    r->depth--;
    if (r->p >= r->end || *r->p != ')') {
        r->lost = true;
        return;
    }
    r->p++;
    if (!text) {
        /* It looks around and takes nothing; what it needs is not used. */
        set_text(out, "", 0);
    }
}

static void read_atom(struct reader *r, struct known *out)
{
    switch (*r->p) {
    case '(':
        read_group(r, out);
        break;
    case '[':
        read_class(r, out);
        break;
    case '\\': {
        char c = escaped(r);

        if (c == '\0') {
            set_unknown(out);
        } else {
            set_text(out, &c, 1);
        }
        break;
    }
    case '^':
    case '$':
        r->p++;
        set_text(out, "", 0);
        break;
    case '.':
        r->p++;
        set_unknown(out);
        break;
    case '{':
        r->lost = true;
        break;
    default:
        take_character(r, out);
    }
}

/* ---- quantifiers ------------------------------------------------------------------ */

static bool read_number(const char **p, const char *end, unsigned *v)
{
    const char *from = *p;

    *v = 0;
    while (*p < end && **p >= '0' && **p <= '9' && *p - from < 6) {
        *v = *v * 10 + (unsigned)(*(*p)++ - '0');
    }
    return *p > from;
}

/* {n}, {n,}, {n,m}: their length; 0: it is no quantifier. */
static size_t read_braces(const struct reader *r, unsigned *least, unsigned *most)
{
    const char *p = r->p + 1;

    if (!read_number(&p, r->end, least)) {
        return 0;
    }
    *most = *least;
    if (p < r->end && *p == ',') {
        p++;
        if (!read_number(&p, r->end, most)) {
            *most = UINT32_MAX;
        }
    }
    return p < r->end && *p == '}' ? (size_t)(p + 1 - r->p) : 0;
}

/* How often the part before it is there; once if no quantifier follows. */
static void read_times(struct reader *r, unsigned *least, unsigned *most)
{
    size_t n = 1;

    *least = 1;
    *most = 1;
    if (r->p >= r->end) {
        return;
    }
    switch (*r->p) {
    case '?':
        *least = 0;
        break;
    case '*':
        *least = 0;
        *most = UINT32_MAX;
        break;
    case '+':
        *most = UINT32_MAX;
        break;
    case '{':
        /* One that is no quantifier here may be one in another version of PCRE2. */
        n = read_braces(r, least, most);
        r->lost = r->lost || n == 0;
        break;
    default:
        return;
    }
    r->p += n;
    if (n > 0 && r->p < r->end && (*r->p == '?' || *r->p == '+')) {
        r->p++;
    }
}

static void repeat(struct known *k, unsigned least, unsigned most)
{
    struct literal none = {.n = 0};

    if (least == 1 && most == 1) {
        return;
    }
    if (least == 0 && most == 1 && k->exact && literal_set_put(&k->texts, &none)) {
        return;
    }
    if (least == 0) {
        set_unknown(k);
        return;
    }
    if (k->exact) {
        need(&k->needs, &k->texts);
        k->exact = false;
    }
}

/* ---- sequences and choices ----------------------------------------------------------- */

/* so_far, then part. */
static void follow(struct known *so_far, const struct known *part,
                   struct literal_set *open)
{
    struct literal_set both;

    if (part->exact && literal_set_join(open, &part->texts, &both)) {
        *open = both;
        return;
    }
    need(&so_far->needs, open);
    so_far->exact = false;
    for (uint32_t i = 0; i < part->needs.n; i++) {
        need(&so_far->needs, &part->needs.list[i]);
    }
    if (part->exact) {
        *open = part->texts;
    } else {
        open->n = 1;
        open->list[0].n = 0;
    }
}

static void read_sequence(struct reader *r, struct known *out)
{
    struct known *part = mem_alloc(sizeof *part);
    struct literal_set open = {.n = 1};

    set_text(out, "", 0);
    while (!r->lost && r->p < r->end && *r->p != '|' && *r->p != ')') {
        unsigned least, most;

        if (strchr("?*+", *r->p) != NULL) {
            r->lost = true;
            break;
        }
        read_atom(r, part);
        if (!r->lost) {
            read_times(r, &least, &most);
            repeat(part, least, most);
            follow(out, part, &open);
        }
    }
    if (out->exact) {
        out->texts = open;
    } else {
        need(&out->needs, &open);
    }
    free(part);
}

/* The set of a branch that is the best one for a choice; NULL: it has none. */
static const struct literal_set *best_of(const struct known *k)
{
    const struct literal_set *best = NULL;

    if (k->exact) {
        return literal_set_shortest(&k->texts) >= 2 ? &k->texts : NULL;
    }
    for (uint32_t i = 0; i < k->needs.n; i++) {
        if (best == NULL ||
            literal_set_shortest(&k->needs.list[i]) > literal_set_shortest(best)) {
            best = &k->needs.list[i];
        }
    }
    return best;
}

/* out, or branch. needs: a set that each branch so far has one text of; n 0: there is no
 * such set. */
static void choose(struct known *out, const struct known *branch,
                   struct literal_set *needs)
{
    const struct literal_set *best = best_of(branch);

    if (needs->n > 0 && (best == NULL || !literal_set_unite(needs, best))) {
        needs->n = 0;
    }
    out->exact =
        out->exact && branch->exact && literal_set_unite(&out->texts, &branch->texts);
}

static void read_choice(struct reader *r, struct known *out)
{
    const struct literal_set *best;
    struct known *branch = mem_alloc(sizeof *branch);
    struct literal_set needs = {.n = 0};
    bool single = true;

    read_sequence(r, out);
    best = best_of(out);
    if (best != NULL) {
        needs = *best;
    }
    while (!r->lost && r->p < r->end && *r->p == '|') {
        r->p++;
        read_sequence(r, branch);
        choose(out, branch, &needs);
        single = false;
    }
    if (!single) {
        out->needs.n = 0;
        if (!out->exact) {
            need(&out->needs, &needs);
        }
    }
    free(branch);
}

void literals_of(struct str regex, bool caseless, struct literal_sets *out)
{
    struct reader r = {regex.p, regex.p + regex.n, caseless, false, 0};
    struct known *all = mem_alloc(sizeof *all);

    out->n = 0;
    read_choice(&r, all);
    if (!r.lost && r.p == r.end) {
        if (all->exact) {
            need(&all->needs, &all->texts);
        }
        *out = all->needs;
    }
    free(all);
}
