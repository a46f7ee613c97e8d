#include "plan/refused_body.h"

#include <stdio.h>
#include <string.h>

#include "base/text.h"

enum { MESSAGE_MAX = 512, CODE_MAX = 64 };

struct sheet {
    char *out; /* NULL: bytes are counted */
    size_t n;
    enum text_for to;
};

const struct refused_body *refused_body_of(const struct route *route)
{
    return route == NULL || route->answer == NULL ? NULL : route->answer->refused_body;
}

static void put(struct sheet *t, struct str s)
{
    if (t->out != NULL && s.n > 0) {
        memcpy(t->out + t->n, s.p, s.n);
    }
    t->n += s.n;
}

static void put_text(struct sheet *t, struct str s, size_t max)
{
    char text[6 * MESSAGE_MAX];

    s.n = text_cut(s, max);
    put(t, (struct str){text, text_write(t->to, s, text, sizeof text)});
}

/* The code itself goes before its status. */
static struct str code_of(const struct refused_body *f,
                          const struct refused_reason *why)
{
    struct str code = str_of(why->code);
    const struct refused_code *by_status = NULL;

    for (uint32_t i = 0; i < f->n_codes; i++) {
        const struct refused_code *c = &f->codes[i];

        if (c->name.n > 0 && str_eq(c->name, code)) {
            return c->word;
        }
        if (c->name.n == 0 && c->status == why->status) {
            by_status = c;
        }
    }
    return by_status != NULL ? by_status->word : f->other.p != NULL ? f->other : code;
}

static void put_value(struct sheet *t, const struct refused_body *f,
                      const struct refused_reason *why, enum fill_kind kind)
{
    char digits[12];

    switch (kind) {
    case FILL_STATUS:
        (void)snprintf(digits, sizeof digits, "%d", why->status);
        put(t, str_of(digits));
        break;
    case FILL_CODE:
        put_text(t, code_of(f, why), CODE_MAX);
        break;
    case FILL_MESSAGE:
        put_text(t, str_of(why->message == NULL ? why->code : why->message),
                 MESSAGE_MAX);
        break;
    case FILL_FIELD:
    case FILL_INDEX:
    case FILL_ACCEPTED:
    case FILL_REJECTED:
    case FILL_ERRORS:
    case FILL_ITEMS:
        break;
    }
}

size_t refused_body_write(const struct refused_body *f,
                          const struct refused_reason *why, char *out)
{
    struct sheet t = {out, 0, f->plain ? TEXT_LINE : TEXT_JSON};

    for (uint32_t i = 0; i < f->fill.n; i++) {
        put(&t, f->fill.parts[i].text);
        put_value(&t, f, why, f->fill.parts[i].kind);
    }
    return t.n;
}
