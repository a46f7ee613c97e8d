#include "sink/http/upload.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/mem.h"

enum { LOOK_MS = 1000 }; /* the pump comes back at least as often */

/* ---- its list ---- */

static struct upload *find(struct sink *s, const struct batch *b)
{
    struct upload *i = s->uploads;

    while (i != NULL && i->batch != b) {
        i = i->next;
    }
    return i;
}

void upload_free(struct upload *i)
{
    struct sink *s = i->sink;
    struct upload **at = &s->uploads;

    while (*at != i) {
        at = &(*at)->next;
    }
    *at = i->next;
    if (s->probing == i) {
        s->probing = NULL;
    }
    aside_take(i);
    ev_timer_stop(s->conf.loop, &i->hedge);
    upload_end_attempt(&i->attempts[0]);
    upload_end_attempt(&i->attempts[1]);
    destination_unref(i->target);
    search_forgive(i);
    free(i->suspects);
    free(i->parts);
    free(i->body);
    free(i);
}

void upload_forget(struct sink *s, const struct batch *b)
{
    struct upload *i = find(s, b);

    if (i == NULL) {
        return;
    }
    if (s->probing == i) {
        s->given_up = true;
        aside_look(s); /* those that waited for its answer go on */
    }
    upload_free(i);
}

/* ---- waiting ---- */

void upload_park(struct upload *i, enum sink_verdict_kind kind, const char *why,
                 int64_t after_ms)
{
    struct sink *s = i->sink;
    struct sink_verdict v = {.kind = kind,
                             .row = -1,
                             .code = i->code,
                             .after_ms = after_ms < LOOK_MS ? after_ms : LOOK_MS,
                             .enlarge = i->enlarge,
                             .why =
                                 why[0] != '\0' ? why : "the server gives no reason"};

    ev_timer_stop(s->conf.loop, &i->hedge);
    upload_end_attempt(&i->attempts[0]);
    upload_end_attempt(&i->attempts[1]);
    i->parked = true;
    i->probe = false;
    if (s->probing == i) {
        s->probing = NULL;
    }
    s->conf.done(s->conf.arg, i->batch, &v);
}

void upload_release(struct sink *s, enum sink_verdict_kind kind, const char *why)
{
    struct upload *next;

    for (struct upload *i = s->uploads; i != NULL; i = next) {
        next = i->next;
        if (!i->parked && i->aside == ASIDE_NOT && i->attempts[0].transfer == NULL &&
            i->attempts[1].transfer == NULL) {
            if (kind == SINK_OK) {
                upload_next(i);
            } else {
                upload_park(i, kind, why, 0);
            }
        }
    }
}

void upload_setup_error(struct upload *i, const char *why)
{
    struct sink *s = i->sink;
    char words[sizeof i->why];

    (void)snprintf(words, sizeof words, "%s", why);
    s->setup_failed = true;
    i->maybe = false; /* as it is it is not wanted: another policy may mend that */
    search_forgive(i);
    upload_park(i, SINK_SETUP, words, 0);
    upload_release(s, SINK_SETUP, words);
}

void upload_asked(struct sink *s, bool ok, const struct transfer_answer *a)
{
    char why[300];
    struct str words = answer_words(a);

    (void)snprintf(why, sizeof why, "%.*s", (int)words.n, words.p);
    upload_release(s, ok ? SINK_OK : SINK_RETRY, why);
}

void upload_begin(struct sink *s, struct batch *b)
{
    struct upload *i = find(s, b);

    if (i == NULL) {
        i = mem_zalloc(sizeof *i);
        i->sink = s;
        i->batch = b;
        i->n_left = b->n;
        i->passed = b->proven;
        bisect_put(i, 0, b->n, 0);
        i->next = s->uploads;
        s->uploads = i;
        upload_init_attempts(i);
        i->target = destination_planned(b, s->target);
        i->maybe = b->again || i->target != NULL; /* it may be there */
    }
    i->parked = false;
    i->enlarge = false;
    if (s->paused && !i->passed) {
        aside_put(i, ASIDE_EVIDENCE); /* one row of all that wait is tried at a time */
    } else {
        upload_next(i);
    }
}
