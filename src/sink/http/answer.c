/* What a server answered to a part of a batch, and what follows. */
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "sink/http/data_error.h"
#include "sink/http/upload.h"

/* The server merges its parts meanwhile. */
enum { MERGE_MS = 1000 };

enum { FITTED = 100 };

/* Answers with a code that nobody knows, until the rows are asked one by one. */
enum { UNKNOWN_MAX = 3 };

/* A part that may be there goes whole so often, for a table knows no halves of it. */
enum { WHOLE_MAX = 6 };

static struct upload_attempt *other(struct upload_attempt *t)
{
    struct upload *i = t->upload;

    return t == &i->attempts[0] ? &i->attempts[1] : &i->attempts[0];
}

struct str answer_words(const struct transfer_answer *a)
{
    struct str words = a->status == 0 ? str_of(a->why) : a->body;

    while (words.n > 0 && (unsigned char)words.p[words.n - 1] <= ' ') {
        words.n--;
    }
    return words;
}

static void keep_words(struct upload *i, const struct transfer_answer *a,
                       const struct data_error *r)
{
    struct str words = answer_words(a);
    char status[24] = "";

    /* Without a code of the server's own in its words, or without words. */
    if (a->status != 0 && (r->code == 0 || r->code == a->status || words.n == 0)) {
        (void)snprintf(status, sizeof status, "status %d%s", a->status,
                       words.n > 0 ? ": " : "");
    }
    i->code = r->code;
    (void)snprintf(i->why, sizeof i->why, "%s%s%.*s",
                   r->view ? "a materialized view failed, so the table may have rows "
                             "that the view lacks: "
                           : "",
                   status, (int)words.n, words.p);
}

/* One verdict, for a restart between two would put together what no part was. The batch
 * goes back to the pump with its last event. */
static void taken(struct upload *i, uint32_t first, uint32_t n)
{
    struct sink_verdict v = {
        .kind = SINK_OK, .first = first, .n = n, .row = -1, .why = ""};

    i->n_left -= n;
    i->sink->conf.done(i->sink->conf.arg, i->batch, &v);
}

static void part_taken(struct upload *i)
{
    struct sink *s = i->sink;
    struct upload_part p = i->parts[--i->n_parts];

    i->maybe = false;
    i->n_whole = 0;
    i->misled |= p.hinted;
    stats_add(s->rows, p.n);
    sink_took(s, clock_mono_ns() - i->began_ns);
    /* Now and then more is tried again. */
    if (++s->n_fitted % FITTED == 0) {
        s->too_large += s->too_large / 4;
    }
    aside_passed(i);
    taken(i, p.first, p.n);
    if (search_passed(i)) {
        upload_next(i);
    }
    upload_release(s, SINK_OK, "");
}

static uint64_t part_bytes(const struct upload *i)
{
    const struct batch_entry *first =
        &i->batch->entries[i->parts[i->n_parts - 1].first];
    const struct batch_entry *last = first + i->parts[i->n_parts - 1].n - 1;

    return last->off + last->len + 1 - first->off;
}

/* Smaller parts may pass, which says nothing about their rows. */
static void split(struct upload *i, const struct data_error *r)
{
    struct sink *s = i->sink;
    char quoted[200];

    stats_add(s->extra, 1);
    if (i->maybe) {
        log_write(LOG_WARN, "sink", "sink=%s status=halved rows=%u why=%s",
                  s->conf.plan->name, i->parts[i->n_parts - 1].n,
                  log_quote(quoted, sizeof quoted,
                            "a batch that may be in the table is only taken in "
                            "smaller parts, so its events may be there twice"));
    }
    i->maybe = false;
    i->n_whole = 0;
    if (r->too_large && (s->too_large == 0 || part_bytes(i) < s->too_large)) {
        s->too_large = part_bytes(i);
        s->n_fitted = 0;
    }
    bisect_halve(i);
    upload_next(i);
}

/* Again later, by the pump. */
static void again(struct upload *i, struct upload_attempt *t,
                  const struct data_error *r)
{
    struct sink *s = i->sink;

    i->maybe |= r->kind == SINK_MAYBE;
    sink_slower(s);
    if (other(t)->transfer != NULL) {
        return; /* that one may still make it */
    }
    i->enlarge = r->too_many_parts && r->after_ms == 0;
    upload_park(i, r->kind, i->why, i->enlarge ? MERGE_MS : 0);
}

/* Another try of the same rows runs, or may have been taken. */
static bool stays_whole(struct upload *i, struct upload_attempt *t)
{
    return other(t)->transfer != NULL || (i->maybe && i->n_whole++ < WHOLE_MAX);
}

static void refused(struct upload *i, struct upload_attempt *t, struct data_error *r)
{
    struct sink *s = i->sink;

    if (r->kind == SINK_SETUP) {
        replica_forget(t->endpoint); /* the table may be made anew, as another */
        t->endpoint->unsure = true;
    }
    if (r->kind == SINK_SPLIT && stays_whole(i, t)) {
        r->kind = SINK_RETRY;
    }
    if (r->kind == SINK_RETRY || r->kind == SINK_MAYBE) {
        again(i, t, r);
        return;
    }
    ev_timer_stop(s->conf.loop, &i->hedge);
    upload_end_attempt(other(t));
    if (r->kind == SINK_DATA) {
        search_refused(i, r->row, r->unknown);
    } else if (r->kind == SINK_SPLIT) {
        split(i, r);
    } else {
        upload_setup_error(i, i->why);
    }
}

void upload_answered(void *arg, const struct transfer_answer *a)
{
    struct upload_attempt *t = arg;
    struct upload *i = t->upload;
    struct sink *s = i->sink;
    struct data_error r = s->protocol->classify(t->endpoint, a, i->maybe);
    bool up;

    if (r.unknown && ++i->n_unknown >= UNKNOWN_MAX) {
        r.kind = SINK_DATA;
    }
    if (r.kind == SINK_SPLIT && i->parts[i->n_parts - 1].n == 1) {
        r.kind = r.alone;
    }
    /* What is wrong with the rows says nothing about the endpoint, what is wrong with
     * the table does. */
    up = r.kind == SINK_OK || (r.kind == SINK_DATA && !s->paused) ||
         r.kind == SINK_SPLIT || r.too_many_parts;
    t->transfer = NULL;
    endpoint_done(t->endpoint, t->generation, up, a->ns);
    if (r.kind == SINK_OK) {
        if (t == &i->attempts[1]) {
            stats_add(s->hedge_wins, 1);
        }
        ev_timer_stop(s->conf.loop, &i->hedge);
        upload_end_attempt(other(t));
        part_taken(i);
        return;
    }
    keep_words(i, a, &r);
    if (r.after_ms > 0) {
        endpoint_wait(t->endpoint, r.after_ms);
    }
    /* What stands still may take all that it is sent in the meantime, once it goes
     * on: nothing more is sent before it has answered a question. */
    t->endpoint->unsure |= a->status == 0;
    refused(i, t, &r);
}
