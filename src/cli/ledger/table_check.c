#include "cli/ledger/table_check.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "base/mem.h"
#include "cli/ledger/entries.h"
#include "cli/ledger/later.h"
#include "cli/ledger/question.h"
#include "cli/ledger/suspects.h"
#include "index/format.h"

enum {
    BUCKETS = 4096,
    BUCKET_SHIFT = 44,    /* of a stored fingerprint, 56 bits */
    BUCKETS_MAX = 256,    /* that are looked into */
    ROWS_ASKED = 1 << 19, /* for the ids of so many at once, or of one bucket */
    SQL_MAX = 64 << 10,
    PARTS_MAX =
        8 << 10 /* of the operator's SQL, which stands in a query up to three times */
};

struct bucket {
    uint64_t n, sum; /* here, minus those of the table */
    uint64_t rows;   /* of the table */
};

struct check {
    const struct table_check *c;
    const struct ledger_stream *l;
    struct check_result *out;
    struct bucket buckets[BUCKETS];
    bool wanted[BUCKETS], asked[BUCKETS]; /* asked: of these, at once */
    struct suspects suspects;
    char *sql;
};

/* ---- minutes ---- */

struct minute_diff {
    int64_t ms;
    uint64_t n, sum; /* here, minus those of the table */
};

struct minutes {
    struct minute_diff *list; /* by time */
    uint32_t n, room;
};

static struct minute_diff *minute_of(struct minutes *m, int64_t ms)
{
    uint32_t at = m->n;

    while (at > 0 && m->list[at - 1].ms > ms) {
        at--;
    }
    if (at > 0 && m->list[at - 1].ms == ms) {
        return &m->list[at - 1];
    }
    if (m->n == m->room) {
        m->room = m->room == 0 ? 64 : 2 * m->room;
        m->list = mem_realloc(m->list, m->room * sizeof *m->list);
    }
    memmove(m->list + at + 1, m->list + at, (m->n - at) * sizeof *m->list);
    m->n++;
    m->list[at] = (struct minute_diff){.ms = ms};
    return &m->list[at];
}

static bool ask(struct check *k, struct err *e)
{
    return question_ask(k->c->q, k->sql, 3, e);
}

/* Rows without an id ('' or NULL), also of the neighbouring minutes. Where all rows are, the
 * column is not the one that has the ids. */
static bool count_anonymous(struct check *k, struct err *e)
{
    const struct ledger_stream *l = k->l;
    char *row[3];

    (void)snprintf(
        k->sql, SQL_MAX,
        "SELECT countIf(ifNull(%s, '') = ''), count(), 0 FROM %s WHERE toInt64(%s) >= "
        "%" PRId64 " AND toInt64(%s) < %" PRId64,
        k->c->id, k->c->table, k->c->time, (l->minutes[0]->ms - TALLY_MINUTE_MS) / 1000,
        k->c->time, (l->minutes[l->n_minutes - 1]->ms + 2 * TALLY_MINUTE_MS) / 1000);
    if (!ask(k, e)) {
        return false;
    }
    if (question_row(k->c->q, row, 3)) {
        const uint64_t all = strtoull(row[1], NULL, 10);

        k->out->anonymous = strtoull(row[0], NULL, 10);
        return all == 0 || k->out->anonymous < all ||
               err_set(e,
                       "no row of %s has an id: %s is '' or NULL in all %" PRIu64
                       " rows of the period: name the column of the ids, as --id "
                       "'toString(event_id)'",
                       k->c->table, k->c->id, all);
    }
    return true;
}

static bool compare_minutes(struct check *k, struct minutes *m, struct err *e)
{
    const struct ledger_stream *l = k->l;
    char *row[3];

    for (uint32_t i = 0; i < l->n_minutes; i++) {
        struct minute_diff *d = minute_of(m, l->minutes[i]->ms);

        d->n += l->minutes[i]->accepted - l->minutes[i]->anonymous;
        d->sum += l->minutes[i]->sum;
        k->out->expected += d->n;
    }
    k->out->minutes = l->n_minutes;
    (void)snprintf(k->sql, SQL_MAX,
                   "SELECT intDiv(toInt64(%s), 60) AS m, count(), sum(sipHash64(%s)) "
                   "FROM %s WHERE toInt64(%s) >= %" PRId64 " AND toInt64(%s) < %" PRId64
                   " AND %s != '' GROUP BY m",
                   k->c->time, k->c->id, k->c->table, k->c->time, m->list[0].ms / 1000,
                   k->c->time, (m->list[m->n - 1].ms + TALLY_MINUTE_MS) / 1000,
                   k->c->id);
    if (!ask(k, e)) {
        return false;
    }
    while (question_row(k->c->q, row, 3)) {
        struct minute_diff *d =
            minute_of(m, strtoll(row[0], NULL, 10) * TALLY_MINUTE_MS);

        k->out->found += strtoull(row[1], NULL, 10);
        d->n -= strtoull(row[1], NULL, 10);
        d->sum -= strtoull(row[2], NULL, 10);
    }
    return true;
}

/* ---- buckets of fingerprints, in a run of minutes ---- */

static unsigned bucket_of(uint64_t print)
{
    return (unsigned)(print >> BUCKET_SHIFT);
}

static void on_counted(void *arg, const struct entry *t)
{
    struct check *k = arg;

    k->buckets[bucket_of(t->print)].n++;
    k->buckets[bucket_of(t->print)].sum += t->print;
}

/* " WHERE ..." of the run; p is where it goes in the text. */
static size_t put_where(struct check *k, size_t at, int64_t from_ms, int64_t to_ms)
{
    int n = snprintf(k->sql + at, SQL_MAX - at,
                     " FROM %s WHERE toInt64(%s) >= %" PRId64
                     " AND toInt64(%s) < %" PRId64 " AND %s != ''",
                     k->c->table, k->c->time, from_ms / 1000, k->c->time, to_ms / 1000,
                     k->c->id);

    return n > 0 && at + (size_t)n < SQL_MAX ? at + (size_t)n : SQL_MAX - 1;
}

static bool compare_buckets(struct check *k, int64_t from_ms, int64_t to_ms,
                            uint32_t *n_wanted, struct err *e)
{
    char *row[3];
    size_t at;

    memset(k->buckets, 0, sizeof k->buckets);
    memset(k->wanted, 0, sizeof k->wanted);
    if (!entries_each(k->c->spool, &k->l->tallies, from_ms, to_ms, on_counted, k, e)) {
        return false;
    }
    at = (size_t)snprintf(k->sql, SQL_MAX,
                          "SELECT bitShiftRight(sipHash64(%s), 52) AS b, count(), "
                          "sum(bitShiftRight(sipHash64(%s), 8))",
                          k->c->id, k->c->id);
    at = put_where(k, at, from_ms, to_ms);
    (void)snprintf(k->sql + at, SQL_MAX - at, " GROUP BY b");
    if (!ask(k, e)) {
        return false;
    }
    while (question_row(k->c->q, row, 3)) {
        struct bucket *b = &k->buckets[strtoull(row[0], NULL, 10) % BUCKETS];

        b->n -= strtoull(row[1], NULL, 10);
        b->sum -= strtoull(row[2], NULL, 10);
        b->rows += strtoull(row[1], NULL, 10);
    }
    *n_wanted = 0;
    for (uint32_t i = 0; i < BUCKETS; i++) {
        if (k->buckets[i].n != 0 || k->buckets[i].sum != 0) {
            k->wanted[i] = *n_wanted < BUCKETS_MAX;
            *n_wanted += 1;
        }
    }
    k->out->cut |= *n_wanted > BUCKETS_MAX;
    return true;
}

/* ---- ids of these buckets ---- */

static void on_wanted(void *arg, const struct entry *t)
{
    struct check *k = arg;

    if (k->asked[bucket_of(t->print)]) {
        struct suspect *s = suspects_add(&k->suspects, t->print);

        s->here = 1;
        s->at = *t;
    }
}

static void take_rows(struct check *k)
{
    char *row[3];

    while (question_row(k->c->q, row, 3)) {
        struct suspect *s = suspects_add(&k->suspects, strtoull(row[0], NULL, 10));

        s->there = strtoll(row[1], NULL, 10);
        suspect_name(s, str_of(row[2]));
    }
}

static bool compare_asked(struct check *k, int64_t from_ms, int64_t to_ms,
                          struct err *e)
{
    const uint32_t from = k->suspects.n;
    const char *comma = "";
    size_t at;

    if (!entries_each(k->c->spool, &k->l->tallies, from_ms, to_ms, on_wanted, k, e)) {
        return false;
    }
    at = (size_t)snprintf(
        k->sql, SQL_MAX,
        "SELECT bitShiftRight(sipHash64(%s), 8) AS f, count(), any(%s)", k->c->id,
        k->c->id);
    at = put_where(k, at, from_ms, to_ms);
    at += (size_t)snprintf(k->sql + at, SQL_MAX - at,
                           " AND bitShiftRight(sipHash64(%s), 52) IN (", k->c->id);
    for (uint32_t i = 0; i < BUCKETS; i++) {
        if (k->asked[i]) {
            at += (size_t)snprintf(k->sql + at, SQL_MAX - at, "%s%u", comma, i);
            comma = ",";
        }
    }
    (void)snprintf(k->sql + at, SQL_MAX - at, ") GROUP BY f");
    if (!ask(k, e)) {
        return false;
    }
    take_rows(k);
    suspects_join(&k->suspects, from, true);
    return true;
}

/* Some of the wanted buckets from *at on, which are `asked` then. False: there are none. */
static bool choose(struct check *k, uint32_t *at)
{
    uint64_t rows = 0;
    bool any = false;

    memset(k->asked, 0, sizeof k->asked);
    for (; *at < BUCKETS; (*at)++) {
        if (k->wanted[*at]) {
            rows += k->buckets[*at].rows;
            if (any && rows > ROWS_ASKED) {
                break;
            }
            k->asked[*at] = any = true;
        }
    }
    return any;
}

static bool compare_ids(struct check *k, int64_t from_ms, int64_t to_ms, struct err *e)
{
    uint32_t at = 0;
    bool ok = true;

    while (ok && choose(k, &at)) {
        ok = compare_asked(k, from_ms, to_ms, e);
    }
    return ok;
}

/* ---- these, whatever their minute ---- */

/* Nothing says which sink fills the table: each that the stream led to must have confirmed the
 * event, or the table need not have it. */
static bool is_confirmed(const struct check *k, const struct entry *t)
{
    const struct ledger_stream *l = k->l;
    const bool gone = !tallies_has(&l->tallies, t->epoch, t->worker);
    bool any = false;

    for (uint32_t i = 0; i < l->n_sinks; i++) {
        struct settled_counts c = {.confirmed = 0};

        settled_count(&l->sinks[i], t->epoch, t->worker, t->seq, 1, t->wall_ms, gone,
                      &c);
        if (c.confirmed + c.later == 0) {
            return false;
        }
        any |= c.confirmed > 0;
    }
    return any;
}

static void on_suspect(void *arg, const struct entry *t)
{
    struct check *k = arg;
    struct suspect *s = suspects_find(&k->suspects, t->print);

    if (s != NULL) {
        s->here++;
        s->unconfirmed += !is_confirmed(k, t);
        s->at = *t;
    }
}

static void count_unconfirmed(struct check *k)
{
    for (uint32_t i = 0; i < k->suspects.n; i++) {
        const struct suspect *s = &k->suspects.list[i];

        k->out->unconfirmed += s->there < s->here && !suspect_differs(s);
    }
}

static void on_empty(void *arg, const struct entry *t)
{
    struct check *k = arg;

    k->out->empty += t->print == index_stored_print(index_print("", 0));
}

/* A table has no other id for the events without one: they are counted, not compared. */
static bool leave_out_empty(struct check *k, struct err *e)
{
    const struct ledger_stream *l = k->l;

    if (!suspects_drop(&k->suspects, index_stored_print(index_print("", 0)))) {
        return true;
    }
    if (!entries_each(k->c->spool, &l->tallies, l->minutes[0]->ms,
                      l->minutes[l->n_minutes - 1]->ms + TALLY_MINUTE_MS, on_empty, k,
                      e)) {
        return false;
    }
    k->out->expected -= k->out->empty;
    return true;
}

static bool recount(struct check *k, struct err *e)
{
    size_t at;

    suspects_join(&k->suspects, 0, false);
    if (!leave_out_empty(k, e)) {
        return false;
    }
    k->out->cut |= k->suspects.n > SUSPECTS_NAMED_MAX;
    suspects_cut(&k->suspects, SUSPECTS_NAMED_MAX);
    if (k->suspects.n == 0) {
        return true;
    }
    for (uint32_t i = 0; i < k->suspects.n; i++) {
        k->suspects.list[i].here = k->suspects.list[i].there = 0;
    }
    if (!entries_each(k->c->spool, &k->l->tallies, 0, INT64_MAX, on_suspect, k, e)) {
        return false;
    }
    at = (size_t)snprintf(
        k->sql, SQL_MAX,
        "SELECT bitShiftRight(sipHash64(%s), 8) AS f, count(), any(%s) "
        "FROM %s WHERE f IN (",
        k->c->id, k->c->id, k->c->table);
    for (uint32_t i = 0; i < k->suspects.n; i++) {
        at += (size_t)snprintf(k->sql + at, SQL_MAX - at, "%s%" PRIu64,
                               i == 0 ? "" : ",", k->suspects.list[i].print);
    }
    (void)snprintf(k->sql + at, SQL_MAX - at, ") GROUP BY f");
    if (!ask(k, e)) {
        return false;
    }
    take_rows(k);
    suspects_join(&k->suspects, 0, false);
    if (!later_accept(k->c->spool, k->l, k->l->n_sinks, 0, INT64_MAX, &k->suspects,
                      e)) {
        return false;
    }
    count_unconfirmed(k);
    suspects_join(&k->suspects, 0, true);
    return true;
}

/* ---- the whole ---- */

static bool look_into(struct check *k, const struct minutes *m, struct err *e)
{
    bool ok = true;

    for (uint32_t i = 0; ok && i < m->n;) {
        int64_t from = m->list[i].ms - TALLY_MINUTE_MS, to = from;
        uint32_t n_wanted = 0;

        if (m->list[i].n == 0 && m->list[i].sum == 0) {
            i++;
            continue;
        }
        /* Minutes that differ one after the other are one run. */
        for (to = m->list[i].ms; i < m->n && m->list[i].ms <= to + TALLY_MINUTE_MS;
             i++) {
            to = m->list[i].n == 0 && m->list[i].sum == 0 ? to : m->list[i].ms;
        }
        to += 2 * TALLY_MINUTE_MS;
        from = from < k->c->first_ms ? k->c->first_ms : from;
        ok = compare_buckets(k, from, to, &n_wanted, e) &&
             (n_wanted == 0 || compare_ids(k, from, to, e));
    }
    return ok;
}

bool table_check(const struct table_check *c, const struct ledger_stream *l,
                 struct check_result *out, struct err *e)
{
    const size_t n_parts = strlen(c->table) + strlen(c->time) + strlen(c->id);
    struct minutes m = {.n = 0};
    struct check *k;
    bool ok = true;

    *out = (struct check_result){.minutes = 0};
    if (n_parts > PARTS_MAX) {
        return err_set(e,
                       "the SQL of the table, the time and the id has %zu bytes, but "
                       "at most %d are allowed",
                       n_parts, PARTS_MAX);
    }
    k = mem_zalloc(sizeof *k);
    k->c = c;
    k->l = l;
    k->out = out;
    k->sql = mem_alloc(SQL_MAX);
    if (l->n_minutes > 0) {
        ok = count_anonymous(k, e) && compare_minutes(k, &m, e) &&
             look_into(k, &m, e) && recount(k, e);
    }
    if (ok) {
        suspects_tell(&k->suspects, c->spool, &l->tallies, "rows", out);
    }
    free(m.list);
    suspects_free(&k->suspects);
    free(k->sql);
    free(k);
    return ok;
}
