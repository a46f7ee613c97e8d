#include "cli/find/fates.h"

#include <dirent.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/boot.h"
#include "base/err.h"
#include "base/mem.h"
#include "base/text.h"
#include "cli/find/sink_journal.h"
#include "cli/find/sink_names.h"
#include "delivery/places.h"
#include "index/roster.h"
#include "journal/journal.h"

/* What the record of places says of an event. */
struct told {
    struct fate apart, has; /* UNMET: nothing */
    bool before;            /* it came before the sink's first beginning, */
    bool unsure; /* or before a later one, or it was lost once it was planned */
    bool read;   /* the sink met its shard, the last time */
    bool again;
    uint32_t met,
        met_last; /* the stream: in these epochs, first and last; 0: not noted */
    int64_t met_ms;
    uint32_t ends_epoch; /* the stream leads elsewhere since then; 0: to the sink */
    uint64_t end; /* it still gets the events of the event's shard before this one */
};

struct reading {
    const struct sighting *events;
    uint32_t n;
    struct fate *fates; /* of this sink */
    struct told *told;
    bool restarted; /* the machine, since the journal was begun */
    bool former;    /* there was a sink of its name before */
};

static bool has(const struct batch_range *r, const struct sighting *g)
{
    return r->epoch == g->epoch && r->worker == g->worker && g->seq >= r->first &&
           g->seq - r->first < r->n;
}

static bool names(const struct record *r, const struct sighting *g)
{
    for (uint32_t i = 0; i < r->n_ranges; i++) {
        if (has(&r->ranges[i], g)) {
            return true;
        }
    }
    return false;
}

/* Where the sink's reading of a shard starts: all before is settled. */
static void on_start(const struct record *r, const struct sighting *g, struct fate *f)
{
    f->known = r->value == 0;
    if (r->value != 0) {
        *f = (struct fate){.kind = FATE_UNMET};
    } else if (r->n_ranges > 0 && r->ranges[0].epoch == g->epoch &&
               r->ranges[0].worker == g->worker) {
        f->kind = g->seq < r->ranges[0].first ? FATE_CONFIRMED : FATE_PENDING;
    }
}

static void on_file(const struct record *r, const struct sighting *g, struct fate *f)
{
    char name[sizeof f->file];

    (void)snprintf(name, sizeof name, "%.*s", (int)r->name.n, r->name.p);
    if (names(r, g)) {
        f->kind = FATE_CONFIRMED;
        f->exact = true;
        f->file_end = r->value;
        f->unsynced = r->type == RECORD_FILE && !str_eq(r->id, STR(RECORD_FILE_SYNCED));
        memcpy(f->file, name, sizeof f->file);
    } else if (f->file[0] != '\0' && strcmp(name, f->file) == 0 &&
               (r->value < f->file_end ||
                (r->value == f->file_end && r->type == RECORD_FILE))) {
        /* They were not synced, or a power cut took the bytes: they are written again. */
        f->kind = FATE_PENDING;
        f->exact = false;
        f->file[0] = '\0';
    } else if (f->file[0] != '\0' && strcmp(name, f->file) == 0) {
        f->unsynced &=
            r->type == RECORD_FILE && !str_eq(r->id, STR(RECORD_FILE_SYNCED));
    }
}

static void on_event(const struct record *r, const struct sighting *g, struct fate *f)
{
    static const enum fate_kind ends[] = {[RECORD_DONE] = FATE_CONFIRMED,
                                          [RECORD_DEAD] = FATE_DEAD,
                                          [RECORD_SKIP] = FATE_SKIPPED};

    switch (r->type) {
    case RECORD_START:
        on_start(r, g, f);
        break;
    case RECORD_PLAN:
    case RECORD_SPLIT:
        if (names(r, g)) {
            f->kind = FATE_PLANNED;
            f->batch = r->value;
        }
        break;
    case RECORD_FILE:
    case RECORD_SEAL:
        on_file(r, g, f);
        break;
    case RECORD_DONE:
    case RECORD_DEAD:
    case RECORD_SKIP:
        if (names(r, g)) {
            f->kind = r->type != RECORD_SKIP || r->value == 0 ? ends[r->type]
                      : r->value == RECORD_SKIP_VOID          ? FATE_REFUSED
                                                              : FATE_LOST;
            f->exact = true;
        }
        break;
    default:
        break;
    }
}

static void on_retire(const struct record *r, const struct sighting *g, struct told *t)
{
    t->end = t->ends_epoch == r->value ? t->end : 0;
    t->ends_epoch = (uint32_t)r->value;
    for (uint32_t i = 0; i < r->n_ranges; i++) {
        if (r->ranges[i].epoch == g->epoch && r->ranges[i].worker == g->worker) {
            t->end = r->ranges[i].first;
        }
    }
}

static void on_record(void *arg, const struct record *r)
{
    struct reading *d = arg;

    if (r->type == RECORD_HEAD) {
        d->restarted = r->time_ms != 0 && r->time_ms != boot_number();
        return;
    }
    for (uint32_t i = 0; i < d->n; i++) {
        if (str_eq(r->stream, str_of(d->events[i].stream))) {
            on_event(r, &d->events[i], &d->fates[i]);
            if (r->type == RECORD_RETIRE) {
                on_retire(r, &d->events[i], &d->told[i]);
            } else if (r->type == RECORD_START && r->value != 0) {
                d->told[i].ends_epoch = 0;
            }
        }
    }
}

/* ---- the record of places ---- */

/* The sink began to read there. Events before the first beginning it has never seen; it
 * may have seen those before a later one. */
static void on_met(const struct record *r, const struct sighting *g, bool former,
                   struct told *t)
{
    const bool met = r->value != 0; /* else by an earlier version */

    if (met && (t->met == 0 || r->value != t->met_last || r->time_ms != t->met_ms)) {
        t->again = t->met != 0;
        t->met = t->again ? t->met : (uint32_t)r->value;
        t->met_last = (uint32_t)r->value;
        t->met_ms = r->time_ms;
        t->read = false;
    }
    for (uint32_t i = 0; i < r->n_ranges; i++) {
        const struct batch_range *b = &r->ranges[i];

        if (b->epoch == g->epoch && b->worker == g->worker) {
            t->read |= met;
            *(former || (met && t->again) ? &t->unsure : &t->before) |=
                g->seq < b->first;
        }
    }
}

static enum fate_kind end_of(const struct record *r)
{
    return r->type == RECORD_DONE           ? FATE_CONFIRMED
           : r->type == RECORD_DEAD         ? FATE_DEAD
           : r->value == 0                  ? FATE_SKIPPED
           : r->value == RECORD_SKIP_VOID   ? FATE_REFUSED
           : r->value == PLACES_NOT_ITS_OWN ? FATE_BEFORE
                                            : FATE_LOST;
}

static void on_place(void *arg, const struct record *r)
{
    struct reading *d = arg;

    for (uint32_t i = 0; i < d->n; i++) {
        const struct sighting *g = &d->events[i];
        struct told *t = &d->told[i];
        struct fate *f = r->type == RECORD_DONE ? &t->has : &t->apart;

        if (!str_eq(r->stream, str_of(g->stream))) {
            continue;
        }
        if (r->type == RECORD_START) {
            on_met(r, g, d->former, t);
        } else if ((r->type == RECORD_DONE || r->type == RECORD_DEAD ||
                    r->type == RECORD_SKIP) &&
                   names(r, g)) {
            if (r->type == RECORD_SKIP && r->value == PLACES_UNSURE) {
                t->unsure = true;
                continue;
            }
            *f = (struct fate){.kind = end_of(r), .time_ms = r->time_ms};
            f->batch = r->type == RECORD_SKIP ? 0 : r->value;
            (void)text_z(TEXT_LINE, r->id, f->place, sizeof f->place);
        }
    }
}

/* ---- both ---- */

static void take(struct fate *f, const struct fate *place)
{
    f->kind = place->kind;
    f->known = f->exact = true;
    f->batch = place->batch;
    f->time_ms = place->time_ms;
    memcpy(f->place, place->place, sizeof f->place);
}

/* The last record of the two: a file's events may be lost after they were written, and
 * dead ones delivered after a power cut took that from the journal. */
static const struct fate *last_of(const struct told *t)
{
    return t->has.kind == FATE_UNMET            ? &t->apart
           : t->apart.kind == FATE_UNMET        ? &t->has
           : t->has.time_ms >= t->apart.time_ms ? &t->has
                                                : &t->apart;
}

static bool is_doubtful(const struct doubt *d, const struct sighting *g)
{
    return g->seq < doubt_end(d, g->stream, g->epoch, g->worker, g->wall_ms);
}

/* The sink is done with the event, and neither says how: it has it, unless it may not
 * have seen it, or a record of that may have been dropped. gone: the journal has forgotten
 * the event's shard. */
static enum fate_kind silent(const struct told *t, const struct sighting *g, bool gone,
                             bool former, const struct doubt *d)
{
    const bool unmet = gone && g->epoch < t->met_last && !t->read;

    return t->before || (unmet && !former && g->epoch < t->met) ? FATE_BEFORE
           : t->unsure || unmet || is_doubtful(d, g)            ? FATE_SETTLED
                                                                : FATE_CONFIRMED;
}

/* The event came when the stream led elsewhere: as long as it does, no sink waits for it. */
static bool is_elsewhere(const struct told *t, const struct sighting *g)
{
    return t->ends_epoch != 0 && (g->epoch > t->ends_epoch ||
                                  (g->epoch == t->ends_epoch && g->seq >= t->end));
}

/* The sink waits for it, and a power cut took it, or the spool let it go: for max_lag, or for
 * its damage. */
static bool is_taken_away(const struct fate *f, const struct sighting *g)
{
    return f->kind == FATE_PENDING
               ? g->cut || g->gone
               : f->kind == FATE_UNMET && (g->cut || (g->gone && g->shard));
}

/* Places say how the sink was done with an event, the journal says whether it is: events
 * that the journal has lost are sent again. */
static void conclude(const struct told *t, const struct sighting *g, bool former,
                     bool skips, const struct doubt *doubt, struct fate *f)
{
    const struct fate *last = last_of(t);
    const bool gone = f->kind == FATE_UNMET && !g->seen;

    if (!f->known) { /* the stream does not lead to it any more */
        if (last->kind == FATE_CONFIRMED || last->kind == FATE_DEAD) {
            take(f, last);
        }
    } else if (f->kind == FATE_DEAD || f->kind == FATE_SKIPPED ||
               f->kind == FATE_LOST || f->kind == FATE_REFUSED) {
        if (t->apart.kind == f->kind) {
            take(f, &t->apart);
        }
    } else if ((f->kind == FATE_UNMET || f->kind == FATE_PENDING) &&
               is_elsewhere(t, g)) {
        f->kind = FATE_BEFORE;
        f->exact = true;
    } else if (is_taken_away(f, g) && t->apart.kind == FATE_BEFORE) {
        take(f, &t->apart); /* it came while the stream led elsewhere, and has gone */
    } else if (is_taken_away(f, g)) {
        /* As the sink will find it: it comes to the shard's end without it, or passes it. */
        f->kind = skips && !g->cut ? FATE_SKIPPED : FATE_LOST;
    } else if (f->kind == FATE_CONFIRMED && f->unsynced) {
        /* The next start looks whether the file still has it. */
        f->kind = FATE_PENDING;
        f->exact = false;
    } else if (f->kind == FATE_CONFIRMED || gone) {
        if (last->kind != FATE_UNMET) {
            take(f, last);
        } else if (f->file[0] == '\0') {
            f->kind = silent(t, g, gone, former, doubt);
            f->exact = f->kind == FATE_BEFORE || (f->exact && f->kind != FATE_SETTLED);
        }
    }
}

static void note_unread(struct fates *f, const char *sink, const char *why)
{
    f->unread = mem_realloc(f->unread, (f->n_unread + 1) * sizeof *f->unread);
    (void)snprintf(f->unread[f->n_unread++], sizeof *f->unread, "%s.journal: %.120s",
                   sink, why);
}

static void read_journal(struct fates *f, const char *spool, const char *sink,
                         const struct sighting *events, const struct roster *roster)
{
    struct reading d = {.events = events, .n = f->n_events};
    char path[PATH_MAX];
    struct doubt doubt = {.n = 0};
    struct err e;

    (void)snprintf(path, sizeof path, "%s/sinks/%s.journal", spool, sink);
    f->sinks = mem_realloc(f->sinks, (f->n_sinks + 1) * sizeof *f->sinks);
    f->list = mem_realloc(f->list, (size_t)(f->n_sinks + 1) * (f->n_events + 1) *
                                       sizeof *f->list);
    (void)snprintf(f->sinks[f->n_sinks], sizeof *f->sinks, "%s", sink);
    d.fates = f->list + (size_t)f->n_sinks * f->n_events;
    memset(d.fates, 0, f->n_events * sizeof *d.fates);
    d.told = mem_zalloc((d.n + 1) * sizeof *d.told);
    d.former = places_former(path);
    if (sink_journal_read(path, on_record, &d, &e) &&
        places_read(path, on_place, &d, &doubt, &e)) {
        f->n_sinks++;
        for (uint32_t i = 0; i < d.n; i++) {
            d.fates[i].unsynced &= d.restarted;
            conclude(&d.told[i], &events[i], d.former,
                     roster_skips(roster, events[i].stream, sink), &doubt, &d.fates[i]);
        }
    } else {
        note_unread(f, sink, e.text);
    }
    doubt_free(&doubt);
    free(d.told);
}

bool fates_read(const char *spool, const struct sighting *events, uint32_t n,
                struct fates *out, struct err *e)
{
    struct sink_names sinks;
    struct roster roster;
    struct err ignored; /* without it no sink is known to skip */

    *out = (struct fates){.n_events = n};
    if (!sink_names_read(&sinks, spool, e)) {
        return false;
    }
    (void)!roster_read(&roster, spool, &ignored);
    for (int i = 0; i < sinks.n; i++) {
        read_journal(out, spool, sinks.list[i]->d_name, events, &roster);
    }
    roster_free(&roster);
    sink_names_free(&sinks);
    return true;
}

const struct fate *fate_of(const struct fates *f, uint32_t sink, uint32_t event)
{
    return &f->list[(size_t)sink * f->n_events + event];
}

void fates_free(struct fates *f)
{
    free(f->sinks);
    free(f->list);
    free(f->unread);
    *f = (struct fates){.n_sinks = 0};
}

const char *fate_word(enum fate_kind kind)
{
    static const char *const words[] = {
        [FATE_UNMET] = "pending",   [FATE_PENDING] = "pending",
        [FATE_PLANNED] = "planned", [FATE_CONFIRMED] = "confirmed",
        [FATE_DEAD] = "dead",       [FATE_BEFORE] = "never_seen",
        [FATE_SKIPPED] = "skipped", [FATE_LOST] = "lost",
        [FATE_REFUSED] = "refused", [FATE_SETTLED] = "settled"};

    return words[kind];
}
