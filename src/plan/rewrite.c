#include "plan/rewrite.h"

#include <string.h>

#include "base/arena.h"
#include "decode/edit_path.h"
#include "decode/number.h"
#include "plan/check_parts.h"

/* Bytes of the character at p: an escape is one, a surrogate pair is one. */
static size_t character(const char *p, bool escaped)
{
    size_t n = 1;

    if (escaped && p[0] == '\\') {
        bool high =
            p[1] == 'u' && (p[2] | 0x20) == 'd' && strchr("89abAB", p[3]) != NULL;

        return p[1] != 'u' ? 2 : high ? 12 : 6;
    }
    while (((unsigned char)p[n] & 0xC0) == 0x80) {
        n++;
    }
    return n;
}

/* The text up to max characters, or all of it. */
static struct str first_characters(struct str s, bool escaped, uint32_t max)
{
    size_t i = 0;

    for (uint32_t n = 0; n < max && i < s.n; n++) {
        i += character(s.p + i, escaped);
    }
    return (struct str){s.p, i};
}

static bool cut_text(const struct field *f, struct event_batch *b, const struct slot *x,
                     struct str *out)
{
    struct str s = text_of(b, x), kept;
    char *text;

    if (s.n <= f->cut) {
        return true;
    }
    kept = first_characters(s, kind_of(x) == SLOT_ESCAPED, f->cut);
    if (kept.n == s.n) {
        return true;
    }
    text = arena_alloc(b->arena, kept.n + 2);
    if (text == NULL) {
        return false;
    }
    text[0] = text[kept.n + 1] = '"';
    memcpy(text + 1, kept.p, kept.n);
    *out = (struct str){text, kept.n + 2};
    b->n_cut++;
    return true;
}

static bool put_whole(struct event_batch *b, const struct slot *x,
                      const struct whole *w, struct str *out)
{
    char digits[WHOLE_BYTES], *text;
    size_t n = whole_write(w, digits);

    if (kind_of(x) == SLOT_NUMBER && str_eq(text_of(b, x), (struct str){digits, n})) {
        return true;
    }
    text = arena_alloc(b->arena, n);
    if (text == NULL) {
        return false;
    }
    memcpy(text, digits, n);
    *out = (struct str){text, n};
    return true;
}

static bool integer(struct event_batch *b, const struct slot *x, struct str *out)
{
    char plain[CHECK_PLAIN_BYTES];
    struct whole w;

    if (kind_of(x) == SLOT_NUMBER && is_digits(text_of(b, x))) {
        return true;
    }
    return whole_read(check_plain(x, text_of(b, x), plain), &w) != WHOLE_OK ||
           put_whole(b, x, &w, out);
}

/* A number that came in quotes, as JSON writes it. */
static bool number(struct event_batch *b, const struct slot *x, struct str *out)
{
    char plain[CHECK_PLAIN_BYTES], *text, *end;
    struct str s = text_of(b, x);

    if (kind_of(x) == SLOT_NUMBER) {
        return true;
    }
    s = check_plain(x, s, plain);
    text = arena_alloc(b->arena, s.n + 1);
    end = text == NULL ? NULL : number_of_text(s, text);
    *out = (struct str){text, end == NULL ? 0 : (size_t)(end - text)};
    return end != NULL;
}

static void truth(const struct slot *x, struct str *out)
{
    if (kind_of(x) != SLOT_TRUE && kind_of(x) != SLOT_FALSE) {
        *out = x->num != 0 ? STR("true") : STR("false");
    }
}

bool rewrite_value(const struct field *f, struct event_batch *b, const struct slot *x,
                   struct str *out)
{
    *out = (struct str){NULL, 0};
    switch (f->type) {
    case FIELD_STR:
        return cut_text(f, b, x, out);
    case FIELD_NUM:
        return number(b, x, out);
    case FIELD_BOOL:
        truth(x, out);
        return true;
    case FIELD_INT:
        return integer(b, x, out);
    case FIELD_TIME:
        return is_milliseconds(x, text_of(b, x)) ||
               put_whole(b, x, &(struct whole){false, (uint64_t)x->num}, out);
    default:
        return true;
    }
}

static void no_room(struct event *ev, const struct field *f)
{
    ev->fate = EVENT_REJECT;
    ev->code = "too_many_edits";
    ev->field = f->path.p;
    ev->message = "no room for what is stored instead of its values";
}

/* -0 of an int without bits, which check_events has marked: 0 is what columns read. */
static bool is_minus_zero(const struct field *f, const struct event *ev,
                          const struct event_batch *b, const struct slot *x)
{
    return UNLIKELY((ev->flags & EVENT_MINUS_ZERO) != 0) && f->type == FIELD_INT &&
           kind_of(x) == SLOT_NUMBER && str_eq(text_of(b, x), STR("-0"));
}

void rewrite_event(const struct schema *s, struct event_batch *b, struct event *ev)
{
    struct edit_change list[EDIT_CHANGES_MAX];
    uint32_t n = 0;

    for (uint32_t i = 0; i < s->n_fields; i++) {
        const struct field *f = &s->fields[i];
        const struct slot *x = &ev->slots[i];
        struct str json;

        if (!(f->rewrites || is_minus_zero(f, ev, b, x)) || kind_of(x) <= SLOT_NULL) {
            continue;
        }
        if (!rewrite_value(f, b, x, &json)) {
            no_room(ev, f);
            return;
        }
        if (json.p != NULL) {
            list[n++] = (struct edit_change){f->path_parts, f->key, json};
        }
    }
    if (n > 0 && !edit_put_paths(b, ev, list, n)) {
        no_room(ev, &s->fields[0]);
    }
}
