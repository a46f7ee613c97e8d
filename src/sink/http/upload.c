#include "sink/http/upload.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/mem.h"

enum { LOOK_MS = 1000 }; /* the pump comes back at least as often */

/* ---- its list ---- */

static struct upload *find(struct sink *s, const struct batch *b)
{
    struct upload *u = s->uploads;

    while (u != NULL && u->batch != b) {
        u = u->next;
    }
    return u;
}

void upload_free(struct upload *u)
{
    struct sink *s = u->sink;
    struct upload **at = &s->uploads;

    while (*at != u) {
        at = &(*at)->next;
    }
    *at = u->next;
    if (s->probing == u) {
        s->probing = NULL;
    }
    aside_take(u);
    ev_timer_stop(s->conf.loop, &u->hedge);
    upload_end_attempt(&u->attempts[0]);
    upload_end_attempt(&u->attempts[1]);
    destination_unref(u->destination);
    search_forgive(u);
    free(u->suspects);
    free(u->parts);
    free(u->body);
    free(u);
}

void upload_forget(struct sink *s, const struct batch *b)
{
    struct upload *u = find(s, b);

    if (u == NULL) {
        return;
    }
    aside_no_probe(u);
    upload_free(u);
}

/* ---- waiting ---- */

void upload_park(struct upload *u, enum sink_verdict_kind kind, const char *why,
                 int64_t after_ms)
{
    struct sink *s = u->sink;
    struct sink_verdict v = {.kind = kind,
                             .row = -1,
                             .code = u->code,
                             .after_ms = after_ms < LOOK_MS ? after_ms : LOOK_MS,
                             .enlarge = u->enlarge,
                             .why =
                                 why[0] != '\0' ? why : "the server gives no reason"};

    ev_timer_stop(s->conf.loop, &u->hedge);
    upload_end_attempt(&u->attempts[0]);
    upload_end_attempt(&u->attempts[1]);
    u->parked = true;
    u->probe = false;
    u->refused_at = 0;
    if (s->probing == u) {
        s->probing = NULL;
        if (!s->resting) {
            aside_wake(s);
        }
    }
    s->conf.done(s->conf.arg, u->batch, &v);
}

void upload_release(struct sink *s, enum sink_verdict_kind kind, const char *why)
{
    struct upload *next;

    for (struct upload *u = s->uploads; u != NULL; u = next) {
        next = u->next;
        if (!u->parked && u->aside == ASIDE_NOT && u->attempts[0].transfer == NULL &&
            u->attempts[1].transfer == NULL) {
            if (kind == SINK_OK) {
                upload_next(u);
            } else {
                upload_park(u, kind, why, 0);
            }
        }
    }
}

void upload_rest(struct sink *s)
{
    struct upload *next;

    s->resting = true;
    for (struct upload *u = s->uploads; u != NULL; u = next) {
        next = u->next;
        if (!u->parked && u->attempts[0].transfer == NULL &&
            u->attempts[1].transfer == NULL) {
            aside_take(u);
            upload_park(u, SINK_RETRY, "another sink goes on with it", 0);
        }
    }
}

void upload_setup_error(struct upload *u, const char *why)
{
    struct sink *s = u->sink;
    char words[sizeof u->why];

    (void)snprintf(words, sizeof words, "%s", why);
    s->setup_failed = true;
    search_forgive(u);
    upload_park(u, SINK_SETUP, words, 0);
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
    struct upload *u = find(s, b), **at = &s->uploads;

    if (u == NULL) {
        u = mem_zalloc(sizeof *u);
        u->sink = s;
        u->batch = b;
        u->n_left = b->n;
        u->passed = b->proven;
        bisect_put(u, 0, b->n, 0);
        u->came_ns = clock_mono_ns();
        while (*at != NULL) { /* the oldest goes first where few may go */
            at = &(*at)->next;
        }
        *at = u;
        upload_init_attempts(u);
        u->destination = destination_planned(b, s->destination);
        u->maybe = b->again || u->destination != NULL; /* it may be there */
    }
    u->parked = false;
    u->enlarge = false;
    if (s->none_passes && !s->resting) {
        aside_put(u, ASIDE_EVIDENCE); /* one row of all that wait is tried at a time */
    } else {
        upload_next(u);
    }
}
