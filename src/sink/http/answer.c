/* A server's answer to a part of a batch, and the next step. */
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "sink/http/data_error.h"
#include "sink/http/upload.h"

/* The server merges its parts meanwhile. */
enum { MERGE_MS = 1000 };
enum { TOKEN_BYTES = 300, PLACE_BYTES = 700 };

enum { FITTED = 100 };

/* Answers with an unknown code, until the rows are tried one by one. */
enum { UNKNOWN_MAX = 3 };

/* A part that may be there goes whole so often and so long, because a table knows no
 * halves of it. The tries come fast while other batches are delivered, and few come
 * through an open breaker. */
enum { WHOLE_MAX = 6, WHOLE_MS = 4000 };

static struct upload_attempt *other(struct upload_attempt *t)
{
    struct upload *u = t->upload;

    return t == &u->attempts[0] ? &u->attempts[1] : &u->attempts[0];
}

struct str answer_words(const struct transfer_answer *a)
{
    struct str words = a->status == 0 ? str_of(a->why) : a->body;

    while (words.n > 0 && (unsigned char)words.p[words.n - 1] <= ' ') {
        words.n--;
    }
    return words;
}

static void keep_words(struct upload *u, const struct transfer_answer *a,
                       const struct data_error *r)
{
    struct str words = answer_words(a);
    char status[24] = "";

    /* Without a code of the server's own in its words, or without words. */
    if (a->status != 0 && (r->code == 0 || r->code == a->status || words.n == 0)) {
        (void)snprintf(status, sizeof status, "status %d%s", a->status,
                       words.n > 0 ? ": " : "");
    }
    u->code = r->code;
    (void)snprintf(u->why, sizeof u->why, "%s%s%.*s",
                   r->view ? "a materialized view failed, so the table may have rows "
                             "that the view lacks: "
                           : "",
                   status, (int)words.n, words.p);
}

/* One verdict, because a restart between two would join rows that never were one part.
 * The batch goes back to the pump with its last event. */
static void taken(struct upload *u, uint32_t first, uint32_t n, const char *place)
{
    struct sink_verdict v = {
        .kind = SINK_OK, .first = first, .n = n, .row = -1, .why = "", .place = place};

    u->n_left -= n;
    u->sink->conf.done(u->sink->conf.arg, u->batch, &v);
}

/* Those that refused what p took are wrong, not the rows. */
static void blame_others(struct upload *u, const struct endpoint *p)
{
    struct sink *s = u->sink;
    const uint64_t wrong = u->refused_at & ~endpoint_bit(p);
    int64_t now = http_sink_now_ms(s);
    uint64_t generation;

    u->refused_at = 0;
    for (uint32_t k = 0; k < s->n_endpoints; k++) {
        struct breaker *b = &s->endpoints[k]->breaker;

        if ((wrong >> k & 1) != 0 && breaker_allow(b, now, &generation)) {
            breaker_done(b, now, generation, false, false);
            endpoint_show(s->endpoints[k]);
        }
    }
}

static void part_taken(struct upload *u, const struct upload_attempt *t, int status)
{
    struct sink *s = u->sink;
    struct upload_part p = u->parts[--u->n_parts];
    char token[TOKEN_BYTES], place[PLACE_BYTES];

    bisect_token(u, p.first, p.n, token, sizeof token);
    (void)snprintf(place, sizeof place, "token=%s status=%d url=%s", token, status,
                   t->endpoint->shown);
    u->maybe = false;
    u->n_whole = 0;
    u->misled |= p.hinted;
    stats_add(s->rows, p.n);
    sink_took(s, clock_mono_ns() - u->began_ns);
    /* Now and then more is tried again. */
    if (++s->n_fitted % FITTED == 0) {
        s->too_large += s->too_large / 4;
    }
    blame_others(u, t->endpoint);
    aside_passed(u, t->endpoint);
    taken(u, p.first, p.n, place);
    if (search_passed(u)) {
        upload_next(u);
    }
    upload_release(s, SINK_OK, "");
}

static uint64_t part_bytes(const struct upload *u)
{
    const struct batch_entry *first =
        &u->batch->entries[u->parts[u->n_parts - 1].first];
    const struct batch_entry *last = first + u->parts[u->n_parts - 1].n - 1;

    return last->off + last->len + 1 - first->off;
}

/* Smaller parts may pass, which says nothing about their rows. */
static void split(struct upload *u, const struct data_error *r)
{
    struct sink *s = u->sink;

    stats_add(s->extra, 1);
    u->maybe = false;
    u->refused_at = 0;
    u->n_whole = 0;
    if (r->too_large && (s->too_large == 0 || part_bytes(u) < s->too_large)) {
        s->too_large = part_bytes(u);
        s->n_fitted = 0;
    }
    bisect_halve(u);
    upload_next(u);
}

/* Again later, by the pump. */
static void again(struct upload *u, struct upload_attempt *t,
                  const struct data_error *r)
{
    struct sink *s = u->sink;

    u->maybe |= r->kind == SINK_MAYBE;
    s->setup_failed = s->none_passes; /* others may pass while this one does not */
    sink_slower(s);
    if (other(t)->transfer != NULL) {
        return; /* that one may still make it */
    }
    u->enlarge = r->too_many_parts && r->after_ms == 0;
    upload_park(u, r->kind, u->why, u->enlarge ? MERGE_MS : 0);
}

/* A row can't be made less. */
static enum sink_verdict_kind meant(const struct upload *u, const struct data_error *r)
{
    return r->kind == SINK_SPLIT && u->parts[u->n_parts - 1].n == 1 ? r->alone
                                                                    : r->kind;
}

/* Another try of the same rows runs, or may have been taken. */
static bool stays_whole(struct upload *u, struct upload_attempt *t)
{
    int64_t now = http_sink_now_ms(u->sink);

    if (other(t)->transfer != NULL) {
        return true;
    }
    if (!u->maybe) {
        return false;
    }
    u->whole_ms = u->n_whole == 0 ? now : u->whole_ms;
    return ++u->n_whole <= WHOLE_MAX || now - u->whole_ms < WHOLE_MS;
}

/* What is asked for is done now, though the part may be in the table. */
static void tell_of_copies(const struct upload *u)
{
    char quoted[200];

    if (u->maybe && u->parts[u->n_parts - 1].n > 1) {
        log_write(LOG_WARN, "sink", "sink=%s status=halved rows=%u why=%s",
                  u->sink->conf.plan->name, u->parts[u->n_parts - 1].n,
                  log_quote(quoted, sizeof quoted,
                            "a batch that may be in the table is only taken in "
                            "smaller parts, so its events may be there twice"));
    }
}

/* The server wants a smaller part, or says what nobody knows: another answer may follow
 * to the same rows. */
static bool doubtful(const struct data_error *r)
{
    return r->kind == SINK_SPLIT || (r->kind == SINK_DATA && r->unknown);
}

static void refused(struct upload *u, struct upload_attempt *t, struct data_error *r)
{
    struct sink *s = u->sink;

    if (r->kind == SINK_SETUP) {
        replica_forget(t->endpoint); /* the table may be another one by now */
        t->endpoint->unsure = true;
        u->unwanted |= !r->login;
    }
    if (doubtful(r)) {
        if (stays_whole(u, t)) {
            r->kind = SINK_RETRY;
        } else {
            tell_of_copies(u);
        }
    }
    r->kind = meant(u, r);
    if (r->kind == SINK_RETRY || r->kind == SINK_MAYBE) {
        again(u, t, r);
        return;
    }
    ev_timer_stop(s->conf.loop, &u->hedge);
    upload_end_attempt(other(t));
    if (r->kind == SINK_DATA) {
        search_refused(u, t->endpoint, r->row, r->unknown);
    } else if (r->kind == SINK_SPLIT) {
        split(u, r);
    } else {
        upload_setup_error(u, u->why);
    }
}

void upload_answered(void *arg, const struct transfer_answer *a)
{
    struct upload_attempt *t = arg;
    struct upload *u = t->upload;
    struct sink *s = u->sink;
    enum sink_verdict_kind kind;
    struct data_error r;
    bool up;

    u->maybe |= a->twice;
    r = s->protocol->classify(t->endpoint, a, u->maybe);
    if (r.unknown && ++u->n_unknown >= UNKNOWN_MAX) {
        r.kind = SINK_DATA;
    }
    /* An error in the rows says nothing about the endpoint, an error in the table
     * does. */
    kind = meant(u, &r);
    up = kind == SINK_OK || (kind == SINK_DATA && !s->none_passes) ||
         kind == SINK_SPLIT || r.too_many_parts;
    t->transfer = NULL;
    if (kind == SINK_DATA && search_doubts(u, t->endpoint)) {
        breaker_forget(&t->endpoint->breaker, t->generation); /* see blame_others */
        meter_count(&t->endpoint->meter, true);
    } else {
        endpoint_done(t->endpoint, t->generation, up, a->ns);
    }
    t->endpoint->n_refused += kind == SINK_DATA;
    if (r.kind == SINK_OK) {
        if (t == &u->attempts[1]) {
            stats_add(s->hedge_wins, 1);
        }
        ev_timer_stop(s->conf.loop, &u->hedge);
        upload_end_attempt(other(t));
        part_taken(u, t, a->status);
        return; /* those that waited for it went on, or back */
    }
    keep_words(u, a, &r);
    if (r.after_ms > 0) {
        endpoint_wait(t->endpoint, r.after_ms);
    }
    /* A server that stands still may later take all requests that it got in the
     * meantime: nothing more is sent before it has answered a question. */
    t->endpoint->unsure |= a->status == 0;
    refused(u, t, &r);
    if (s->resting) {
        upload_rest(s);
    }
}
