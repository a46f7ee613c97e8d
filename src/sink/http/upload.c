#include "sink/http/upload.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/mem.h"

enum { LOOK_MS = 1000 }; /* the pump comes back at least as often */

/* ---- its list ---- */

static struct insert *find(struct sink *s, const struct batch *b)
{
    struct insert *i = s->inserts;

    while (i != NULL && i->batch != b) {
        i = i->next;
    }
    return i;
}

void insert_free(struct insert *i)
{
    struct sink *s = i->sink;
    struct insert **at = &s->inserts;

    while (*at != i) {
        at = &(*at)->next;
    }
    *at = i->next;
    if (s->probing == i) {
        s->probing = NULL;
    }
    apart_take(i);
    ev_timer_stop(s->conf.loop, &i->hedge);
    insert_end_try(&i->tries[0]);
    insert_end_try(&i->tries[1]);
    target_unref(i->target);
    search_forgive(i);
    free(i->suspects);
    free(i->parts);
    free(i->body);
    free(i);
}

void insert_forget(struct sink *s, const struct batch *b)
{
    struct insert *i = find(s, b);

    if (i == NULL) {
        return;
    }
    if (s->probing == i) {
        s->given_up = true;
        apart_look(s); /* those that waited for its answer go on */
    }
    insert_free(i);
}

/* ---- waiting ---- */

void insert_park(struct insert *i, enum sink_verdict_kind kind, const char *why,
                 int64_t after_ms)
{
    struct sink *s = i->sink;
    struct sink_verdict v = {.kind = kind,
                             .row = -1,
                             .code = i->code,
                             .after_ms = after_ms < LOOK_MS ? after_ms : LOOK_MS,
                             .enlarge = i->enlarge,
                             .why = why[0] != '\0' ? why : "the server gives no reason"};

    ev_timer_stop(s->conf.loop, &i->hedge);
    insert_end_try(&i->tries[0]);
    insert_end_try(&i->tries[1]);
    i->parked = true;
    i->probe = false;
    if (s->probing == i) {
        s->probing = NULL;
    }
    s->conf.done(s->conf.arg, i->batch, &v);
}

void insert_release(struct sink *s, enum sink_verdict_kind kind, const char *why)
{
    struct insert *next;

    for (struct insert *i = s->inserts; i != NULL; i = next) {
        next = i->next;
        if (!i->parked && i->apart == APART_NOT && i->tries[0].transfer == NULL &&
            i->tries[1].transfer == NULL) {
            if (kind == SINK_OK) {
                insert_next(i);
            } else {
                insert_park(i, kind, why, 0);
            }
        }
    }
}

void insert_setup_error(struct insert *i, const char *why)
{
    struct sink *s = i->sink;
    char words[sizeof i->why];

    (void)snprintf(words, sizeof words, "%s", why);
    s->suspect = true;
    i->maybe = false; /* as it is it is not wanted: another policy may mend that */
    search_forgive(i);
    insert_park(i, SINK_SETUP, words, 0);
    insert_release(s, SINK_SETUP, words);
}

void insert_asked(struct sink *s, bool ok, const struct transfer_answer *a)
{
    char why[300];
    struct str words = answer_words(a);

    (void)snprintf(why, sizeof why, "%.*s", (int)words.n, words.p);
    insert_release(s, ok ? SINK_OK : SINK_RETRY, why);
}

void insert_begin(struct sink *s, struct batch *b)
{
    struct insert *i = find(s, b);

    if (i == NULL) {
        i = mem_zalloc(sizeof *i);
        i->sink = s;
        i->batch = b;
        i->n_left = b->n;
        i->passed = b->proven;
        parts_put(i, 0, b->n, 0);
        i->next = s->inserts;
        s->inserts = i;
        insert_init_tries(i);
        i->target = target_planned(b, s->target);
        i->maybe = b->again || i->target != NULL; /* it may be there */
    }
    i->parked = false;
    i->enlarge = false;
    if (s->held && !i->passed) {
        apart_put(i, APART_EVIDENCE); /* one row of all that wait is tried at a time */
    } else {
        insert_next(i);
    }
}
