#include "cli/ledger/suspects.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/text.h"
#include "cli/ledger/tallies.h"
#include "cli/show.h"

struct suspect *suspects_add(struct suspects *s, uint64_t print)
{
    if (s->n == s->room) {
        s->room = s->room == 0 ? 1024 : 2 * s->room;
        s->list = mem_realloc(s->list, s->room * sizeof *s->list);
    }
    s->list[s->n] = (struct suspect){.print = print};
    return &s->list[s->n++];
}

static int by_print(const void *a, const void *b)
{
    const struct suspect *x = a, *y = b;

    return (x->print > y->print) - (x->print < y->print);
}

struct suspect *suspects_find(const struct suspects *s, uint64_t print)
{
    const struct suspect key = {.print = print};

    return s->n == 0 ? NULL : bsearch(&key, s->list, s->n, sizeof *s->list, by_print);
}

bool suspect_differs(const struct suspect *s)
{
    return s->there > s->here || s->there < s->here - s->unconfirmed;
}

void suspect_name(struct suspect *s, struct str id)
{
    static const char cut[] = "\xE2\x80\xA6"; /* an ellipsis */
    const size_t n = text_cut(id, SUSPECT_ID_MAX - 1);
    char text[SUSPECT_ID_MAX + sizeof cut];

    if (s->id == NULL) {
        (void)snprintf(text, sizeof text, "%.*s%s", (int)n, id.p, n < id.n ? cut : "");
        s->id = mem_strdup(text);
    }
}

static void forget(struct suspect *s)
{
    free(s->id);
    free(s->where);
    s->id = s->where = NULL;
}

static void take_text(char **to, char **from)
{
    if (*to == NULL) {
        *to = *from;
        *from = NULL;
    }
}

void suspects_join(struct suspects *s, uint32_t from, bool differing)
{
    uint32_t n = from;

    if (s->n - from > 1) {
        qsort(s->list + from, s->n - from, sizeof *s->list, by_print);
    }
    for (uint32_t i = from; i < s->n;) {
        struct suspect one = s->list[i];

        for (i++; i < s->n && s->list[i].print == one.print; i++) {
            struct suspect *o = &s->list[i];

            one.here += o->here;
            one.there += o->there;
            one.unconfirmed += o->unconfirmed;
            one.later += o->later;
            one.at = one.at.seq == 0 ? o->at : one.at;
            take_text(&one.id, &o->id);
            take_text(&one.where, &o->where);
            forget(o);
        }
        if (!differing || suspect_differs(&one)) {
            s->list[n++] = one;
        } else {
            forget(&one);
        }
    }
    s->n = n;
}

bool suspects_drop(struct suspects *s, uint64_t print)
{
    struct suspect *x = suspects_find(s, print);

    if (x == NULL) {
        return false;
    }
    forget(x);
    s->n--;
    memmove(x, x + 1, (size_t)(s->list + s->n - x) * sizeof *x);
    return true;
}

void suspects_cut(struct suspects *s, uint32_t n)
{
    while (s->n > n) {
        forget(&s->list[--s->n]);
    }
}

void suspect_note_where(struct suspect *s, const char *topic, int32_t partition,
                        int64_t offset)
{
    const size_t n = s->where == NULL ? 0 : strlen(s->where);

    if (s->where == NULL) {
        s->where = mem_zalloc(SUSPECT_WHERE_MAX);
    }
    (void)snprintf(s->where + n, SUSPECT_WHERE_MAX - n, "%s%s/%" PRId32 "@%" PRId64,
                   n > 0 ? "," : "", topic, partition, offset);
}

void suspects_drop_foreign(struct suspects *s)
{
    uint32_t n = 0;

    for (uint32_t i = 0; i < s->n; i++) {
        if (s->list[i].here > 0) {
            s->list[n++] = s->list[i];
        } else {
            forget(&s->list[i]);
        }
    }
    s->n = n;
}

static void tell_one(struct suspect *x, const char *word, const char *spool,
                     const struct tallies *t, const char *rows)
{
    char *id = x->id == NULL && x->at.seq != 0 ? entries_name(spool, t, &x->at) : NULL;
    char *quoted;

    if (id != NULL) {
        suspect_name(x, str_of(id));
        free(id);
    }
    quoted = text_new(TEXT_LOG, str_of(x->id == NULL ? "" : x->id));
    show_part(stdout, "%s id=\"%s\" accepted=%" PRId64 " %s=%" PRId64, word, quoted,
              x->here, rows, x->there);
    free(quoted);
    if (x->at.seq != 0) {
        show_part(stdout, " stream=%s position=%u.%u/%" PRIu64, t->stream, x->at.epoch,
                  x->at.worker, x->at.seq);
    }
    if (x->where != NULL) {
        show_part(stdout, " at=%s", x->where);
    }
    (void)printf(x->id == NULL ? " (its bytes are gone: the fingerprint is %014" PRIx64
                                 ")\n"
                               : "\n",
                 x->print);
}

void suspects_tell(struct suspects *s, const char *spool, const struct tallies *t,
                   const char *rows, struct check_result *out)
{
    for (uint32_t i = 0; i < s->n; i++) {
        struct suspect *x = &s->list[i];
        const char *word = x->here == 0         ? "extra"
                           : x->there > x->here ? "doubled"
                                                : "missing";

        out->extra += x->here == 0;
        out->doubled += x->here > 0 && x->there > x->here;
        out->missing += x->there < x->here;
        if (i < SUSPECTS_NAMED_MAX) {
            tell_one(x, word, spool, t, rows);
        } else {
            out->cut = true;
        }
    }
}

void suspects_free(struct suspects *s)
{
    suspects_cut(s, 0);
    free(s->list);
    *s = (struct suspects){.n = 0};
}
