#include "cli/ledger/topic_check.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "base/mem.h"
#include "cli/ledger/away.h"
#include "cli/ledger/entries.h"
#include "cli/ledger/later.h"
#include "cli/ledger/prints.h"
#include "decode/scan.h"
#include "index/format.h"
#include "index/ids.h"
#include "plan/plan.h"
#include "sink/kafka/reader.h"

enum {
    ID_BYTES = 12, /* in a set of prints, with its free places */
    RECOUNTED_MAX = 100000,
    EARLY_MS = 600000 /* a broker's clock may be so much behind */
};

struct minute_diff {
    uint64_t n, sum; /* here, minus those of the topics */
    bool open;       /* the sink has not confirmed all of it */
    bool wanted;     /* its ids are to be compared */
};

struct topics {
    const struct topic_check *c;
    const struct ledger_stream *l;
    struct topic_result *out;
    struct topic_reader *reader;
    struct ids *ids;
    char *buf; /* a message, with bytes after it that can be read */
    size_t room;
    struct minute_diff *minutes; /* as l->minutes */
    uint32_t last;               /* the minute that was asked for last */
    bool timeless; /* the minutes of messages are not those of their events */
    bool whole;    /* all minutes are wanted */
    struct prints *prints;
    uint64_t n_parts, part; /* of the fingerprints */
    struct suspects suspects;
    uint64_t n_foreign_kept;
    int64_t horizon_ms; /* older messages are gone; 0: none */
    bool from_start;    /* the whole topics are read */
    bool crowded;       /* more foreign messages than can be looked at one by one */
    /* the message in hand */
    const struct topic_message *m;
    void (*on_id)(struct topics *k, uint64_t print, struct str id);
    struct err *e;
    bool failed;
};

/* ---- minutes ---- */

/* The ledger's minute of that time; n_minutes: none. */
static uint32_t minute_of(struct topics *k, int64_t ms)
{
    const struct ledger_stream *l = k->l;
    uint32_t from = 0, to = l->n_minutes;

    if (k->last < l->n_minutes && ms >= l->minutes[k->last]->ms &&
        ms < l->minutes[k->last]->ms + TALLY_MINUTE_MS) {
        return k->last;
    }
    while (from < to) {
        const uint32_t mid = from + (to - from) / 2;

        if (l->minutes[mid]->ms + TALLY_MINUTE_MS <= ms) {
            from = mid + 1;
        } else {
            to = mid;
        }
    }
    if (from < l->n_minutes && l->minutes[from]->ms <= ms) {
        k->last = from;
        return from;
    }
    return l->n_minutes;
}

static int64_t first_ms(const struct topics *k)
{
    return k->l->minutes[0]->ms;
}

/* Of messages and events: up to the end of the period, and not of the last minute that
 * has an event. */
static bool is_of_period(const struct topics *k, int64_t ms)
{
    return ms >= first_ms(k) && ms < k->c->until_ms;
}

static int64_t end_ms(const struct topics *k)
{
    return k->l->minutes[k->l->n_minutes - 1]->ms + TALLY_MINUTE_MS;
}

/* ---- messages ---- */

static uint32_t lines_of(const struct topics *k, struct str text)
{
    uint32_t n = 0;

    if (k->c->plan->kafka.framing != KAFKA_BATCH) {
        return 1;
    }
    for (size_t i = 0; i < text.n; i++) {
        n += text.p[i] == '\n';
    }
    return n + (text.n > 0 && text.p[text.n - 1] != '\n');
}

static void on_message(void *arg, const struct topic_message *m)
{
    struct topics *k = arg;
    const uint32_t n = lines_of(k, m->payload);

    k->timeless |= m->appended || m->time_ms < 0;
    k->m = m;
    if (m->payload.p == NULL || n == 0) {
        k->on_id(k, 0, (struct str){NULL, 0});
        return;
    }
    if (m->payload.n + SCAN_PAD > k->room) {
        k->room = 2 * (m->payload.n + SCAN_PAD);
        free(k->buf);
        k->buf = mem_zalloc(k->room);
    }
    memcpy(k->buf, m->payload.p, m->payload.n);
    ids_read(k->ids, (struct str){k->buf, m->payload.n}, n);
    for (uint32_t i = 0; i < n; i++) {
        const struct str id = ids_get(k->ids, i);

        k->on_id(k, id.p == NULL ? 0 : index_print(id.p, id.n), id);
    }
}

static bool read_topics(struct topics *k,
                        void (*on_id)(struct topics *, uint64_t, struct str),
                        struct err *e)
{
    const int64_t since = k->c->since_ms;

    k->on_id = on_id;
    /* Messages with times of their own stand anywhere. */
    return topic_reader_read(k->reader,
                             since > EARLY_MS && k->c->plan->kafka.timestamp == NULL &&
                                     !k->from_start
                                 ? since - EARLY_MS
                                 : 0,
                             on_message, k, e);
}

/* ---- by minute ---- */

static void keep_foreign(struct topics *k, uint64_t print)
{
    k->out->foreign++;
    if (k->whole) {
        return;
    }
    /* It may be an event of another minute. */
    if (k->n_foreign_kept == RECOUNTED_MAX) {
        k->crowded = true;
        return;
    }
    k->n_foreign_kept++;
    (void)suspects_add(&k->suspects, print);
}

static void add_up(struct topics *k, uint64_t print, struct str id)
{
    uint32_t at;

    if (k->m->payload.p == NULL || id.p == NULL) {
        k->out->tombstones += k->m->payload.p == NULL;
        k->out->anonymous += k->m->payload.p != NULL;
        return;
    }
    at = minute_of(k, k->m->time_ms);
    k->out->all.found += k->timeless || is_of_period(k, k->m->time_ms);
    if (at < k->l->n_minutes) {
        k->minutes[at].n--;
        k->minutes[at].sum -= print;
    } else if (!k->timeless && is_of_period(k, k->m->time_ms)) {
        keep_foreign(k, index_stored_print(print)); /* nothing came in that minute */
    }
}

/* As in a topic of several writers: each id of the period. */
static void want_all(struct topics *k)
{
    k->crowded = false;
    k->out->foreign = k->n_foreign_kept = 0;
    suspects_free(&k->suspects);
    for (uint32_t i = 0; i < k->l->n_minutes; i++) {
        k->minutes[i].wanted = true;
    }
    k->whole = true;
}

/* Which minutes are to be looked into; false: none. */
static bool choose(struct topics *k)
{
    bool any = false;

    for (uint32_t i = 0; i < k->l->n_minutes; i++) {
        const struct ledger_minute *m = k->l->minutes[i];
        const struct settled_counts *its = &m->by[k->c->sink];
        struct minute_diff *d = &k->minutes[i];

        if (m->ms < k->out->from_ms) {
            k->out->deleted += m->accepted;
            continue;
        }
        k->out->all.minutes++;
        k->out->all.expected += m->accepted - m->anonymous;
        k->out->unconfirmed += m->accepted - its->confirmed - its->later;
        d->wanted = d->n != 0 || d->sum != 0 || d->open;
        any |= d->wanted;
    }
    if (k->timeless || k->crowded) {
        want_all(k);
    }
    return any || k->whole || k->suspects.n > 0;
}

static bool compare_minutes(struct topics *k, struct err *e)
{
    for (uint32_t i = 0; i < k->l->n_minutes; i++) {
        const struct ledger_minute *m = k->l->minutes[i];

        k->minutes[i] =
            (struct minute_diff){.n = m->accepted - m->anonymous,
                                 .sum = m->sum,
                                 .open = m->by[k->c->sink].confirmed < m->accepted};
    }
    if (!read_topics(k, add_up, e)) {
        return false;
    }
    k->out->compacted = topic_reader_compacted(k->reader, &k->out->gaps);
    k->horizon_ms = k->out->from_ms = topic_reader_horizon(k->reader);
    if (k->out->from_ms > 0 && k->c->plan->kafka.timestamp != NULL) {
        return err_set(e,
                       "kafka \"%s\": its topic has lost its oldest messages, and "
                       "timestamp = \"%s\" hides which: nothing can be said of what "
                       "is not there",
                       k->c->plan->name, k->c->plan->kafka.timestamp);
    }
    if (k->out->from_ms == INT64_MAX) {
        return err_set(e,
                       "kafka \"%s\": the brokers have deleted all messages of a "
                       "partition, and do not tell of which time: nothing can be said "
                       "of what is not there",
                       k->c->plan->name);
    }
    if (k->out->from_ms > 0) {
        k->out->from_ms = (k->out->from_ms + TALLY_MINUTE_MS - 1) / TALLY_MINUTE_MS *
                          TALLY_MINUTE_MS; /* whole minutes */
    }
    if (k->out->from_ms <= first_ms(k)) {
        k->out->from_ms = 0;
    }
    return true;
}

/* ---- by id ---- */

/* Whether the destination must have the event. */
static bool is_confirmed(struct topics *k, const struct entry *t)
{
    const uint32_t at = minute_of(k, t->wall_ms);
    struct settled_counts c = {.confirmed = 0};

    if (t->wall_ms < k->out->from_ms || t->wall_ms < k->horizon_ms ||
        (at == k->l->n_minutes && !k->from_start)) {
        return false; /* of another period */
    }
    if (settled_in(&k->c->away->events, t->epoch, t->worker, t->seq, t->seq + 1) > 0) {
        return false; /* in another topic */
    }
    if (at < k->l->n_minutes && !k->minutes[at].open) {
        return true;
    }
    settled_count(&k->l->sinks[k->c->sink], t->epoch, t->worker, t->seq, 1, t->wall_ms,
                  !tallies_has(&k->l->tallies, t->epoch, t->worker), &c);
    return c.confirmed > 0; /* where it is settled, nothing tells */
}

static bool is_of_part(const struct topics *k, uint64_t print)
{
    return (print >> 24) % k->n_parts == k->part;
}

static void expect(void *arg, const struct entry *t)
{
    struct topics *k = arg;
    const uint32_t at = minute_of(k, t->wall_ms);

    if (!is_of_part(k, t->print) ||
        (!k->timeless && (at == k->l->n_minutes || !k->minutes[at].wanted))) {
        return;
    }
    if (!prints_expect(k->prints, t->print, is_confirmed(k, t)) && !k->failed) {
        k->failed = true;
        (void)err_set(k->e, "the index has grown meanwhile: try again");
    }
}

static void meet(struct topics *k, uint64_t print, struct str id)
{
    const uint64_t stored = index_stored_print(print);
    const uint32_t at = minute_of(k, k->m->time_ms);

    if (id.p == NULL || !is_of_part(k, stored) ||
        (!k->timeless &&
         (k->whole ? !is_of_period(k, k->m->time_ms)
                   : at == k->l->n_minutes || !k->minutes[at].wanted))) {
        return;
    }
    if (!prints_meet(k->prints, stored)) {
        keep_foreign(k, stored);
    }
}

static void suspect(void *arg, uint64_t print)
{
    struct topics *k = arg;

    if (k->suspects.n < 2 * RECOUNTED_MAX) {
        (void)suspects_add(&k->suspects, print);
    } else {
        k->out->all.cut = true;
    }
}

static uint64_t n_wanted(const struct topics *k)
{
    uint64_t n = 0;

    if (k->timeless) {
        return k->l->tallies.index.n_events + k->l->tallies.n_tail;
    }
    for (uint32_t i = 0; i < k->l->n_minutes; i++) {
        n += k->minutes[i].wanted ? k->l->minutes[i]->accepted : 0;
    }
    return n;
}

static bool compare_part(struct topics *k, uint64_t max, struct err *e)
{
    bool ok;

    k->prints = prints_new(max);
    ok = entries_each(k->c->spool, &k->l->tallies, k->timeless ? 0 : first_ms(k),
                      k->timeless ? INT64_MAX : end_ms(k), expect, k, e) &&
         !k->failed && read_topics(k, meet, e);
    if (ok) {
        prints_each_suspect(k->prints, suspect, k);
    }
    prints_free(k->prints);
    return ok;
}

static bool compare_ids(struct topics *k, struct err *e)
{
    const uint64_t n = n_wanted(k);

    k->n_parts = n * ID_BYTES / k->c->memory_bytes + 1;
    for (k->part = 0; k->part < k->n_parts; k->part++) {
        /* A part may be a little larger than its share. */
        if (!compare_part(k, n / k->n_parts + n / k->n_parts / 8 + 65536, e)) {
            return false;
        }
    }
    if (!k->crowded) {
        return true;
    }
    want_all(k);
    return compare_ids(k, e);
}

/* ---- those that differ, whatever their minute ---- */

static void recount_here(void *arg, const struct entry *t)
{
    struct topics *k = arg;
    struct suspect *s = suspects_find(&k->suspects, t->print);

    if (s != NULL) {
        s->here++;
        s->unconfirmed += !is_confirmed(k, t);
        s->at = *t;
    }
}

static void recount_there(struct topics *k, uint64_t print, struct str id)
{
    struct suspect *s =
        id.p == NULL ? NULL : suspects_find(&k->suspects, index_stored_print(print));

    if (s == NULL ||
        (!k->timeless && !k->from_start && !is_of_period(k, k->m->time_ms))) {
        return;
    }
    s->there++;
    suspect_note_where(s, k->m->topic, k->m->partition, k->m->offset);
    suspect_name(s, id);
}

static bool recount(struct topics *k, struct err *e)
{
    struct suspects *s = &k->suspects;
    bool all;

    suspects_join(s, 0, false);
    if (s->n == 0) {
        return true;
    }
    /* A message with a whole batch has the time of its first event: it may stand before
     * the period, or after it, and the others not. */
    k->from_start = k->c->plan->kafka.framing == KAFKA_BATCH;
    all = k->timeless || k->from_start;
    if (!read_topics(k, recount_there, e)) {
        return false;
    }
    k->horizon_ms = k->from_start ? topic_reader_horizon(k->reader) : k->horizon_ms;
    if (!entries_each(k->c->spool, &k->l->tallies, all ? 0 : first_ms(k),
                      all ? INT64_MAX : end_ms(k), recount_here, k, e)) {
        return false;
    }
    if (!later_accept(k->c->spool, k->l, k->c->sink, all ? 0 : first_ms(k),
                      all ? INT64_MAX : k->c->until_ms, s, e)) {
        return false;
    }
    suspects_join(s, 0, true);
    /* Of the kept foreign ones, those that are events of another minute. */
    if (!k->whole) {
        uint64_t n = 0;

        for (uint32_t i = 0; i < s->n; i++) {
            n += s->list[i].here == 0 ? (uint64_t)s->list[i].there : 0;
        }
        k->out->foreign = k->out->foreign - k->n_foreign_kept + n;
    }
    suspects_drop_foreign(s); /* they are counted as foreign already */
    return true;
}

/* ---- the whole ---- */

bool topic_check(const struct topic_check *c, const struct ledger_stream *l,
                 struct topic_result *out, struct err *e)
{
    const struct topic_reader_conf conf = {
        .plan = c->plan, .topics = c->topics, .timeout_ms = c->timeout_ms};
    struct topics k = {.c = c, .l = l, .out = out, .e = e};
    bool ok;

    *out = (struct topic_result){.partitions = 0};
    k.reader = topic_reader_new(&conf, e);
    k.ids = ids_new(c->field, e);
    ok = k.reader != NULL && k.ids != NULL;
    if (ok) {
        out->partitions = topic_reader_partitions(k.reader);
    }
    if (ok && l->n_minutes > 0) {
        k.timeless = c->plan->kafka.timestamp != NULL;
        k.minutes = mem_zalloc(l->n_minutes * sizeof *k.minutes);
        ok = compare_minutes(&k, e) &&
             (!choose(&k) || (compare_ids(&k, e) && recount(&k, e))) &&
             (out->all.minutes > 0 ||
              err_set(e,
                      "kafka \"%s\": the brokers have deleted messages of the whole "
                      "period: nothing was compared",
                      c->plan->name));
    }
    if (ok) {
        suspects_tell(&k.suspects, c->spool, &l->tallies, "messages", &out->all);
    }
    suspects_free(&k.suspects);
    topic_reader_free(k.reader);
    ids_free(k.ids);
    free(k.minutes);
    free(k.buf);
    return ok;
}
