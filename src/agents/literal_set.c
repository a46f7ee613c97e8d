#include "agents/literal_set.h"

#include <string.h>

static bool same(const struct literal *a, const struct literal *b)
{
    return a->n == b->n && memcmp(a->text, b->text, a->n) == 0;
}

bool literal_set_put(struct literal_set *s, const struct literal *x)
{
    for (uint32_t i = 0; i < s->n; i++) {
        if (same(&s->list[i], x)) {
            return true;
        }
    }
    if (s->n == LITERALS_MAX) {
        return false;
    }
    s->list[s->n++] = *x;
    return true;
}

uint32_t literal_set_shortest(const struct literal_set *s)
{
    uint32_t n = s->n == 0 ? 0 : LITERAL_BYTES_MAX;

    for (uint32_t i = 0; i < s->n; i++) {
        n = s->list[i].n < n ? s->list[i].n : n;
    }
    return n;
}

bool literal_set_join(const struct literal_set *a, const struct literal_set *b,
                      struct literal_set *out)
{
    out->n = 0;
    for (uint32_t i = 0; i < a->n; i++) {
        for (uint32_t k = 0; k < b->n; k++) {
            struct literal x = a->list[i];

            if (x.n + b->list[k].n > LITERAL_BYTES_MAX) {
                return false;
            }
            memcpy(x.text + x.n, b->list[k].text, b->list[k].n);
            x.n = (uint8_t)(x.n + b->list[k].n);
            if (!literal_set_put(out, &x)) {
                return false;
            }
        }
    }
    return true;
}

bool literal_set_unite(struct literal_set *to, const struct literal_set *from)
{
    for (uint32_t i = 0; i < from->n; i++) {
        if (!literal_set_put(to, &from->list[i])) {
            return false;
        }
    }
    return true;
}
