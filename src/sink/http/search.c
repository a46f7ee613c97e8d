/*
 * Which rows of a batch the server refuses. What it does with them decides, not the
 * code of its answer: rows that are refused alone, while others of their batch pass,
 * are bad. The largest part is sent first, so that most rows arrive soon; while no row
 * has passed, single rows from all over the batch are tried. A row number in the
 * server's words, which quote what clients sent, only says where to cut.
 */
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "sink/http/upload.h"

enum {
    SEARCH_MAX = 9,   /* uploads until it is said that no row passes */
    SAMPLES_FROM = 3, /* of these the first are large */
    SURE_AFTER = 2,   /* lone refusals with a code that nobody knows */
    PROBED_PARTS = 33 /* into which probes cut a batch */
};

static struct upload_part *in_hand(struct upload *i)
{
    return &i->parts[i->n_parts - 1];
}

static void to_top(struct upload *i, uint32_t at)
{
    struct upload_part p = i->parts[at];

    memmove(&i->parts[at], &i->parts[at + 1], (i->n_parts - 1 - at) * sizeof *i->parts);
    *in_hand(i) = p;
}

/* Row is refused alone for good. */
static void bury(struct upload *i, uint32_t row, int code, const char *why)
{
    struct sink_verdict v = {
        .kind = SINK_DATA, .first = row, .n = 1, .row = -1, .code = code, .why = why};

    i->n_left--;
    i->sink->conf.done(i->sink->conf.arg, i->batch, &v);
}

static void doubt(struct upload *i, uint32_t row)
{
    if (i->n_suspects == i->suspects_room) {
        i->suspects_room = i->suspects_room == 0 ? 8 : 2 * i->suspects_room;
        i->suspects = mem_realloc(i->suspects, i->suspects_room * sizeof *i->suspects);
    }
    i->suspects[i->n_suspects++] =
        (struct upload_suspect){row, i->code, mem_strndup(i->why, strlen(i->why))};
}

static void refused_alone(struct upload *i, bool unknown)
{
    struct upload_part p = *in_hand(i);

    i->n_parts--;
    if (unknown && p.alone + 1 < SURE_AFTER) {
        /* Later once more: the trouble may have been the server's. */
        bisect_put(i, p.first, 1, p.alone + 1);
        for (uint32_t k = 1; k < i->n_parts; k++) {
            to_top(i, 0);
        }
    } else if (i->passed) {
        bury(i, p.first, i->code, i->why);
    } else {
        doubt(i, p.first);
    }
}

static void narrow(struct upload *i, int64_t row, bool unknown)
{
    struct upload_part p = *in_hand(i);

    if (p.n == 1) {
        refused_alone(i, unknown);
    } else if (row >= 0 && row < (int64_t)p.n && !i->misled) {
        bisect_single_out(i, p.first + (uint32_t)row);
        for (uint32_t k = 0; k < i->n_parts; k++) {
            i->parts[k].hinted |=
                i->parts[k].first == p.first + (uint32_t)row && i->parts[k].n == 1;
        }
    } else {
        bisect_halve(i);
    }
}

void search_refused(struct upload *i, int64_t row, bool unknown)
{
    struct sink *s = i->sink;

    i->n_refusals++;
    i->maybe = false;
    if (i->probe || (s->paused && !i->passed)) {
        in_hand(i)->alone += in_hand(i)->n == 1;
        aside_still_none(i);
        return;
    }
    if (!i->passed) {
        if (s->probing != NULL && s->probing != i) {
            return; /* upload_release comes */
        }
        s->probing = i;
        i->n_search++;
    }
    narrow(i, row, unknown);
    if (i->n_left == 0) {
        upload_free(i);
    } else if (!i->passed && (i->n_search >= SEARCH_MAX || i->n_parts == 0)) {
        search_forgive(i);
        aside_none_passed(i);
    } else {
        upload_next(i);
    }
}

bool search_passed(struct upload *i)
{
    struct upload_suspect *list = i->suspects;
    uint32_t n = i->n_suspects;

    i->passed = true;
    i->probe = false;
    i->suspects = NULL;
    i->n_suspects = i->suspects_room = 0;
    for (uint32_t k = 0; k < n; k++) {
        bury(i, list[k].row, list[k].code, list[k].why);
        free(list[k].why);
    }
    free(list);
    if (i->n_left == 0) {
        upload_free(i);
        return false;
    }
    return true;
}

void search_forgive(struct upload *i)
{
    for (uint32_t k = 0; k < i->n_suspects; k++) {
        bisect_put(i, i->suspects[k].row, 1, 0);
        free(i->suspects[k].why);
    }
    i->n_suspects = 0;
    i->n_search = 0;
}

/* A row from the middle of the part in hand, alone. */
static void sample(struct upload *i)
{
    struct upload_part p = *in_hand(i);
    uint32_t row = p.first + p.n / 2;

    bisect_single_out(i, row);
    for (uint32_t k = 0; k < i->n_parts; k++) {
        if (i->parts[k].first == row && i->parts[k].n == 1) {
            to_top(i, k);
            return;
        }
    }
}

void search_choose(struct upload *i)
{
    uint32_t most = 0;

    if (i->n_refusals == 0 && !i->probe) {
        return;
    }
    for (uint32_t k = 0; k < i->n_parts; k++) {
        most = i->parts[k].n > i->parts[most].n ? k : most;
    }
    if (i->probe && (i->parts[most].n == 1 || i->n_parts >= PROBED_PARTS)) {
        for (uint32_t k = 0; k < i->n_parts; k++) {
            if (i->parts[k].n == 1 &&
                (i->parts[most].n > 1 || i->parts[k].alone < i->parts[most].alone)) {
                most = k;
            }
        }
    }
    to_top(i, most);
    if (in_hand(i)->n > 1 &&
        (i->probe || (!i->passed && i->n_search >= SAMPLES_FROM))) {
        sample(i);
    }
}
