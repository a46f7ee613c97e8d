#include "plan/sheet.h"

#include <assert.h>

void sheet_put_text(struct sheet *t, enum text_for to, struct str s, size_t max)
{
    char text[6 * SHEET_TEXT_MAX];

    assert(max <= SHEET_TEXT_MAX);
    s.n = text_cut(s, max);
    sheet_put(t, (struct str){text, text_write(to, s, text, sizeof text)});
}
