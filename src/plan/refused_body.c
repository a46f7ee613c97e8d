#include "plan/refused_body.h"

#include <stdio.h>

#include "plan/sheet.h"

enum { CODE_MAX = 64 };

const struct refused_body *refused_body_of(const struct route *route)
{
    return route == NULL || route->answer == NULL ? NULL : route->answer->refused_body;
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
    enum text_for to = f->plain ? TEXT_LINE : TEXT_JSON;
    char digits[12];

    switch (kind) {
    case FILL_STATUS:
        (void)snprintf(digits, sizeof digits, "%d", why->status);
        sheet_put(t, str_of(digits));
        break;
    case FILL_CODE:
        sheet_put_text(t, to, code_of(f, why), CODE_MAX);
        break;
    case FILL_MESSAGE:
        sheet_put_text(t, to, str_of(why->message == NULL ? why->code : why->message),
                       SHEET_TEXT_MAX);
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
    struct sheet t = {out, 0};

    for (uint32_t i = 0; i < f->fill.n; i++) {
        sheet_put(&t, f->fill.parts[i].text);
        put_value(&t, f, why, f->fill.parts[i].kind);
    }
    return t.n;
}
