#include "cli/find/settled.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/boot.h"
#include "base/err.h"
#include "base/mem.h"
#include "cli/find/sink_journal.h"
#include "delivery/places.h"
#include "journal/journal.h"

/* Ranges that a file has, and the byte before which they stand. */
struct step {
    uint64_t length;
    struct batch_range range;
};

struct settling {
    struct settled *s;
    struct str stream;
    struct step *steps; /* of the file that is named file */
    uint32_t n_steps, room;
    char file[512];
    uint64_t synced; /* bytes of it that are on stable storage */
    int64_t met_ms;  /* of the last meeting */
    bool again;      /* it was not the first */
};

/* A journal and its places have many streams, and are read once for all. */
struct reading {
    struct settling *streams;
    uint32_t n, last; /* last: the one of the record before */
    bool restarted;   /* the machine, since the journal was begun */
};

static struct settling *stream_of(struct reading *d, struct str name)
{
    for (uint32_t i = 0; i < d->n; i++) {
        const uint32_t at = (d->last + i) % d->n;

        if (str_eq(d->streams[at].stream, name)) {
            d->last = at;
            return &d->streams[at];
        }
    }
    return NULL;
}

static void add_all(struct settled_set *set, const struct record *r, int64_t time_ms)
{
    for (uint32_t i = 0; i < r->n_ranges; i++) {
        settled_add(set, &r->ranges[i], r->ranges[i].first,
                    r->ranges[i].first + r->ranges[i].n, time_ms);
    }
}

static struct settled_set *set_of(struct settled *s, const struct record *r)
{
    return r->type == RECORD_DEAD           ? &s->apart[SETTLED_DEAD]
           : r->type != RECORD_SKIP         ? NULL
           : r->value == 0                  ? &s->apart[SETTLED_SKIPPED]
           : r->value == PLACES_NOT_ITS_OWN ? &s->apart[SETTLED_BEFORE]
           : r->value == PLACES_UNSURE      ? &s->unsure
           : r->value == RECORD_SKIP_VOID   ? &s->apart[SETTLED_REFUSED]
                                            : &s->apart[SETTLED_LOST];
}

static void on_apart(struct settled *s, const struct record *r, int64_t time_ms)
{
    struct settled_set *set = set_of(s, r);

    if (set != NULL) {
        add_all(set, r, time_ms);
    }
}

/* ---- the journal ---- */

static void ack_steps(struct settling *g)
{
    for (uint32_t i = 0; i < g->n_steps; i++) {
        (void)ack_tracker_ack(&g->s->acks, &g->steps[i].range);
    }
    g->n_steps = 0;
}

static void add_step(struct settling *g, uint64_t length, const struct batch_range *r)
{
    if (g->n_steps == g->room) {
        g->room = g->room == 0 ? 64 : 2 * g->room;
        g->steps = mem_realloc(g->steps, g->room * sizeof *g->steps);
    }
    g->steps[g->n_steps++] = (struct step){length, *r};
}

/* A record of an end that others have passed: what stood behind it was not synced, or a
 * power cut took it, and it is written again. */
static void on_file(struct settling *g, const struct record *r)
{
    const bool seal = r->type == RECORD_SEAL;
    char name[sizeof g->file];

    (void)snprintf(name, sizeof name, "%.*s", (int)r->name.n, r->name.p);
    if (strcmp(name, g->file) != 0) {
        ack_steps(g); /* the one before had come to its end */
        memcpy(g->file, name, sizeof name);
        g->synced = 0;
    }
    if (seal || str_eq(r->id, STR(RECORD_FILE_SYNCED))) {
        g->synced = r->value;
    }
    while (g->n_steps > 0 && (g->steps[g->n_steps - 1].length > r->value ||
                              (!seal && g->steps[g->n_steps - 1].length == r->value))) {
        g->n_steps--;
    }
    for (uint32_t i = 0; !seal && i < r->n_ranges; i++) {
        add_step(g, r->value, &r->ranges[i]);
    }
}

static void on_start(struct settling *g, const struct record *r)
{
    struct settled *s = g->s;

    if (r->value != 0) {
        ack_tracker_fini(&s->acks);
        ack_tracker_init(&s->acks);
        g->n_steps = 0;
        s->known = false;
        s->ends_epoch = 0;
        s->begun.n = 0;
        return;
    }
    s->known = true;
    if (r->n_ranges > 0) {
        settled_add(&s->begun, &r->ranges[0], 0, UINT64_MAX, 0);
        ack_tracker_start(&s->acks, r->ranges[0].epoch, r->ranges[0].worker,
                          r->ranges[0].first);
    }
}

static void on_retire(struct settled *s, const struct record *r)
{
    if (s->ends_epoch != r->value) {
        s->ends.n = 0;
    }
    s->ends_epoch = (uint32_t)r->value;
    for (uint32_t i = 0; i < r->n_ranges; i++) {
        settled_add(&s->ends, &r->ranges[i], 0, r->ranges[i].first, 0);
    }
}

/* What it says is apart is so: a place that it has not is older. */
static void on_record(void *arg, const struct record *r)
{
    struct reading *d = arg;
    struct settling *g;

    if (r->type == RECORD_HEAD) {
        d->restarted = r->time_ms != 0 && r->time_ms != boot_number();
    }
    g = r->type == RECORD_HEAD ? NULL : stream_of(d, r->stream);
    if (g == NULL) {
        return;
    }
    on_apart(g->s, r, INT64_MAX);
    if (r->type == RECORD_START) {
        on_start(g, r);
    } else if (r->type == RECORD_RETIRE) {
        on_retire(g->s, r);
    } else if (r->type == RECORD_FILE || r->type == RECORD_SEAL) {
        on_file(g, r);
    } else if (r->type == RECORD_DONE || r->type == RECORD_DEAD ||
               r->type == RECORD_SKIP) {
        for (uint32_t i = 0; i < r->n_ranges; i++) {
            (void)ack_tracker_ack(&g->s->acks, &r->ranges[i]);
        }
    }
}

/* ---- the places ---- */

/* Events before the first meeting were never seen. Those before a later one may have
 * been, while the stream led to the sink before. */
static void on_met(struct settling *g, const struct record *r)
{
    struct settled *s = g->s;
    const bool met = r->value != 0; /* else by an earlier version */

    if (met && (s->met == 0 || r->value != s->met_last || r->time_ms != g->met_ms)) {
        g->again = s->met != 0;
        s->met = g->again ? s->met : (uint32_t)r->value;
        s->met_last = (uint32_t)r->value;
        g->met_ms = r->time_ms;
        s->read.n = 0;
    }
    for (uint32_t i = 0; i < r->n_ranges; i++) {
        settled_add(s->former || (met && g->again) ? &s->unsure
                                                   : &s->apart[SETTLED_BEFORE],
                    &r->ranges[i], 1, r->ranges[i].first, r->time_ms);
        if (met) {
            settled_add(&s->read, &r->ranges[i], 0, UINT64_MAX, 0);
        }
    }
}

static void on_place(void *arg, const struct record *r)
{
    struct settling *g = stream_of(arg, r->stream);

    if (g == NULL) {
        return;
    }
    on_apart(g->s, r, r->time_ms);
    if (r->type != RECORD_START && r->time_ms > g->s->last_ms) {
        g->s->last_ms = r->time_ms;
    }
    if (r->type == RECORD_START) {
        on_met(g, r);
    } else if (r->type == RECORD_DONE) {
        add_all(&g->s->taken, r, r->time_ms);
    }
}

static void forget_times(struct settled_set *set)
{
    for (uint32_t i = 0; i < set->n; i++) {
        set->runs[i].time_ms = INT64_MIN;
    }
}

/* Each event is in one set at most: in the one of its last record. What it has was never
 * before it. */
static void conclude(struct settled *s)
{
    struct settled_set *const sets[] = {
        &s->apart[SETTLED_DEAD],    &s->apart[SETTLED_SKIPPED], &s->apart[SETTLED_LOST],
        &s->apart[SETTLED_REFUSED], &s->apart[SETTLED_BEFORE],  &s->unsure};

    forget_times(&s->apart[SETTLED_BEFORE]);
    forget_times(&s->unsure);
    settled_order(&s->taken);
    for (size_t i = 0; i < N_ELEMS(sets); i++) {
        struct settled_set later;

        settled_sort(sets[i]);
        later = settled_later(sets[i], &s->taken);
        settled_subtract(sets[i], &later);
        free(later.runs);
        for (size_t k = 0; k < i; k++) {
            settled_subtract(sets[i], sets[k]);
        }
    }
    forget_times(&s->taken);
    settled_sort(&s->taken);
    for (size_t i = 0; i < N_ELEMS(sets); i++) {
        settled_subtract(&s->taken, sets[i]);
    }
    settled_sort(&s->begun);
    settled_sort(&s->read);
    settled_sort(&s->ends);
    settled_fit(&s->taken); /* there may be 80 sinks */
}

static void begin(struct settled *s, const char *sink, const char *stream, bool former)
{
    memset(s, 0, sizeof *s);
    ack_tracker_init(&s->acks);
    (void)snprintf(s->sink, sizeof s->sink, "%s", sink);
    (void)snprintf(s->stream, sizeof s->stream, "%s", stream);
    s->former = former;
}

/* The journal was read. True: the sink reads the stream. */
static bool end_journal(struct settling *g, bool restarted)
{
    while (restarted && g->n_steps > 0 && g->steps[g->n_steps - 1].length > g->synced) {
        g->n_steps--; /* the next start looks whether the file still has them */
    }
    ack_steps(g);
    free(g->steps);
    g->steps = NULL;
    return g->s->known;
}

bool settled_read_streams(const char *spool, const char *name,
                          const char *const *streams, uint32_t n, struct settled *out,
                          struct err *e)
{
    struct reading d = {.streams = mem_zalloc((n + 1) * sizeof *d.streams), .n = n};
    struct doubt doubt = {.n = 0};
    char path[PATH_MAX];
    bool ok, any = false, former;

    (void)snprintf(path, sizeof path, "%s/sinks/%s.journal", spool, name);
    former = places_former(path);
    for (uint32_t i = 0; i < n; i++) {
        begin(&out[i], name, streams[i], former);
        d.streams[i] = (struct settling){.s = &out[i], .stream = str_of(out[i].stream)};
    }
    ok = sink_journal_read(path, on_record, &d, e);
    for (uint32_t i = 0; i < n; i++) {
        any |= end_journal(&d.streams[i], d.restarted);
    }
    /* Most sinks read few of the streams, and the record of places may have 128 MiB. */
    ok = ok && (!any || places_read(path, on_place, &d, &doubt, e));
    for (uint32_t i = 0; i < n; i++) {
        doubt_copy(&out[i].doubt, &doubt);
        conclude(&out[i]);
    }
    doubt_free(&doubt);
    free(d.streams);
    return ok;
}

/* Of each shard all up to its last record. */
static void add_ends(struct settled *s, const struct settled_set *set)
{
    for (uint32_t i = 0; i < set->n; i++) {
        const struct settled_run *r = &set->runs[i];
        const struct batch_range shard = {.epoch = r->epoch, .worker = r->worker};

        settled_add(&s->ends, &shard, 0, r->end, 0);
    }
}

bool settled_read_left(const char *spool, const char *name, const char *stream,
                       struct settled *out, struct err *e)
{
    struct settling one = {.s = out};
    struct reading d = {.streams = &one, .n = 1};
    char path[PATH_MAX];
    bool ok;

    (void)snprintf(path, sizeof path, "%s/sinks/%s.journal", spool, name);
    begin(out, name, stream, places_former(path));
    one.stream = str_of(out->stream);
    ok = places_read(path, on_place, &d, &out->doubt, e);
    conclude(out);
    add_ends(out, &out->taken);
    for (int how = 0; how < SETTLED_BEFORE; how++) {
        add_ends(out, &out->apart[how]);
    }
    settled_sort(&out->ends);
    out->left = out->known = ok && out->ends.n > 0;
    return ok;
}

bool settled_read(const char *spool, const char *name, const char *stream,
                  struct settled *out, struct err *e)
{
    return settled_read_streams(spool, name, &stream, 1, out, e);
}

void settled_free(struct settled *s)
{
    ack_tracker_fini(&s->acks);
    for (int how = 0; how < SETTLED_HOWS; how++) {
        free(s->apart[how].runs);
    }
    free(s->taken.runs);
    free(s->unsure.runs);
    free(s->begun.runs);
    free(s->read.runs);
    free(s->ends.runs);
    doubt_free(&s->doubt);
    memset(s, 0, sizeof *s);
}
