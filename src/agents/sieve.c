#include "agents/sieve.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

enum {
    STATES_MAX = 60000, /* expressions without room for their literals run always */
    BUCKETS = 1 << 14
};

/* A literal and how many expressions have it in a set. */
struct entry {
    struct literal text;
    uint32_t uses;
    uint32_t next; /* of the same bucket, + 1 */
};

/* An expression that has a literal which ends in a state. */
struct mark {
    uint32_t expression;
    uint32_t next; /* + 1; 0: the last */
};

struct sieve {
    uint32_t n;
    struct literal_sets **sets; /* by expression; NULL: none; until sieve_build */
    uint64_t *always;
    /* The automaton: the next state by state and class of a byte. */
    uint8_t classes[256];
    uint32_t n_classes, n_states;
    uint16_t *next;
    uint16_t *output; /* the longest proper suffix with marks, or itself; 0: none */
    uint16_t *suffix; /* the next shorter one with marks */
    uint32_t *first;  /* mark + 1 */
    struct mark *marks;
    uint32_t n_marks;
};

struct counts {
    uint32_t *buckets; /* entry + 1 */
    struct entry *list;
    uint32_t n;
};

struct sieve *sieve_new(uint32_t n)
{
    struct sieve *f = mem_zalloc(sizeof *f);

    f->n = n;
    f->sets = mem_zalloc((n + 1) * sizeof *f->sets);
    f->always = mem_zalloc((sieve_words(n) + 1) * sizeof *f->always);
    return f;
}

static void drop_sets(struct sieve *f)
{
    for (uint32_t i = 0; f->sets != NULL && i < f->n; i++) {
        free(f->sets[i]);
    }
    free(f->sets);
    f->sets = NULL;
}

void sieve_free(struct sieve *f)
{
    if (f != NULL) {
        drop_sets(f);
        free(f->always);
        free(f->next);
        free(f->output);
        free(f->suffix);
        free(f->first);
        free(f->marks);
        free(f);
    }
}

void sieve_add(struct sieve *f, uint32_t expression, const struct literal_sets *sets)
{
    if (sets->n > 0) {
        f->sets[expression] = mem_alloc(sizeof *sets);
        *f->sets[expression] = *sets;
    }
}

/* ---- the set that is used ----------------------------------------------------------- */

static struct entry *count_of(struct counts *c, const struct literal *x)
{
    uint64_t h = str_hash(STR_HASH, (struct str){x->text, x->n});
    uint32_t *at = &c->buckets[h % BUCKETS];

    for (uint32_t i = *at; i > 0; i = c->list[i - 1].next) {
        if (c->list[i - 1].text.n == x->n &&
            memcmp(c->list[i - 1].text.text, x->text, x->n) == 0) {
            return &c->list[i - 1];
        }
    }
    if ((c->n & (c->n - 1)) == 0) {
        c->list = mem_realloc(c->list, (c->n * 2 + 1) * sizeof *c->list);
    }
    c->list[c->n] = (struct entry){*x, 0, *at};
    *at = ++c->n;
    return &c->list[c->n - 1];
}

static void count_all(const struct sieve *f, struct counts *c)
{
    for (uint32_t i = 0; i < f->n; i++) {
        for (uint32_t k = 0; f->sets[i] != NULL && k < f->sets[i]->n; k++) {
            const struct literal_set *s = &f->sets[i]->list[k];

            for (uint32_t j = 0; j < s->n; j++) {
                count_of(c, &s->list[j])->uses++;
            }
        }
    }
}

/* Less is better: literals that many expressions have are frequent in texts, too, and
 * short ones are found by chance. */
static uint64_t cost(struct counts *c, const struct literal_set *s)
{
    uint64_t sum = 0;

    for (uint32_t i = 0; i < s->n; i++) {
        uint32_t n = s->list[i].n;

        sum += 16ull * count_of(c, &s->list[i])->uses + (n < 3   ? 4096
                                                         : n < 4 ? 256
                                                         : n < 6 ? 32
                                                                 : 1);
    }
    return sum;
}

static const struct literal_set *cheapest(struct counts *c,
                                          const struct literal_sets *l)
{
    const struct literal_set *best = &l->list[0];
    uint64_t least = cost(c, best);

    for (uint32_t i = 1; i < l->n; i++) {
        uint64_t x = cost(c, &l->list[i]);

        if (x < least) {
            least = x;
            best = &l->list[i];
        }
    }
    return best;
}

/* ---- the automaton ------------------------------------------------------------------ */

static void find_classes(struct sieve *f)
{
    f->n_classes = 1; /* of bytes that no literal has */
    for (uint32_t i = 0; i < f->n; i++) {
        for (uint32_t k = 0; f->sets[i] != NULL && k < f->sets[i]->n; k++) {
            const struct literal_set *s = &f->sets[i]->list[k];

            for (uint32_t j = 0; j < s->n; j++) {
                for (uint32_t b = 0; b < s->list[j].n; b++) {
                    uint8_t *class = &f->classes[(unsigned char)s->list[j].text[b]];

                    if (*class == 0 && f->n_classes < 256) {
                        *class = (uint8_t)f->n_classes++;
                    }
                }
            }
        }
    }
}

static uint16_t *next_of(struct sieve *f, uint32_t state, char byte)
{
    return &f->next[(size_t)state * f->n_classes + f->classes[(unsigned char)byte]];
}

/* The states that a set needs at most. */
static uint32_t length_of(const struct literal_set *s)
{
    uint32_t n = 0;

    for (uint32_t i = 0; i < s->n; i++) {
        n += s->list[i].n;
    }
    return n;
}

static void grow(struct sieve *f, uint32_t more, uint32_t *room)
{
    uint32_t had = *room;

    if (f->n_states + more <= *room) {
        return;
    }
    *room = 2 * (f->n_states + more);
    f->next = mem_realloc(f->next, (size_t)*room * f->n_classes * sizeof *f->next);
    f->first = mem_realloc(f->first, *room * sizeof *f->first);
    memset(f->next + (size_t)had * f->n_classes, 0,
           (size_t)(*room - had) * f->n_classes * sizeof *f->next);
    memset(f->first + had, 0, (*room - had) * sizeof *f->first);
}

static void put_literal(struct sieve *f, const struct literal *x, uint32_t expression)
{
    uint32_t state = 0;

    for (uint32_t i = 0; i < x->n; i++) {
        uint16_t *to = next_of(f, state, x->text[i]);

        if (*to == 0) {
            *to = (uint16_t)f->n_states++;
        }
        state = *to;
    }
    if ((f->n_marks & (f->n_marks - 1)) == 0) {
        f->marks = mem_realloc(f->marks, (f->n_marks * 2 + 1) * sizeof *f->marks);
    }
    f->marks[f->n_marks] = (struct mark){expression, f->first[state]};
    f->first[state] = ++f->n_marks;
}

/* Breadth first: the failure of a state is one that is done. */
static void link_states(struct sieve *f)
{
    uint16_t *queue = mem_alloc(f->n_states * sizeof *queue);
    uint16_t *fail = mem_zalloc(f->n_states * sizeof *fail);
    uint32_t head = 0, tail = 0;

    f->output = mem_zalloc(f->n_states * sizeof *f->output);
    f->suffix = mem_zalloc(f->n_states * sizeof *f->suffix);
    queue[tail++] = 0;
    while (head < tail) {
        uint32_t state = queue[head++];
        uint16_t *to = &f->next[(size_t)state * f->n_classes];
        const uint16_t *back = &f->next[(size_t)fail[state] * f->n_classes];

        f->suffix[state] = f->output[fail[state]];
        f->output[state] = f->first[state] > 0 ? (uint16_t)state : f->suffix[state];
        for (uint32_t c = 0; c < f->n_classes; c++) {
            if (to[c] == 0) {
                to[c] = state == 0 ? 0 : back[c];
            } else {
                fail[to[c]] = state == 0 ? 0 : back[c];
                queue[tail++] = to[c];
            }
        }
    }
    free(fail);
    free(queue);
}

void sieve_build(struct sieve *f)
{
    struct counts c = {.buckets = mem_zalloc(BUCKETS * sizeof *c.buckets)};
    uint32_t room = 0;

    count_all(f, &c);
    find_classes(f);
    f->n_states = 1;
    grow(f, 1, &room);
    for (uint32_t i = 0; i < f->n; i++) {
        const struct literal_set *s =
            f->sets[i] == NULL ? NULL : cheapest(&c, f->sets[i]);

        if (s == NULL || f->n_states + length_of(s) > STATES_MAX) {
            f->always[i / 64] |= UINT64_C(1) << (i % 64);
            continue;
        }
        grow(f, length_of(s), &room);
        for (uint32_t k = 0; k < s->n; k++) {
            put_literal(f, &s->list[k], i);
        }
    }
    f->next =
        mem_realloc(f->next, (size_t)f->n_states * f->n_classes * sizeof *f->next);
    link_states(f);
    drop_sets(f);
    free(c.buckets);
    free(c.list);
}

/* ---- texts ---------------------------------------------------------------------------- */

static void mark_all(const struct sieve *f, uint32_t state, uint64_t *out)
{
    for (; state != 0; state = f->suffix[state]) {
        for (uint32_t i = f->first[state]; i > 0; i = f->marks[i - 1].next) {
            uint32_t x = f->marks[i - 1].expression;

            out[x / 64] |= UINT64_C(1) << (x % 64);
        }
    }
}

void sieve_scan(const struct sieve *f, struct str folded, uint64_t *out)
{
    uint32_t state = 0;

    memcpy(out, f->always, sieve_words(f->n) * sizeof *out);
    for (size_t i = 0; i < folded.n; i++) {
        uint8_t class = f->classes[(unsigned char)folded.p[i]];

        state = f->next[(size_t)state * f->n_classes + class];
        if (UNLIKELY(f->output[state] != 0)) {
            mark_all(f, f->output[state], out);
        }
    }
}

size_t sieve_bytes(const struct sieve *f)
{
    return (size_t)f->n_states * (f->n_classes * sizeof *f->next +
                                  2 * sizeof *f->output + sizeof *f->first) +
           f->n_marks * sizeof *f->marks;
}

uint32_t sieve_n_always(const struct sieve *f)
{
    uint32_t n = 0;

    for (size_t i = 0; i < sieve_words(f->n); i++) {
        n += (uint32_t)__builtin_popcountll(f->always[i]);
    }
    return n;
}
