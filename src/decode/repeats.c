#include "decode/repeats.h"

#include <string.h>

#include "base/mem.h"

void repeats_start(struct repeats *r)
{
    memset(r->table, 0, sizeof r->table);
    r->n = 0;
    r->any = false;
}

static bool same_name(const char *base, const struct repeated_member *a,
                      const struct repeated_member *b)
{
    size_t n = a->value - a->at;

    return a->hash == b->hash && b->value - b->at == n &&
           memcmp(base + a->at, base + b->at, n) == 0;
}

void repeats_add(struct params *x)
{
    struct repeats *r = x->repeats;
    struct repeated_member *m = &r->list[r->n], *first;
    const char *base = x->room->p;
    uint32_t i;

    *m = (struct repeated_member){.at = (uint32_t)x->at,
                                  .value = (uint32_t)x->value,
                                  .end = (uint32_t)(x->p - 1 - base)};
    m->list = x->list && x->rules->repeated == PARAMS_ARRAY;
    r->any |= m->list;
    m->hash = siphash13(&x->rules->key, base + m->at, m->value - m->at);
    i = (uint32_t)m->hash % REPEATS_TABLE;
    while (r->table[i] != 0 && !same_name(base, &r->list[r->table[i] - 1], m)) {
        i = (i + 1) % REPEATS_TABLE;
    }
    if (r->table[i] == 0) {
        r->table[i] = (uint16_t)(r->n + 1);
    } else if (x->rules->repeated == PARAMS_FIRST) {
        x->p = x->room->p + x->at;
        return;
    } else {
        first = &r->list[r->table[i] - 1];
        r->list[(first->last == 0 ? r->table[i] : first->last) - 1].next =
            (uint16_t)(r->n + 1);
        first->last = (uint16_t)(r->n + 1);
        m->behind = true;
        r->any = true;
    }
    r->n++;
}

static char *copy(char *out, const char *base, uint32_t from, uint32_t to)
{
    memcpy(out, base + from, to - from);
    return out + (to - from);
}

/* The first of a name in its place, with what repeated says of the others. */
static char *write_member(const struct params *x, const struct repeated_member *m,
                          char *out)
{
    const struct repeats *r = x->repeats;
    const char *base = x->room->p, *from;

    out = copy(out, base, m->at, m->value);
    if (m->next == 0 && !m->list) {
        return copy(out, base, m->value, m->end);
    }
    if (x->rules->repeated == PARAMS_LAST) {
        m = &r->list[m->last - 1];
        return copy(out, base, m->value, m->end);
    }
    *out++ = '[';
    from = out;
    for (;; m = &r->list[m->next - 1]) {
        if (m->end > m->value) { /* an item that is absent has no text */
            out = copy(out, base, m->value, m->end);
            *out++ = ',';
        }
        if (m->next == 0) {
            break;
        }
    }
    out -= out > from;
    *out++ = ']';
    return out;
}

struct str repeats_end(struct params *x)
{
    struct repeats *r = x->repeats;
    size_t n = (size_t)(x->p - x->room->p), need = 2 * n + 2 * r->n + 2 + SCAN_PAD;
    char *out, *from;

    if (!r->any) {
        x->p -= r->n > 0;
        *x->p++ = '}';
        return (struct str){x->room->p, (size_t)(x->p - x->room->p)};
    }
    if (need > x->room->n) {
        x->room->p = mem_realloc(x->room->p, need);
        x->room->n = need;
    }
    from = out = x->room->p + n;
    *out++ = '{';
    for (uint32_t i = 0; i < r->n; i++) {
        if (!r->list[i].behind) {
            out = write_member(x, &r->list[i], out);
            *out++ = ',';
        }
    }
    out[-1] = '}';
    x->p = out;
    return (struct str){from, (size_t)(out - from)};
}
