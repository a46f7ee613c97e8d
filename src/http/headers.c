#include "http/headers.h"

#include <stdlib.h>
#include <strings.h>

#include "base/mem.h"

enum { TEXT_FIRST = 1024 };

void headers_init(struct headers *h)
{
    h->text_room = TEXT_FIRST;
    h->text = mem_alloc(h->text_room);
    headers_begin(h, 0);
}

void headers_fini(struct headers *h)
{
    free(h->text);
}

void headers_begin(struct headers *h, uint32_t max_text)
{
    h->text_n = 0;
    h->max_text = max_text;
    h->target_n = 0;
    h->n = 0;
}

void headers_rest(struct headers *h)
{
    if (h->text_room > TEXT_FIRST) {
        headers_begin(h, h->max_text);
        h->text_room = TEXT_FIRST;
        h->text = mem_realloc(h->text, h->text_room);
    }
}

void headers_reserve(struct headers *h, size_t n)
{
    if (h->text_n + n > h->text_room) {
        while (h->text_n + n > h->text_room) {
            h->text_room *= 2;
        }
        h->text = mem_realloc(h->text, h->text_room);
    }
}

/* There is room. */
static void append(struct headers *h, const char *p, size_t n)
{
    memcpy(h->text + h->text_n, p, n);
    h->text_n += (uint32_t)n;
}

static struct str name_of(const struct headers *h, uint32_t i)
{
    return (struct str){h->text + h->list[i].name, h->list[i].name_n};
}

static bool same(const struct headers *h, uint32_t i, uint32_t j)
{
    const struct header_place *a = &h->list[i], *b = &h->list[j];

    return a->value_n == b->value_n &&
           memcmp(h->text + a->value, h->text + b->value, a->value_n) == 0;
}

/* The same value twice counts as one; different values are a list, which is refused. */
static bool is_single(struct str name)
{
    return (name.n == 14 && strncasecmp(name.p, "content-length", 14) == 0) ||
           (name.n == 12 && strncasecmp(name.p, "content-type", 12) == 0);
}

static bool is_named(const struct headers *h, uint32_t i, struct str name)
{
    return h->list[i].name_n == name.n &&
           strncasecmp(name_of(h, i).p, name.p, name.n) == 0;
}

/* Header i becomes the list of all headers of its name from i on; the others are
 * marked as gone. The list is written once, so that many equal names take no more
 * text than they were sent with. */
static void join(struct headers *h, uint32_t i, bool gone[HEADERS_MAX])
{
    struct header_place *to = &h->list[i];
    struct str name = name_of(h, i);
    bool cookie = name.n == 6 && strncasecmp(name.p, "cookie", 6) == 0;
    uint32_t more[HEADERS_MAX], n_more = 0, at;
    size_t n = to->value_n;

    for (uint32_t j = i + 1; j < h->n; j++) {
        if (gone[j] || !is_named(h, j, name)) {
            continue;
        }
        gone[j] = true;
        if (!is_single(name) || !same(h, i, j)) {
            more[n_more++] = j;
            n += (size_t)h->list[j].value_n + 2;
        }
    }
    if (n_more == 0) {
        return;
    }
    /* No append moves the text under its own source. */
    headers_reserve(h, n);
    at = h->text_n;
    append(h, h->text + to->value, to->value_n);
    for (uint32_t k = 0; k < n_more; k++) {
        const struct header_place *from = &h->list[more[k]];

        append(h, cookie ? "; " : ", ", 2);
        append(h, h->text + from->value, from->value_n);
    }
    to->value = at;
    to->value_n = (uint32_t)n;
}

/* False: no two names are equal. */
static bool may_repeat(const struct headers *h)
{
    uint64_t seen = 0;

    for (uint32_t i = 0; i < h->n; i++) {
        const struct header_place *x = &h->list[i];
        uint64_t bit = UINT64_C(1)
                       << ((x->name_n + 5u * (h->text[x->name] & 0x1Fu)) & 63);

        if ((seen & bit) != 0) {
            return true;
        }
        seen |= bit;
    }
    return false;
}

void headers_merge(struct headers *h)
{
    bool gone[HEADERS_MAX] = {false};
    uint32_t n = 0;

    if (!may_repeat(h)) {
        return;
    }
    for (uint32_t i = 0; i < h->n; i++) {
        if (!gone[i]) {
            join(h, i, gone);
            h->list[n++] = h->list[i];
        }
    }
    h->n = n;
}

void headers_trim(struct headers *h)
{
    for (uint32_t i = 0; i < h->n; i++) {
        struct header_place *x = &h->list[i];

        while (x->value_n > 0 && (h->text[x->value + x->value_n - 1] == ' ' ||
                                  h->text[x->value + x->value_n - 1] == '\t')) {
            x->value_n--;
        }
    }
}

uint32_t headers_list(const struct headers *h, struct str_pair out[HEADERS_MAX])
{
    for (uint32_t i = 0; i < h->n; i++) {
        const struct header_place *x = &h->list[i];

        out[i].name = (struct str){h->text + x->name, x->name_n};
        out[i].value = (struct str){h->text + x->value, x->value_n};
    }
    return h->n;
}
