/* The ledger of one stream, out of its index, its segments and the sinks' journals. */
#include <dirent.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "base/mem.h"
#include "cli/find/beyond.h"
#include "cli/find/sink_names.h"
#include "cli/ledger/read.h"

static void note_unread(struct ledger_stream *l, const char *sink, const char *why)
{
    const size_t n = strlen(l->unread);

    (void)snprintf(l->unread + n, sizeof l->unread - n, "%s%.60s: %.200s",
                   n > 0 ? "; " : "", sink, why);
}

static void read_sink(struct ledger_stream *l, const char *spool, const char *sink)
{
    struct settled *s = &l->sinks[l->n_sinks];
    struct err e;

    if (!settled_read(spool, sink, l->tallies.stream, s, &e)) {
        note_unread(l, sink, e.text);
        s->known = false; /* a part of it would call too much confirmed */
    }
    if (s->known) {
        l->n_sinks++;
    } else {
        settled_free(s);
    }
}

static bool read_sinks(struct ledger_stream *l, const char *spool, struct err *e)
{
    struct sink_names sinks;

    if (!sink_names_read(&sinks, spool, e)) {
        return false;
    }
    for (int i = 0; i < sinks.n; i++) {
        if (l->n_sinks < LEDGER_SINKS_MAX) {
            read_sink(l, spool, sinks.list[i]->d_name);
        } else {
            note_unread(l, sinks.list[i]->d_name, "there are too many sinks");
        }
    }
    sink_names_free(&sinks);
    return true;
}

/* The place of the minute among the others, or where it is to be. */
static uint32_t place_of(const struct ledger_stream *l, int64_t ms)
{
    uint32_t from = 0, to = l->n_minutes;

    while (from < to) {
        const uint32_t mid = from + (to - from) / 2;

        if (l->minutes[mid]->ms < ms) {
            from = mid + 1;
        } else {
            to = mid;
        }
    }
    return from;
}

static struct ledger_minute *minute_of(struct ledger_stream *l, int64_t ms)
{
    const uint32_t at = place_of(l, ms);
    struct ledger_minute *m;

    if (at < l->n_minutes && l->minutes[at]->ms == ms) {
        return l->minutes[at];
    }
    if (l->n_minutes == l->room) {
        l->room = l->room == 0 ? 64 : 2 * l->room;
        l->minutes = mem_realloc(l->minutes, l->room * sizeof(struct ledger_minute *));
    }
    memmove(l->minutes + at + 1, l->minutes + at,
            (l->n_minutes - at) * sizeof(struct ledger_minute *));
    m = mem_zalloc(sizeof *m + l->n_sinks * sizeof m->by[0]);
    m->ms = ms;
    l->minutes[at] = m;
    l->n_minutes++;
    return m;
}

/* Events from seq on, up to before `end`, of the row. cut: a power cut took them, so that
 * a sink that waits for them has lost them. */
static void count_part(const struct settled *s, const struct tally_row *r, uint64_t seq,
                       uint64_t end, bool gone, bool cut, struct settled_counts *c)
{
    const uint64_t pending = c->pending;

    if (seq >= end) {
        return;
    }
    settled_count(s, r->epoch, r->worker, seq, (uint32_t)(end - seq), r->wall_ms, gone,
                  c);
    if (cut) {
        c->apart[SETTLED_LOST] += c->pending - pending;
        c->pending = pending;
    }
}

static void add_up(struct ledger_stream *l)
{
    for (uint32_t i = 0; i < l->tallies.n; i++) {
        const struct tally_row *r = &l->tallies.rows[i];
        struct ledger_minute *m =
            minute_of(l, r->wall_ms / TALLY_MINUTE_MS * TALLY_MINUTE_MS);

        const bool gone = !tallies_has(&l->tallies, r->epoch, r->worker);
        const uint64_t last = r->seq + r->n,
                       cut = tallies_end(&l->tallies, r->epoch, r->worker),
                       end = cut < r->seq ? r->seq
                             : cut < last ? cut
                                          : last;

        m->accepted += r->n;
        m->anonymous += r->n_anonymous;
        m->sum += r->sum;
        for (uint32_t k = 0; k < l->n_sinks; k++) {
            count_part(&l->sinks[k], r, r->seq, end, gone, false, &m->by[k]);
            count_part(&l->sinks[k], r, end, last, gone, true, &m->by[k]);
        }
    }
}

struct asked {
    const struct tallies *t;
    int64_t since_ms, until_ms;
};

static uint64_t end_of(void *arg, uint32_t epoch, uint32_t worker)
{
    const struct asked *a = arg;

    return index_account_since(&a->t->index.account, epoch) >= a->until_ms
               ? 0
               : tallies_last(a->t, epoch, worker, a->since_ms);
}

/* The journals before the index: what a sink has is accepted by then. */
bool ledger_read(const char *spool, const char *stream, int64_t since_ms,
                 int64_t until_ms, struct ledger_stream *out, struct err *e)
{
    memset(out, 0, sizeof *out);
    (void)snprintf(out->tallies.stream, sizeof out->tallies.stream, "%s", stream);
    if (!read_sinks(out, spool, e) ||
        !tallies_read(spool, stream, since_ms, until_ms, &out->tallies, e)) {
        return false;
    }
    add_up(out);
    out->tallies.n_unknown +=
        beyond_count(out->sinks, out->n_sinks, end_of,
                     &(struct asked){&out->tallies, since_ms, until_ms});
    return true;
}

void ledger_free(struct ledger_stream *l)
{
    for (uint32_t i = 0; i < l->n_minutes; i++) {
        free(l->minutes[i]);
    }
    free(l->minutes);
    for (uint32_t i = 0; i < l->n_sinks; i++) {
        settled_free(&l->sinks[i]);
    }
    tallies_free(&l->tallies);
    memset(l, 0, sizeof *l);
}

bool ledger_agrees(const struct ledger_minute *m, uint32_t sink)
{
    return m->by[sink].confirmed == m->accepted;
}

int64_t ledger_whole_from(const struct ledger_stream *l)
{
    const int64_t ms = l->tallies.index.removed_ms;

    return ms == 0 ? 0 : (ms / TALLY_MINUTE_MS + 1) * TALLY_MINUTE_MS;
}

void ledger_leave_out(struct ledger_stream *l, int64_t before_ms)
{
    const uint32_t n = place_of(l, before_ms);

    for (uint32_t i = 0; i < n; i++) {
        free(l->minutes[i]);
    }
    l->n_minutes -= n;
    if (n > 0 && l->n_minutes > 0) {
        memmove(l->minutes, l->minutes + n,
                l->n_minutes * sizeof(struct ledger_minute *));
    }
}

uint64_t ledger_without_id(const struct ledger_stream *l)
{
    uint64_t n = 0;

    for (uint32_t i = 0; i < l->n_minutes; i++) {
        n += l->minutes[i]->anonymous;
    }
    return n;
}

bool ledger_has_ids(const struct ledger_stream *l, const char *field, struct err *e)
{
    uint64_t n = 0;

    for (uint32_t i = 0; i < l->n_minutes; i++) {
        n += l->minutes[i]->accepted;
    }
    return n == 0 || ledger_without_id(l) < n ||
           err_set(e,
                   "stream \"%s\": none of the %" PRIu64 " events of the period has a "
                   "text or number in \"%s\", the field of its index: ids can't be "
                   "compared; name the field of the ids in the policy's index",
                   l->tallies.stream, n, field);
}
