/*
 * Sinks that can't start: each is held, says why, and is tried again, while the
 * others deliver. Its events stay in the spool. And the list of streams, if the disk does
 * not take it.
 */
#include <stdio.h>
#include <string.h>

#include "base/err.h"
#include "base/log.h"
#include "server/index/indexes.h"
#include "server/internal.h"
#include "server/sinks/taken.h"

static const double LOOK_S = 1.;

/* One whose thread took too long to end: its journal is free when it has. */
static void end_late(struct server *s, struct running_sink *r)
{
    if (r->ending) {
        (void)sink_end(s, r, 0);
    } else if (delivery_hand_over(r->delivery, 0)) {
        r->handing = false;
        taken_own(s, r);
        paused_note(s, r, "its thread took too long to end");
    }
}

static void look(void *arg) /* the changer's thread */
{
    struct server *s = arg;
    struct err e;

    if (!spool_in_place(s->spool, &e)) {
        s->any_paused = true;
        return; /* a journal that is made there is another spool's */
    }
    s->any_paused = false;
    for (uint32_t i = 0; i < SINKS_RUNNING_MAX; i++) {
        struct running_sink *r = &s->sinks[i];

        if (r->delivery != NULL && (r->handing || r->ending)) {
            end_late(s, r);
        }
        if (r->delivery != NULL && r->paused) {
            changer_at(&s->changer, r->name);
            sinks_revive(s, r);
        }
        s->any_paused |= r->delivery != NULL && (r->paused || r->handing || r->ending);
    }
    s->any_paused |= indexes_again(s);
}

static void on_looked(void *arg)
{
    struct server *s = arg;

    s->looking = false;
    if (s->any_paused) {
        ev_timer_set(&s->paused_timer, LOOK_S, 0.);
        ev_timer_start(s->loop, &s->paused_timer);
    }
}

static void on_look(struct ev_loop *loop, ev_timer *t, int events)
{
    struct server *s = OUTER(t, struct server, paused_timer);

    (void)events;
    if (s->sinks_ahead) {
        ev_timer_set(t, LOOK_S, 0.);
        ev_timer_start(loop, t);
        return;
    }
    s->looking = true;
    changer_post(&s->changer, look, on_looked, s);
}

void sinks_go(struct server *s, bool live)
{
    for (uint32_t i = 0; i < SINKS_RUNNING_MAX; i++) {
        struct running_sink *r = &s->sinks[i];

        /* One that is only to end, once its thread goes on, is a refused policy's. */
        if (r->delivery != NULL && !r->ending && !r->handing) {
            running_go(r, live);
        }
    }
}

static void on_paused(void *arg)
{
    struct server *s = arg;

    if (!s->looking && !ev_is_active(&s->paused_timer)) {
        ev_timer_init(&s->paused_timer, on_look, LOOK_S, 0.);
        ev_timer_start(s->loop, &s->paused_timer);
    }
}

void paused_look(struct server *s)
{
    mailbox_post(&s->mail, on_paused, s);
}

void paused_note(struct server *s, struct running_sink *r, const char *why)
{
    char quoted[ERR_TEXT_MAX + 16];

    if (!r->paused) {
        log_write(LOG_ERROR, "sink", "sink=%s status=holding why=%s", r->name,
                  log_quote(quoted, sizeof quoted, why));
    }
    r->paused = true;
    delivery_pause_why(r->delivery, why);
    paused_look(s);
}

bool paused_start(struct server *s, struct running_sink *r,
                  const struct delivery_conf *c, const char *why, struct err *e)
{
    struct delivery_conf own = *c;
    struct delivery *d, *before;

    own.before = r->delivery;
    d = delivery_pause(&own, why, e);
    if (d == NULL) {
        return false;
    }
    before = running_set(s, r, d);
    if (before != NULL) {
        delivery_free(before);
    }
    paused_note(s, r, why);
    return true;
}

bool paused_restart(struct server *s, struct running_sink *r,
                    const struct delivery_conf *c, struct err *e)
{
    struct delivery_conf own = *c;
    struct delivery *d;

    own.before = r->delivery;
    d = delivery_start(&own, e);
    if (d == NULL) {
        delivery_pause_why(r->delivery, e->text); /* its place is still kept */
        return false;
    }
    delivery_free(running_set(s, r, d));
    r->paused = false;
    log_write(LOG_INFO, "sink", "sink=%s status=delivering", r->name);
    return true;
}
