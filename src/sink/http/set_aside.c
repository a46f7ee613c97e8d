/*
 * Batches that wait in the sink while later ones go on: those whose bad rows are looked
 * for, in a bounded number of uploads a minute, and those of which no row passed. Only
 * other batches tell whether the rows of such a one are bad: when one of them passes,
 * they are; when no row of three batches passes, the table or the settings are wrong.
 * Then everything is held, with one probe at a time, until a row passes. Batches that
 * come in the meantime wait here untried, so that the next probe can take a row of the
 * newest: otherwise the bad rows of one client would hide the good ones after them.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "sink/http/upload.h"

enum {
    ASIDE_MAX = 64,              /* batches */
    ASIDE_NONE_PASSES_MAX = 192, /* held; a journal has room for 256 intents */
    ASIDE_BYTES = 64 << 20,      /* of their rows, */
    ASIDE_ANY_SIZE = 3,          /* but so many at least, to probe with */
    TURN_BATCHES = 2,            /* that go on at a look */
    PROBE_MS = 3000,             /* held: between two rows that are tried */
    LONE_PROBE_MS = 15000,       /* not held */
    UNSENT_MS = 200,             /* behind one that no endpoint took: at least */
    ROW_CHARS = 60
};

static const double LOOK_S = 0.1;

/* ---- the budget ---- */

bool aside_may_search(struct sink *s)
{
    double most = s->conf.plan->dead_searches;
    int64_t now = http_sink_now_ms(s);

    s->searches += (double)(now - s->searches_ms) * most / 60000.;
    s->searches = s->searches < most ? s->searches : most;
    s->searches_ms = now;
    return s->searches >= 1;
}

void aside_spent(struct sink *s)
{
    s->searches -= s->searches > 0; /* probes go without asking */
    stats_add(s->extra, 1);
}

/* ---- in and out ---- */

static void show(struct sink *s)
{
    stats_set(s->aside_gauge, s->n_aside);
}

static void stop_probing(struct upload *u)
{
    u->probe = false;
    if (u->sink->probing == u) {
        u->sink->probing = NULL;
    }
}

static void look_soon(struct sink *s)
{
    if (!ev_is_active(&s->look)) {
        ev_timer_set(&s->look, LOOK_S, LOOK_S);
        ev_timer_start(s->conf.loop, &s->look);
    }
}

void aside_wake(struct sink *s)
{
    s->given_up = true;
    look_soon(s);
}

void aside_no_probe(struct upload *u)
{
    stop_probing(u);
    aside_wake(u->sink);
}

static bool has_room(const struct sink *s, size_t n_bytes)
{
    return s->n_aside < ASIDE_ANY_SIZE ||
           (s->n_aside < (s->none_passes ? ASIDE_NONE_PASSES_MAX : ASIDE_MAX) &&
            s->aside_bytes + n_bytes <= ASIDE_BYTES);
}

uint32_t aside_window(const struct sink *s)
{
    return s->n_aside + (!s->none_passes || has_room(s, 1));
}

void aside_put(struct upload *u, enum upload_aside why)
{
    struct sink *s = u->sink;

    stop_probing(u);
    if (!has_room(s, u->batch->n_bytes)) {
        upload_park(u, s->none_passes ? SINK_SETUP : SINK_RETRY,
                    s->none_passes
                        ? s->why
                        : "too many rows are refused: more batches wait for the "
                          "search than fit; see dead.searches",
                    0);
        return;
    }
    ev_timer_stop(s->conf.loop, &u->hedge);
    free(u->body);
    u->body = NULL;
    u->n_body = u->body_room = 0;
    u->aside = why;
    u->refused_at = 0;
    if (why == ASIDE_EVIDENCE) {
        u->came_ns = clock_mono_ns();
    }
    u->probed = ++s->n_probes;
    s->n_aside++;
    s->aside_bytes += u->batch->n_bytes;
    show(s);
    look_soon(s);
}

void aside_take(struct upload *u)
{
    struct sink *s = u->sink;

    if (u->aside != ASIDE_NOT) {
        u->aside = ASIDE_NOT;
        s->n_aside--;
        s->aside_bytes -= u->batch->n_bytes;
        show(s);
    }
}

/* ---- evidence ---- */

static void sample_row(const struct upload *u, char *out, size_t max)
{
    const struct batch_entry *e = &u->batch->entries[u->parts[u->n_parts - 1].first];
    size_t n = e->len < ROW_CHARS ? e->len : ROW_CHARS;

    (void)snprintf(out, max, "%.*s%s", (int)n, u->batch->bytes + e->off,
                   n < e->len ? "..." : "");
}

static void rest_endpoints(struct sink *s)
{
    for (uint32_t k = 0; k < s->n_endpoints; k++) {
        breaker_rest(&s->endpoints[k]->breaker, http_sink_now_ms(s), PROBE_MS);
        endpoint_show(s->endpoints[k]);
    }
}

static void hold_all(struct upload *u)
{
    struct sink *s = u->sink;
    char row[ROW_CHARS + 8], quoted[2 * sizeof row + 8], words[2 * sizeof s->why];

    sample_row(u, row, sizeof row);
    (void)snprintf(s->why, sizeof s->why,
                   "no row of %u batches is taken, so the table or the settings are "
                   "wrong and all is held: %s",
                   s->n_none, u->why);
    log_write(LOG_ERROR, "sink", "sink=%s status=held batches=%u row=%s why=%s",
              s->conf.plan->name, s->n_none, log_quote(quoted, sizeof quoted, row),
              log_quote(words, sizeof words, s->why));
    s->none_passes = s->setup_failed = true;
    s->probe_at_ms = http_sink_now_ms(s) + PROBE_MS;
    rest_endpoints(s);
    upload_park(u, SINK_SETUP, s->why, 0);
    upload_release(s, SINK_SETUP, s->why);
}

/* How many batches of which no row passed since one did. */
static void count_none(struct sink *s, const struct upload *u)
{
    s->none_ns = s->none_ns > u->refused_ns ? s->none_ns : u->refused_ns;
    for (uint32_t k = 0; k < s->n_none; k++) {
        if (s->none[k] == u->batch->id) {
            return;
        }
    }
    if (s->n_none < N_ELEMS(s->none)) {
        s->none[s->n_none++] = u->batch->id;
    }
}

void aside_none_passed(struct upload *u)
{
    struct sink *s = u->sink;
    char words[2 * sizeof u->why];

    count_none(s, u);
    if (s->n_none == N_ELEMS(s->none)) {
        hold_all(u);
        return;
    }
    log_write(LOG_WARN, "sink", "sink=%s status=suspect batch=%lu rows=%u why=%s",
              s->conf.plan->name, (unsigned long)u->batch->id, u->n_left,
              log_quote(words, sizeof words, u->why));
    s->probe_at_ms = http_sink_now_ms(s) + LONE_PROBE_MS;
    aside_put(u, ASIDE_EVIDENCE);
    upload_release(s, SINK_OK, "");
}

void aside_still_none(struct upload *u)
{
    struct sink *s = u->sink;

    if (s->none_passes) {
        rest_endpoints(s);
    }
    aside_put(u, ASIDE_EVIDENCE);
    upload_release(s, s->none_passes ? SINK_SETUP : SINK_OK, s->why);
}

void aside_not_sent(struct upload *u, int64_t wait_ms)
{
    struct sink *s = u->sink;
    int64_t most = s->none_passes ? PROBE_MS : LONE_PROBE_MS;
    uint64_t probed = u->probed;

    wait_ms = wait_ms < UNSENT_MS ? UNSENT_MS : wait_ms;
    s->probed_newest = !s->probed_newest;
    s->probe_at_ms = http_sink_now_ms(s) + (wait_ms < most ? wait_ms : most);
    aside_put(u, ASIDE_EVIDENCE);
    u->probed = probed;
    aside_wake(s);
}

static void let_endpoints_go(struct sink *s)
{
    for (uint32_t k = 0; k < s->n_endpoints; k++) {
        struct breaker *b = &s->endpoints[k]->breaker;

        if (!b->forced) {
            breaker_force(b, http_sink_now_ms(s), false);
        }
        endpoint_show(s->endpoints[k]);
    }
}

static void release_all(struct sink *s)
{
    if (s->none_passes) {
        let_endpoints_go(s);
    }
    s->none_passes = s->setup_failed = false;
    s->n_none = 0;
}

void aside_passed(struct upload *u, struct endpoint *p)
{
    struct sink *s = u->sink;
    const uint64_t sent = u->began_ns;

    p->n_refused = 0;
    p->taken_ns = p->taken_ns > sent ? p->taken_ns : sent;
    s->passed_ns = s->passed_ns > sent ? s->passed_ns : sent;
    if (!s->none_passes || sent > s->none_ns) {
        release_all(s);
    } else { /* it may tell of a table before: a probe tells at once */
        let_endpoints_go(s);
        s->probe_at_ms = http_sink_now_ms(s);
    }
    stop_probing(u);
}

/* ---- looks ---- */

static void go_on(struct upload *u)
{
    aside_take(u);
    upload_next(u);
}

static void probe(struct upload *u)
{
    struct sink *s = u->sink;

    u->probe = s->none_passes || !u->passed;
    s->probe_at_ms = http_sink_now_ms(s) + (s->none_passes ? PROBE_MS : LONE_PROBE_MS);
    go_on(u);
}

/* In turn the newest batch of which no row was tried, and the one that has waited
 * longest since its last probe. */
static void probe_next(struct sink *s)
{
    struct upload *newest = NULL, *longest = NULL;

    for (struct upload *u = s->uploads; u != NULL; u = u->next) {
        if (u->aside == ASIDE_NOT || (u->aside == ASIDE_BUDGET && !s->none_passes)) {
            continue;
        }
        if (u->n_refusals == 0 &&
            (newest == NULL || u->batch->id > newest->batch->id)) {
            newest = u;
        }
        if (longest == NULL || u->probed < longest->probed) {
            longest = u;
        }
    }
    s->probed_newest = newest != NULL && !s->probed_newest;
    if (longest != NULL) {
        probe(s->probed_newest ? newest : longest);
    }
}

/* Whether u, which waits, goes on. While all is held nothing does but probes: also of a
 * batch of which rows passed once, a wrong table would refuse the others. */
static bool may_go_on(struct upload *u)
{
    struct sink *s = u->sink;

    if (s->none_passes) {
        return false;
    }
    if (u->aside == ASIDE_BUDGET) {
        return aside_may_search(s);
    }
    if (u->passed && u->n_refusals > 0) {
        return s->passed_ns > u->came_ns;
    }
    u->passed |= u->batch->proven ||
                 s->passed_ns > (u->n_refusals > 0 ? u->refused_ns : u->came_ns);
    return u->passed || u->n_refusals == 0;
}

static void on_look(struct ev_loop *loop, ev_timer *w, int events)
{
    struct sink *s = OUTER(w, struct sink, look);
    struct upload *next;
    uint32_t n = 0;

    (void)events;
    for (struct upload *u = s->uploads; u != NULL; u = next) {
        next = u->next;
        if (u->aside != ASIDE_NOT && n < TURN_BATCHES && may_go_on(u)) {
            n++;
            go_on(u);
        }
    }
    if (s->given_up) {
        s->given_up = false;
        upload_release(s, SINK_OK, "");
    }
    if (n == 0 && s->probing == NULL && http_sink_now_ms(s) >= s->probe_at_ms) {
        probe_next(s);
    }
    if (s->n_aside == 0) {
        ev_timer_stop(loop, w);
    }
}

void aside_start(struct sink *s)
{
    ev_timer_init(&s->look, on_look, 0., 0.);
    s->searches = s->conf.plan->dead_searches;
    s->searches_ms = http_sink_now_ms(s);
}

void aside_again(struct sink *s)
{
    const bool held = s->none_passes;

    release_all(s);
    s->probe_at_ms = 0;
    s->searches = s->conf.plan->dead_searches;
    for (struct upload *u = s->uploads; u != NULL; u = u->next) {
        u->n_unknown = u->n_search = 0;
        u->misled = false;
        u->refused_at = 0;
        u->came_ns = clock_mono_ns();
        if (held) { /* the table may be as wrong as before */
            u->passed = u->batch->proven = false;
        }
        u->n_refusals = u->passed ? u->n_refusals : 0;
        if (u->aside == ASIDE_EVIDENCE) {
            u->aside = ASIDE_BUDGET; /* all of it is tried */
        }
    }
    aside_wake(s);
}

void aside_stop(struct sink *s)
{
    ev_timer_stop(s->conf.loop, &s->look);
}
