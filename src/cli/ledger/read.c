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
#include "index/roster.h"
#include "spool/inspect.h"

static void note_unread(struct ledger_stream *l, const char *sink, const char *why)
{
    const size_t n = strlen(l->unread);

    (void)snprintf(l->unread + n, sizeof l->unread - n, "%s%.60s: %.200s",
                   n > 0 ? "; " : "", sink, why);
}

typedef bool settled_fn(const char *spool, const char *name, const char *stream,
                        struct settled *out, struct err *e);

static void read_sink(struct ledger_stream *l, const char *spool, const char *sink,
                      settled_fn *read)
{
    struct settled *s = &l->sinks[l->n_sinks];
    struct err e;

    if (!read(spool, sink, l->tallies.stream, s, &e)) {
        note_unread(l, sink, e.text);
        s->known = false; /* a part of it would call too much confirmed */
    }
    if (s->known) {
        l->n_sinks++;
    } else {
        settled_free(s);
    }
}

static void read_each(struct ledger_stream *l, const char *spool,
                      const struct sink_names *sinks, settled_fn *read)
{
    for (int i = 0; i < sinks->n; i++) {
        if (l->n_sinks < LEDGER_SINKS_MAX) {
            read_sink(l, spool, sinks->list[i]->d_name, read);
        } else {
            note_unread(l, sinks->list[i]->d_name, "there are too many sinks");
        }
    }
}

/* A journal forgets a stream that left it, once the sink is done with it. */
static bool read_sinks(struct ledger_stream *l, const char *spool, struct err *e)
{
    struct sink_names sinks;

    if (!sink_names_read(&sinks, spool, e)) {
        return false;
    }
    read_each(l, spool, &sinks, settled_read);
    if (l->n_sinks == 0 && l->unread[0] == '\0') {
        read_each(l, spool, &sinks, settled_read_left);
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

/* ---- the spool before the journals were read ---- */

/* What it has not any more no sink gets that has not confirmed it by then. */
struct listing {
    struct index_run *shards; /* first: of what there is */
    uint32_t n;
    uint32_t
        epoch;   /* of the last process: shards of earlier ones do not begin any more */
    bool unread; /* there may be more */
};

static void on_listed(void *arg, const struct spool_segment_info *i)
{
    struct listing *l = arg;
    const struct index_run *last = l->n == 0 ? NULL : &l->shards[l->n - 1];

    l->unread |= i->first == 0 && spool_segment_is_bad(i);
    if (i->first != 0 &&
        (last == NULL || last->epoch != i->epoch || last->worker != i->worker)) {
        l->shards = mem_realloc(l->shards, (l->n + 1) * sizeof *l->shards);
        l->shards[l->n++] = (struct index_run){i->epoch, i->worker, i->first, 0};
    }
}

static bool list_shards(struct listing *l, const char *spool, const char *stream,
                        struct err *e)
{
    const struct spool_visitor v = {
        .segment = on_listed, .arg = l, .stream = stream, .quick = true};

    l->epoch = index_list_epoch(spool);
    return spool_visit(spool, &v, e);
}

/* The first of the row's events that the spool had. */
static uint64_t there(const struct listing *l, const struct tally_row *r)
{
    for (uint32_t i = 0; i < l->n; i++) {
        if (l->shards[i].epoch == r->epoch && l->shards[i].worker == r->worker) {
            return l->unread ? 0 : l->shards[i].first;
        }
    }
    return l->unread || r->epoch >= l->epoch ? 0 : UINT64_MAX;
}

/* ---- the minutes ---- */

/* Events from seq on, up to before `end`, of the row. taken: the spool has them no more: what
 * becomes of them where the sink waits for them; SETTLED_HOWS: it has them. */
static void count_part(const struct settled *s, const struct tally_row *r, uint64_t seq,
                       uint64_t end, bool gone, enum settled_how taken,
                       struct settled_counts *c)
{
    const uint64_t pending = c->pending;

    if (seq >= end) {
        return;
    }
    settled_count(s, r->epoch, r->worker, seq, (uint32_t)(end - seq), r->wall_ms, gone,
                  c);
    if (taken != SETTLED_HOWS) {
        c->apart[taken] += c->pending - pending;
        c->pending = pending;
    }
}

static uint64_t clamp(uint64_t seq, uint64_t from, uint64_t to)
{
    return seq < from ? from : seq > to ? to : seq;
}

/* A power cut took what is from `cut` on; the spool let go of what is before `from`. */
static void count_row(struct ledger_stream *l, struct ledger_minute *m,
                      const struct tally_row *r, const struct listing *before,
                      const struct roster *roster)
{
    const bool gone = !tallies_has(&l->tallies, r->epoch, r->worker);
    const uint64_t last = r->seq + r->n,
                   cut = clamp(tallies_end(&l->tallies, r->epoch, r->worker), r->seq,
                               last),
                   from = clamp(there(before, r), r->seq, cut);
    uint64_t least = UINT64_MAX;

    for (uint32_t k = 0; k < l->n_sinks; k++) {
        const struct settled *s = &l->sinks[k];
        const bool skips = roster_skips(roster, l->tallies.stream, s->sink);
        const uint64_t later = m->by[k].later;

        count_part(s, r, r->seq, from, gone, skips ? SETTLED_SKIPPED : SETTLED_LOST,
                   &m->by[k]);
        count_part(s, r, from, cut, gone, SETTLED_HOWS, &m->by[k]);
        count_part(s, r, cut, last, gone, SETTLED_LOST, &m->by[k]);
        least = m->by[k].later - later < least ? m->by[k].later - later : least;
    }
    /* What came after the last record of each sink no sink had. */
    for (uint32_t k = 0; k < l->n_sinks; k++) {
        m->by[k].later -= least;
    }
}

static void add_up(struct ledger_stream *l, const struct listing *before,
                   const struct roster *roster)
{
    for (uint32_t i = 0; i < l->tallies.n; i++) {
        const struct tally_row *r = &l->tallies.rows[i];
        struct ledger_minute *m =
            minute_of(l, r->wall_ms / TALLY_MINUTE_MS * TALLY_MINUTE_MS);

        m->accepted += r->n;
        m->anonymous += r->n_anonymous;
        m->sum += r->sum;
        count_row(l, m, r, before, roster);
    }
}

/* Whether the stream had left the sink, and led to others, before all of these minutes. */
static bool was_done(const struct ledger_stream *l, uint32_t sink)
{
    bool all = l->sinks[sink].left && l->n_minutes > 0;

    for (uint32_t i = 0; i < l->n_minutes; i++) {
        all &= l->minutes[i]->by[sink].later == l->minutes[i]->accepted;
    }
    return all;
}

/* As they are not named while the stream is in the policy. */
static void leave_out_done(struct ledger_stream *l)
{
    uint32_t n = 0;

    for (uint32_t k = 0; k < l->n_sinks; k++) {
        if (was_done(l, k)) {
            settled_free(&l->sinks[k]);
            continue;
        }
        if (n < k) {
            l->sinks[n] = l->sinks[k];
        }
        for (uint32_t i = 0; i < l->n_minutes; i++) {
            l->minutes[i]->by[n] = l->minutes[i]->by[k];
        }
        n++;
    }
    l->n_sinks = n;
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

/* The journals before the index: what a sink has is accepted by then. And the segments before
 * the journals: what has gone by then and is not confirmed never is. */
bool ledger_read(const char *spool, const char *stream, int64_t since_ms,
                 int64_t until_ms, struct ledger_stream *out, struct err *e)
{
    struct listing before = {.n = 0};
    struct roster roster;
    struct err ignored; /* without it no sink is known to skip */
    bool ok;

    memset(out, 0, sizeof *out);
    (void)snprintf(out->tallies.stream, sizeof out->tallies.stream, "%s", stream);
    ok = list_shards(&before, spool, stream, e) && read_sinks(out, spool, e) &&
         tallies_read(spool, stream, since_ms, until_ms, &out->tallies, e);
    (void)!roster_read(&roster, spool, &ignored);
    if (ok) {
        add_up(out, &before, &roster);
    }
    roster_free(&roster);
    free(before.shards);
    if (!ok) {
        return false;
    }
    out->tallies.n_unknown +=
        beyond_count(out->sinks, out->n_sinks, end_of,
                     &(struct asked){&out->tallies, since_ms, until_ms});
    leave_out_done(out);
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
    return m->by[sink].confirmed + m->by[sink].later == m->accepted;
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
