/*
 * Which rows of a batch the server refuses. Whether it takes them decides, not the code
 * of its answer: rows that are refused alone, while others of their batch pass, are
 * bad. The largest part is sent first, so that most rows arrive soon; while no row has
 * passed, single rows from all over the batch are tried. A row number in the server's
 * words, which quote clients' text, only says where to cut.
 */
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/mem.h"
#include "sink/http/upload.h"

enum {
    SEARCH_MAX = 9,      /* uploads until it is said that no row passes */
    SAMPLES_FROM = 3,    /* of these the first are large */
    SURE_AFTER = 2,      /* refusals of a single row with an unknown code */
    PROBED_PARTS = 33,   /* into which probes cut a batch */
    TRUSTED_REFUSALS = 3 /* of a url, since it took rows */
};

static struct upload_part *in_hand(struct upload *u)
{
    return &u->parts[u->n_parts - 1];
}

static void to_top(struct upload *u, uint32_t at)
{
    struct upload_part p = u->parts[at];

    memmove(&u->parts[at], &u->parts[at + 1], (u->n_parts - 1 - at) * sizeof *u->parts);
    *in_hand(u) = p;
}

/* Row is refused alone for good. */
static void bury(struct upload *u, uint32_t row, int code, const char *why)
{
    struct sink_verdict v = {
        .kind = SINK_DATA, .first = row, .n = 1, .row = -1, .code = code, .why = why};

    u->n_left--;
    u->sink->conf.done(u->sink->conf.arg, u->batch, &v);
}

static void doubt(struct upload *u, uint32_t row)
{
    if (u->n_suspects == u->suspects_room) {
        u->suspects_room = u->suspects_room == 0 ? 8 : 2 * u->suspects_room;
        u->suspects = mem_realloc(u->suspects, u->suspects_room * sizeof *u->suspects);
    }
    u->suspects[u->n_suspects++] = row;
}

static void refused_alone(struct upload *u, bool unknown)
{
    struct upload_part p = *in_hand(u);

    u->n_parts--;
    if (unknown && p.alone + 1 < SURE_AFTER) {
        /* Later once more: the trouble may have been the server's. */
        bisect_put(u, p.first, 1, p.alone + 1);
        for (uint32_t k = 1; k < u->n_parts; k++) {
            to_top(u, 0);
        }
    } else if (u->passed) {
        bury(u, p.first, u->code, u->why);
    } else {
        doubt(u, p.first);
    }
}

static void narrow(struct upload *u, int64_t row, bool unknown)
{
    struct upload_part p = *in_hand(u);

    if (p.n == 1) {
        refused_alone(u, unknown);
    } else if (row >= 0 && row < (int64_t)p.n && !u->misled) {
        bisect_single_out(u, p.first + (uint32_t)row);
        for (uint32_t k = 0; k < u->n_parts; k++) {
            u->parts[k].hinted |=
                u->parts[k].first == p.first + (uint32_t)row && u->parts[k].n == 1;
        }
    } else {
        bisect_halve(u);
    }
}

/* Rows that were planned with those of u, and are in another upload since a restart,
 * have passed. False: u is settled, and gone. */
static bool learn_proven(struct upload *u)
{
    if (!u->batch->proven || u->passed) {
        return true;
    }
    aside_no_probe(u);
    return search_passed(u);
}

/* Its refusals tell of rows, because it takes others. It may have become wrong since: a row
 * alone dies only where it has not refused several of late. */
static bool takes_rows(const struct upload *u, const struct endpoint *p)
{
    return p->taken_ns >= u->came_ns &&
           (p->n_refused <= TRUSTED_REFUSALS || u->parts[u->n_parts - 1].n > 1);
}

bool search_doubts(const struct upload *u, const struct endpoint *p)
{
    const struct sink *s = u->sink;

    return s->n_endpoints > 1 && !s->none_passes && !u->probe && !takes_rows(u, p) &&
           endpoint_is_ready(s, u->refused_at | endpoint_bit(p));
}

void search_refused(struct upload *u, const struct endpoint *p, int64_t row,
                    bool unknown)
{
    struct sink *s = u->sink;
    const bool gone = endpoint_bit(p) == 0; /* a reload has other urls */
    const bool doubted = gone || search_doubts(u, p);
    bool sure;

    if (u->n_refusals++ == 0) {
        u->refused_ns = clock_mono_ns();
    }
    u->maybe = false;
    u->n_whole = 0;
    if (!learn_proven(u)) {
        return;
    }
    if (u->probe || s->none_passes) {
        in_hand(u)->alone += in_hand(u)->n == 1;
        aside_still_none(u);
        return;
    }
    if (!u->passed) {
        if (s->probing != NULL && s->probing != u) {
            return; /* upload_release comes */
        }
        s->probing = u;
    }
    u->refused_at |= endpoint_bit(p);
    if (doubted) {
        upload_next(u);
        return;
    }
    sure = takes_rows(u, p) || endpoint_all(s, u->refused_at);
    u->refused_at = 0;
    if (u->passed && !sure && in_hand(u)->n == 1) {
        aside_put(u,
                  ASIDE_EVIDENCE); /* p, or another one, has to take some row first */
        upload_release(s, SINK_OK, "");
        return;
    }
    u->n_search += !u->passed;
    narrow(u, row, unknown);
    if (u->n_left == 0) {
        aside_no_probe(u);
        upload_free(u);
    } else if (!u->passed && (u->n_search >= SEARCH_MAX || u->n_parts == 0)) {
        search_forgive(u);
        aside_none_passed(u);
    } else {
        upload_next(u);
    }
}

bool search_passed(struct upload *u)
{
    u->passed = true;
    u->probe = false;
    search_forgive(u); /* the table may have been another one when they were refused */
    if (u->n_left == 0) {
        upload_free(u);
        return false;
    }
    return true;
}

void search_forgive(struct upload *u)
{
    uint32_t n = u->n_parts;

    for (uint32_t k = 0; k < u->n_suspects; k++) {
        bisect_put(u, u->suspects[k], 1, 0);
    }
    u->n_suspects = 0;
    u->n_search = 0;
    if (n > 0) {
        to_top(u, n - 1); /* what is in hand stays so: it may be in the table */
    }
}

/* A row from the middle of the part in hand, alone. */
static void sample(struct upload *u)
{
    struct upload_part p = *in_hand(u);
    uint32_t row = p.first + p.n / 2;

    bisect_single_out(u, row);
    for (uint32_t k = 0; k < u->n_parts; k++) {
        if (u->parts[k].first == row && u->parts[k].n == 1) {
            to_top(u, k);
            return;
        }
    }
}

void search_choose(struct upload *u)
{
    uint32_t most = 0;

    if (u->n_refusals == 0 && !u->probe) {
        return;
    }
    if (u->probe && u->unsent && in_hand(u)->n == 1) {
        return; /* the row of that probe */
    }
    for (uint32_t k = 0; k < u->n_parts; k++) {
        most = u->parts[k].n > u->parts[most].n ? k : most;
    }
    if (u->probe && (u->parts[most].n == 1 || u->n_parts >= PROBED_PARTS)) {
        for (uint32_t k = 0; k < u->n_parts; k++) {
            if (u->parts[k].n == 1 &&
                (u->parts[most].n > 1 || u->parts[k].alone < u->parts[most].alone)) {
                most = k;
            }
        }
    }
    to_top(u, most);
    if (in_hand(u)->n > 1 &&
        (u->probe || (!u->passed && u->n_search >= SAMPLES_FROM))) {
        sample(u);
    }
}
