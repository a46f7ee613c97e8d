#include "sink/remote/insert.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/mem.h"
#include "sink/remote/refusal.h"

/* The server merges its parts meanwhile. */
enum { MERGE_MS = 1000 };

enum { FITTED = 100 };

/* Between two looks whether a mistake in every row is undone. No breaker opens on it,
 * for the server is well; with the search that found it they make 64 inserts a minute
 * at most. */
enum { MISTAKE_MS = 2500 };

static void next_part(struct insert *i);

/* ---- its list ---- */

static struct insert *find(struct sink *s, const struct batch *b)
{
    struct insert *i = s->inserts;

    while (i != NULL && i->batch != b) {
        i = i->next;
    }
    return i;
}

static void end_try(struct insert_try *t)
{
    if (t->transfer != NULL) {
        transfers_cancel(t->insert->sink->transfers, t->transfer);
        t->transfer = NULL;
        breaker_forget(&t->endpoint->breaker, t->generation);
        t->insert->maybe = true;
    }
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
    ev_timer_stop(s->conf.loop, &i->hedge);
    end_try(&i->tries[0]);
    end_try(&i->tries[1]);
    target_unref(i->target);
    free(i->refused);
    free(i->body);
    free(i);
}

/* ---- verdicts ---- */

static void tell(struct insert *i, enum sink_verdict_kind kind, uint32_t first,
                 uint32_t n, const char *why, int64_t after_ms)
{
    struct sink_verdict v = {.kind = kind,
                             .first = first,
                             .n = n,
                             .row = -1,
                             .code = i->code,
                             .after_ms = after_ms,
                             .enlarge = i->enlarge,
                             .why = why};

    i->sink->conf.done(i->sink->conf.arg, i->batch, &v);
}

/* The pump submits the batch again later; what is settled stays so. */
static void park(struct insert *i, enum sink_verdict_kind kind, const char *why,
                 int64_t after_ms)
{
    struct sink *s = i->sink;

    ev_timer_stop(s->conf.loop, &i->hedge);
    end_try(&i->tries[0]);
    end_try(&i->tries[1]);
    i->parked = true;
    if (s->probing == i) {
        s->probing = NULL;
    }
    tell(i, kind, 0, 0, why, after_ms);
}

/* Others that wait while one finds out what is wrong. */
static void release_waiting(struct sink *s, enum sink_verdict_kind kind,
                            const char *why)
{
    struct insert *next;

    for (struct insert *i = s->inserts; i != NULL; i = next) {
        next = i->next;
        if (!i->parked && i->tries[0].transfer == NULL &&
            i->tries[1].transfer == NULL) {
            if (kind == SINK_OK) {
                next_part(i);
            } else {
                park(i, kind, why, 0);
            }
        }
    }
}

/* The table is wrong, not the rows: all are kept. */
static void setup_error(struct insert *i, const char *why, int64_t after_ms)
{
    struct sink *s = i->sink;
    char words[sizeof i->why];

    (void)snprintf(words, sizeof words, "%s", why);
    s->suspect = true;
    i->maybe = false; /* as it is it is not wanted: another policy may mend that */
    parts_forgive(i);
    i->extra = 0;
    park(i, SINK_SETUP, words, after_ms);
    release_waiting(s, SINK_SETUP, words);
}

/* Part first, n is in the table but for its refused rows: one verdict, for a restart
 * between two would put together what no part was. The batch goes back to the pump with
 * its last event. */
static void taken(struct insert *i, uint32_t first, uint32_t n)
{
    uint32_t from = 0;
    struct sink_verdict v = {.kind = SINK_OK, .first = first, .n = n, .row = -1,
                             .why = ""};

    while (from < i->n_refused && i->refused[from] < first) {
        from++;
    }
    v.but = i->refused + from;
    v.n_but = parts_refused(i, first, n);
    i->sink->conf.done(i->sink->conf.arg, i->batch, &v);
}

static void finish(struct insert *i)
{
    struct sink *s = i->sink;

    s->suspect = false;
    for (uint32_t k = 0; k < i->n_refused; k++) {
        tell(i, SINK_DATA, i->refused[k], 1, i->why, 0);
    }
    insert_free(i);
    release_waiting(s, SINK_OK, "");
}

/* ---- refused rows ---- */

static void bad_data(struct insert *i, const struct refusal *r)
{
    struct sink *s = i->sink;
    uint32_t first = i->parts[i->n_parts - 1].first;
    uint32_t n = i->parts[i->n_parts - 1].n;

    if (s->suspect) {
        setup_error(i, i->why, MISTAKE_MS);
        return;
    }
    if (s->probing != NULL && s->probing != i) {
        return; /* waits for what that one finds */
    }
    s->probing = i;
    if (r->row >= 0 && parts_row(i, first, r->row) < first + n) {
        parts_refuse(i, parts_row(i, first, r->row));
    } else if (n - parts_refused(i, first, n) == 1) {
        uint32_t row = first;

        while (parts_refused(i, row, 1) == 1) {
            row++;
        }
        parts_refuse(i, row);
    } else {
        parts_halve(i);
    }
    i->extra++;
    stats_add(s->extra, 1);
    if (parts_too_many(i)) {
        setup_error(i, i->why, MISTAKE_MS);
        return;
    }
    next_part(i);
}

/* ---- tries ---- */

static struct insert_try *other(struct insert_try *t)
{
    struct insert *i = t->insert;

    return t == &i->tries[0] ? &i->tries[1] : &i->tries[0];
}

static struct str words_of(const struct transfer_answer *a)
{
    struct str words = a->status == 0 ? str_of(a->why) : a->body;

    while (words.n > 0 && (unsigned char)words.p[words.n - 1] <= ' ') {
        words.n--;
    }
    return words;
}

static void keep_words(struct insert *i, const struct transfer_answer *a,
                       int code)
{
    struct str words = words_of(a);
    char status[24] = "";

    /* Without a code of the server's own in its words. */
    if (a->status != 0 && (code == 0 || code == a->status)) {
        (void)snprintf(status, sizeof status, "status %d%s", a->status,
                       words.n > 0 ? ": " : "");
    }
    i->code = code;
    (void)snprintf(i->why, sizeof i->why, "%s%.*s", status, (int)words.n,
                   words.p);
}

static void part_taken(struct insert *i)
{
    struct sink *s = i->sink;
    uint32_t first = i->parts[i->n_parts - 1].first;
    uint32_t n = i->parts[i->n_parts - 1].n;
    bool last = --i->n_parts == 0;

    i->maybe = false;

    stats_add(s->rows, n - parts_refused(i, first, n));
    sink_took(s, clock_mono_ns() - i->began_ns);
    /* Now and then more is tried again. */
    if (++s->n_fitted % FITTED == 0) {
        s->too_large += s->too_large / 4;
    }
    if (!last) {
        taken(i, first, n);
        next_part(i);
        return;
    }
    /* With nothing refused the batch is the pump's after this. */
    if (i->n_refused == 0) {
        s->suspect = false;
        taken(i, first, n);
        insert_free(i);
        release_waiting(s, SINK_OK, "");
    } else {
        taken(i, first, n);
        finish(i);
    }
}

/* Of the part in hand: those that were sent. */
static uint32_t part_rows(const struct insert *i)
{
    uint32_t first = i->parts[i->n_parts - 1].first;
    uint32_t n = i->parts[i->n_parts - 1].n;

    return n - parts_refused(i, first, n);
}

static uint64_t part_bytes(const struct insert *i)
{
    const struct batch_entry *first =
        &i->batch->entries[i->parts[i->n_parts - 1].first];
    const struct batch_entry *last = first + i->parts[i->n_parts - 1].n - 1;

    return last->off + last->len + 1 - first->off;
}

static void on_answer(void *arg, const struct transfer_answer *a)
{
    struct insert_try *t = arg;
    struct insert *i = t->insert;
    struct sink *s = i->sink;
    struct refusal r = s->dialect->judge(a);
    /* What is wrong with the rows or the table says nothing about the endpoint. */
    bool up = r.kind == SINK_OK || r.kind == SINK_DATA ||
              r.kind == SINK_SPLIT || r.too_many_parts;

    t->transfer = NULL;
    endpoint_done(t->endpoint, t->generation, up, a->ns);
    if (r.kind == SINK_OK) {
        if (t == &i->tries[1]) {
            stats_add(s->hedge_wins, 1);
        }
        ev_timer_stop(s->conf.loop, &i->hedge);
        end_try(other(t));
        part_taken(i);
        return;
    }
    keep_words(i, a, r.code);
    if (r.kind == SINK_SPLIT && part_rows(i) == 1) {
        r.kind = r.alone;
    }
    /* What stands still may take all that it is sent in the meantime, once it goes
     * on: nothing more is sent before it has answered a question. */
    t->endpoint->unsure |= a->status == 0;
    if (r.kind == SINK_SETUP) {
        replica_forget(t->endpoint); /* the table may be made anew, as another */
        t->endpoint->unsure = true;
    }
    if (r.kind == SINK_RETRY || r.kind == SINK_MAYBE) {
        i->maybe |= r.kind == SINK_MAYBE;
        sink_slower(s);
        if (other(t)->transfer != NULL) {
            return; /* that one may still make it */
        }
        i->enlarge = r.too_many_parts && r.after_ms == 0;
        park(i, r.kind, i->why, i->enlarge ? MERGE_MS : r.after_ms);
        return;
    }
    ev_timer_stop(s->conf.loop, &i->hedge);
    end_try(other(t));
    switch (r.kind) {
    case SINK_DATA:
        bad_data(i, &r);
        break;
    case SINK_SPLIT:
        if (!parts_too_many(i)) {
            /* A body that is too large says nothing about its rows. */
            stats_add(s->extra, 1);
            if (r.alone == SINK_DATA &&
                (s->too_large == 0 || part_bytes(i) < s->too_large)) {
                s->too_large = part_bytes(i);
                s->n_fitted = 0;
            }
            parts_halve(i);
            next_part(i);
            break;
        }
        /* fall through */
    default:
        setup_error(i, i->why, 0);
    }
}

static const char *const encodings[] = {[CODING_NONE] = NULL,
                                        [CODING_GZIP] = "gzip",
                                        [CODING_ZSTD] = "zstd",
                                        [CODING_NATIVE] = NULL};

static bool send(struct insert *i, struct insert_try *t,
                 const struct endpoint *not, int64_t *wait_ms)
{
    struct sink *s = i->sink;
    uint32_t first = i->parts[i->n_parts - 1].first;
    uint32_t n = i->parts[i->n_parts - 1].n;
    char token[300], url[2048];
    struct transfer_request r;
    enum coding coding;

    t->insert = i;
    t->endpoint = endpoint_take(s, not, &t->generation, wait_ms);
    if (t->endpoint == NULL) {
        return false;
    }
    coding = s->dialect->coding(t->endpoint);
    if (not == NULL) {
        if (!i->maybe) {
            target_unref(i->target);
            i->target = target_ref(s->target);
            target_note(i->target, i->batch);
        }
        i->coding = coding;
    }
    if (not == NULL ? !body_make(i, first, n, coding) : i->coding != coding) {
        endpoint_done(t->endpoint, t->generation, true, 0);
        *wait_ms = 1000;
        return false;
    }
    parts_token(i, first, n, token, sizeof token);
    r = remote_request(s);
    s->dialect->address(t->endpoint, i->target, token, t == &i->tries[1], url, sizeof url,
                        &r);
    r.url = url;
    r.encoding = encodings[coding];
    r.body = (struct str){i->body, i->n_body};
    r.done = on_answer;
    r.arg = t;
    stats_add(s->wire, i->n_body);
    t->transfer = transfers_send(s->transfers, &r);
    return true;
}

static void on_hedge(struct ev_loop *loop, ev_timer *w, int events)
{
    struct insert *i = OUTER(w, struct insert, hedge);
    struct sink *s = i->sink;
    int64_t wait_ms;

    (void)loop;
    (void)events;
    /* Asked again: others that waited at the same time may have had what was left. */
    if (i->tries[0].transfer == NULL || i->tries[1].transfer != NULL ||
        replicas_hedge_ms(s) < 0) {
        return;
    }
    if (send(i, &i->tries[1], i->tries[0].endpoint, &wait_ms)) {
        s->hedging.n_hedges++;
        stats_add(s->hedges, 1);
    }
}

/* No endpoint takes it now: none is there, or the table can't hold it. */
static void park_unsent(struct insert *i, int64_t wait_ms)
{
    const struct sink *s = i->sink;

    for (uint32_t k = 0; k < s->n_endpoints; k++) {
        if (s->endpoints[k]->misfit[0] != '\0') {
            park(i, SINK_SETUP, s->endpoints[k]->misfit, wait_ms);
            return;
        }
    }
    park(i, SINK_RETRY,
         i->why[0] != '\0' ? i->why : "no endpoint can be asked now", wait_ms);
}

/* Sends the next part; without an endpoint the batch waits at the pump. */
static void next_part(struct insert *i)
{
    struct sink *s = i->sink;
    int64_t wait_ms = 0, hedge_ms;

    if ((s->suspect || s->probing != NULL) && s->probing != i) {
        if (s->probing != NULL) {
            return; /* release_waiting comes */
        }
        s->probing = i;
    }
    parts_set_aside(i);
    if (i->n_parts == 0) {
        finish(i);
        return;
    }
    while (s->too_large > 0 && part_bytes(i) >= s->too_large &&
           part_rows(i) > 1 && !parts_too_many(i)) {
        parts_halve(i);
    }
    if (!send(i, &i->tries[0], NULL, &wait_ms)) {
        if (wait_ms < 0) {
            return; /* insert_asked comes */
        }
        park_unsent(i, wait_ms);
        return;
    }
    i->began_ns = clock_mono_ns();
    s->hedging.n_tries++;
    hedge_ms = replicas_hedge_ms(s);
    if (hedge_ms >= 0) {
        ev_timer_set(&i->hedge, (double)hedge_ms / 1000., 0.);
        ev_timer_start(s->conf.loop, &i->hedge);
    }
}

void insert_asked(struct sink *s, bool ok, const struct transfer_answer *a)
{
    char why[300];
    struct str words = words_of(a);

    (void)snprintf(why, sizeof why, "%.*s", (int)words.n, words.p);
    release_waiting(s, ok ? SINK_OK : SINK_RETRY, why);
}

void insert_begin(struct sink *s, struct batch *b)
{
    struct insert *i = find(s, b);

    if (i == NULL) {
        i = mem_zalloc(sizeof *i);
        i->sink = s;
        i->batch = b;
        i->parts[0].n = b->n;
        i->n_parts = 1;
        i->next = s->inserts;
        s->inserts = i;
        ev_timer_init(&i->hedge, on_hedge, 0., 0.);
        i->target = target_planned(b, s->target);
        i->maybe = i->target != NULL; /* it may be there */
    }
    i->parked = false;
    i->enlarge = false;
    next_part(i);
}
