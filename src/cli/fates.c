#include "cli/fates.h"

#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "base/mem.h"
#include "base/text.h"
#include "journal/journal.h"

static const char TAIL[] = ".journal";

struct reading {
    const struct sighting *events;
    uint32_t n;
    struct fate *fates; /* of this sink */
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
        memcpy(f->file, name, sizeof f->file);
    } else if (f->file[0] != '\0' && strcmp(name, f->file) == 0 &&
               r->value < f->file_end) {
        /* A power cut took the bytes: they are written again. */
        f->kind = FATE_PENDING;
        f->exact = false;
        f->file[0] = '\0';
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
        on_file(r, g, f);
        break;
    case RECORD_DONE:
    case RECORD_DEAD:
    case RECORD_SKIP:
        if (names(r, g)) {
            f->kind =
                r->type == RECORD_SKIP && r->value != 0 ? FATE_LOST : ends[r->type];
            f->exact = true;
        }
        break;
    default:
        break;
    }
}

static void on_record(void *arg, const struct record *r)
{
    struct reading *d = arg;

    for (uint32_t i = 0; i < d->n; i++) {
        if (str_eq(r->stream, str_of(d->events[i].stream))) {
            on_event(r, &d->events[i], &d->fates[i]);
        }
    }
}

/* Events that the sink passed over, or before which it began. */
static void on_passed(const struct record *r, const struct sighting *g, struct fate *f)
{
    if (!str_eq(r->stream, str_of(g->stream)) || r->n_ranges == 0) {
        return;
    }
    if (r->type == RECORD_SKIP && names(r, g)) {
        f->kind = r->value == 0 ? FATE_SKIPPED : FATE_LOST;
        f->exact = true;
        f->time_ms = r->time_ms;
    } else if (r->type == RECORD_START && r->ranges[0].epoch == g->epoch &&
               r->ranges[0].worker == g->worker && g->seq < r->ranges[0].first &&
               !f->exact) {
        f->kind = FATE_BEFORE;
        f->exact = true;
    }
}

/* The record of places: later than the journal's own words, and more exact. */
static void on_place(void *arg, const struct record *r)
{
    struct reading *d = arg;

    for (uint32_t i = 0; i < d->n; i++) {
        const struct sighting *g = &d->events[i];
        struct fate *f = &d->fates[i];

        if (r->type == RECORD_START || r->type == RECORD_SKIP) {
            on_passed(r, g, f);
            continue;
        }
        if ((r->type != RECORD_DONE && r->type != RECORD_DEAD) ||
            !str_eq(r->stream, str_of(d->events[i].stream)) ||
            !names(r, &d->events[i])) {
            continue;
        }
        f->known = f->exact = true;
        f->kind = r->type == RECORD_DEAD ? FATE_DEAD : FATE_CONFIRMED;
        f->batch = r->value;
        f->time_ms = r->time_ms;
        (void)text_z(TEXT_LINE, r->id, f->place, sizeof f->place);
    }
}

/* A file of places that is not there is fine, as is one that is damaged: its whole
 * records are read. */
static void read_places(struct reading *d, const char *dir, int n, const char *name,
                        const char *tail)
{
    struct journal_scan scan;
    char path[PATH_MAX];
    struct err e;

    (void)snprintf(path, sizeof path, "%s/%.*s%s", dir, n, name, tail);
    (void)!journal_scan(path, on_place, d, &scan, &e);
}

/* The journal has forgotten a shard whose segments are gone: the sink is done with it. */
static void conclude(struct reading *d)
{
    for (uint32_t i = 0; i < d->n; i++) {
        struct fate *f = &d->fates[i];

        if (f->kind == FATE_UNMET && f->known && !d->events[i].seen) {
            f->kind = FATE_CONFIRMED;
        }
    }
}

/* What has no record of its place may be one whose record was dropped: a journal that was
 * written anew counts the dead among the done. */
static void doubt(struct reading *d, int64_t cut_ms)
{
    for (uint32_t i = 0; i < d->n; i++) {
        struct fate *f = &d->fates[i];

        if (f->kind == FATE_CONFIRMED && f->time_ms == 0 && f->file[0] == '\0' &&
            d->events[i].wall_ms <= cut_ms) {
            f->kind = FATE_SETTLED;
            f->exact = false;
        }
    }
}

static void note_unread(struct fates *f, const char *name, const char *why)
{
    f->unread = mem_realloc(f->unread, (f->n_unread + 1) * sizeof *f->unread);
    (void)snprintf(f->unread[f->n_unread++], sizeof *f->unread, "%s: %.120s", name,
                   why);
}

static void read_journal(struct fates *f, const char *dir, const char *name,
                         const struct sighting *events)
{
    struct reading d = {.events = events, .n = f->n_events};
    const int n = (int)(strlen(name) - strlen(TAIL));
    struct journal_scan scan;
    char path[PATH_MAX];
    struct err e;
    int64_t cut_ms;

    (void)snprintf(path, sizeof path, "%s/%s", dir, name);
    f->sinks = mem_realloc(f->sinks, (f->n_sinks + 1) * sizeof *f->sinks);
    f->list = mem_realloc(f->list, (size_t)(f->n_sinks + 1) * (f->n_events + 1) *
                                       sizeof *f->list);
    (void)snprintf(f->sinks[f->n_sinks], sizeof *f->sinks, "%.*s", n, name);
    d.fates = f->list + (size_t)f->n_sinks * f->n_events;
    memset(d.fates, 0, f->n_events * sizeof *d.fates);
    if (journal_scan(path, on_record, &d, &scan, &e)) {
        f->n_sinks++;
        conclude(&d);
        read_places(&d, dir, n, name, PLACES_APART_OLD_TAIL);
        read_places(&d, dir, n, name, PLACES_APART_TAIL);
        read_places(&d, dir, n, name, PLACES_OLD_TAIL);
        read_places(&d, dir, n, name, PLACES_TAIL);
        cut_ms = places_cut_ms(path);
        if (cut_ms != 0) {
            doubt(&d, cut_ms);
        }
    } else {
        note_unread(f, name, e.text);
    }
}

static int is_journal(const struct dirent *d)
{
    const size_t n = strlen(d->d_name);

    return n > strlen(TAIL) && strcmp(d->d_name + n - strlen(TAIL), TAIL) == 0;
}

bool fates_read(const char *spool, const struct sighting *events, uint32_t n,
                struct fates *out, struct err *e)
{
    struct dirent **list = NULL;
    char dir[PATH_MAX];
    int n_names;

    *out = (struct fates){.n_events = n};
    (void)snprintf(dir, sizeof dir, "%s/sinks", spool);
    n_names = scandir(dir, &list, is_journal, alphasort);
    if (n_names < 0) {
        return errno == ENOENT || err_errno(e, errno, "%s", dir);
    }
    for (int i = 0; i < n_names; i++) {
        read_journal(out, dir, list[i]->d_name, events);
        free(list[i]);
    }
    free(list);
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
        [FATE_SETTLED] = "settled"};

    return words[kind];
}
