#include "cli/find/sightings.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "base/mem.h"
#include "cli/find/beyond.h"
#include "cli/find/id_scan.h"
#include "cli/find/index_list.h"
#include "cli/find/segments_seen.h"
#include "cli/find/streams.h"
#include "index/reader.h"
#include "spool/inspect.h"
#include "spool/spool.h"

enum { TRIES = 4 };

struct search {
    const struct sightings_wanted *want;
    struct sightings *out;
    struct index_lists indexes; /* by stream, as looked */
    struct segments_seen segments;
    struct id_scan **scans; /* by stream; NULL: no path of its ids is known */
    struct beyond beyond;   /* of those streams that were there first */
    uint64_t print;
    uint32_t epoch;   /* of the last process, when the search began */
    int64_t epoch_ms; /* when that began; INT64_MAX: not known */
    uint32_t stream;  /* that is searched */
    const struct index_file *file;
};

/* The sighting of that event of the stream that is searched; NULL: there are too many.
 * counted: the index has named it. */
static struct sighting *add(struct search *s, uint32_t epoch, uint32_t worker,
                            uint64_t seq, bool counted)
{
    return sightings_add(s->out, s->out->looked[s->stream].stream, epoch, worker, seq,
                         counted);
}

/* ---- the streams, and their segments ---- */

static bool is_wanted(const struct search *s, const char *stream)
{
    return (s->want->stream == NULL ? strcmp(stream, "dead") != 0
                                    : strcmp(s->want->stream, stream) == 0);
}

static void on_listed(void *arg, const struct spool_segment_info *i)
{
    struct search *s = arg;
    uint32_t stream;

    if (!is_wanted(s, i->stream) || (i->first == 0 && !spool_segment_is_bad(i))) {
        return;
    }
    stream = sightings_stream(s->out, i->stream);
    if (i->first == 0) {
        s->out->looked[stream].n_unread++;
        return;
    }
    s->out->looked[stream].any = true;
    segments_seen_add(&s->segments, stream, i);
}

static bool list_segments(struct search *s, struct err *e)
{
    const struct spool_visitor v = {.segment = on_listed, .arg = s, .quick = true};

    s->segments.n = 0;
    s->epoch = index_list_epoch(s->want->dir);
    s->epoch_ms = streams_epoch_ms(s->want->dir);
    return spool_visit(s->want->dir, &v, e);
}

/* Those whose segments are all gone, too. */
static void on_stream(void *arg, const char *name, int64_t left_ms)
{
    struct search *s = arg;

    if (is_wanted(s, name)) {
        const uint32_t i = sightings_stream(s->out, name); /* may move them */

        s->out->looked[i].left_ms = left_ms;
    }
}

/* ---- the index ---- */

static bool on_hit(void *arg, uint64_t seq)
{
    struct search *s = arg;
    const struct index_head *h = &s->file->head;
    const struct index_row *row = index_row_of(s->file, seq);
    struct sighting *g;

    if (row != NULL && row->wall_ms + h->step_ms <= s->want->since_ms) {
        return true;
    }
    g = add(s, h->epoch, h->worker, seq, false);
    if (g != NULL) {
        g->indexed = true;
        g->wall_ms = row == NULL ? 0 : row->wall_ms;
        g->step_ms = h->step_ms;
        g->policy8 = row == NULL ? 0 : row->policy8;
    }
    return true;
}

static bool on_any(void *arg, uint64_t seq)
{
    bool *any = arg;

    (void)seq;
    *any = true;
    return false;
}

/* A file is read whole only where it has a hit: its rows are the larger part. */
static bool on_file(void *arg, struct index_file *f)
{
    struct search *s = arg;
    bool any = false;
    struct err e;

    s->file = f;
    /* Of an older sluice: the time of the last row, which has later events. */
    if (f->head.n_events > 0 &&
        f->head.newest_ms + f->head.step_ms <= s->want->since_ms) {
        return true;
    }
    return index_find(f, s->print, on_any, &any, &e) &&
           (!any || (index_rows(f, &e) && index_find(f, s->print, on_hit, s, &e)));
}

static bool search_index(struct search *s, struct err *e)
{
    for (uint32_t i = 0; i < s->out->n_looked; i++) {
        struct looked *l = &s->out->looked[i];
        struct index_list *list = index_lists_add(&s->indexes);
        const uint64_t more = s->out->more;

        s->stream = i;
        if (!index_list_read(list, s->want->dir, l->stream, &s->print, on_file, s, e)) {
            return false;
        }
        if (s->want->field != NULL &&
            index_list_field(list, s->want->field) == list->n_fields) {
            /* Ids at another path: it is searched as a stream without an index. */
            sightings_forget(s->out, l->stream, more);
            index_list_free(list);
            *list = (struct index_list){.n = 0};
            continue;
        }
        l->n_files = list->n;
        l->n_damaged = list->n_damaged;
        l->n_events = list->n_events;
        l->n_unknown = list->n_lost;
        l->oldest_ms = list->oldest_ms;
        l->newest_ms = list->newest_ms;
        if (list->n_fields > 0) {
            l->indexed = true;
            (void)snprintf(l->field, sizeof l->field, "%s", list->fields[0]);
        }
    }
    return true;
}

/* ---- bytes ---- */

/* Whether the segment has a sighting, or events that no index file covers. */
static bool wants(const struct search *s, const struct segment_seen *g)
{
    const struct sighting_run r = {s->out->looked[g->stream].stream, g->epoch,
                                   g->worker, g->first, g->end};

    return sightings_next(s->out, &r) < g->end ||
           (s->scans[g->stream] != NULL &&
            index_list_covered(&s->indexes.list[g->stream], g->epoch, g->worker,
                               g->first) < g->end);
}

static struct segment_seen *segment_of(struct search *s,
                                       const struct spool_segment_info *i)
{
    const uint32_t stream = sightings_stream_at(s->out, i->stream);

    return stream == s->out->n_looked ? NULL
                                      : segments_seen_find(&s->segments, stream, i);
}

static bool on_wanted(void *arg, const struct spool_segment_info *i)
{
    struct search *s = arg;
    struct segment_seen *g = segment_of(s, i);

    if (g != NULL && g->wanted) {
        g->read = true;
        return true;
    }
    return false;
}

/* Events of b with the id. */
static void match(struct search *s, const struct spool_segment_info *i,
                  const struct spool_block *b)
{
    struct id_scan *scan = s->scans[s->stream];
    uint32_t k;

    if (b->wall_ms < s->want->since_ms || scan == NULL) {
        return;
    }
    id_scan_begin(scan, b);
    while (id_scan_next(scan, &k)) {
        const uint64_t seq = b->first + k;
        struct sighting *g = add(s, i->epoch, i->worker, seq,
                                 index_list_covered(&s->indexes.list[s->stream],
                                                    i->epoch, i->worker, seq) > seq);

        if (g != NULL) {
            sightings_see(g, i, b, k);
        }
    }
}

static bool on_block(void *arg, const struct spool_segment_info *i,
                     const struct spool_block *b)
{
    const struct sighting_run read = {i->stream, i->epoch, i->worker, b->first,
                                      b->first + b->n};
    struct search *s = arg;
    struct segment_seen *seg = segment_of(s, i);

    if (seg == NULL) {
        return true;
    }
    seg->from_ms = seg->read_end == 0 ? b->wall_ms : seg->from_ms;
    seg->read_end = b->first + b->n;
    s->stream = seg->stream;
    s->out->looked[s->stream].n_read += b->n;
    match(s, i, b);
    sightings_drop_unseen(s->out, &read);
    return true;
}

/* No client was promised them, and no sink gets them. */
static void on_refused(void *arg, const struct spool_segment_info *i, uint64_t first,
                       uint64_t end)
{
    struct search *s = arg;
    struct segment_seen *g = segment_of(s, i);

    if (g != NULL) {
        g->read_end = end;
        s->out->looked[g->stream].n_refused += end - first;
    }
}

/* After its blocks: what of them could not be read. */
static void on_read(void *arg, const struct spool_segment_info *i)
{
    struct search *s = arg;
    struct segment_seen *g = segment_of(s, i);

    if (g != NULL && g->wanted) {
        g->read = g->read && !i->reused;
        g->next = i->error == 0 ? i->next : 0;
        s->out->looked[g->stream].n_unknown += i->lost;
        s->out->looked[g->stream].n_unread += i->error != 0;
    }
}

/* Blocks that the index covers need not be read, up to an event that it names. */
static uint64_t on_covered(void *arg, const struct spool_segment_info *i, uint64_t from)
{
    const struct search *s = arg;
    const struct segment_seen *g = segment_of(arg, i);
    uint64_t to;

    if (g == NULL) {
        return from;
    }
    to = index_list_covered(&s->indexes.list[g->stream], i->epoch, i->worker, from);
    return sightings_next(
        s->out, &(struct sighting_run){i->stream, i->epoch, i->worker, from, to});
}

/* False: a segment went away meanwhile; *e is empty then. */
static bool read_bytes(struct search *s, struct err *e)
{
    const struct spool_visitor v = {.segment = on_read,
                                    .block = on_block,
                                    .wants = on_wanted,
                                    .covered = on_covered,
                                    .refused = on_refused,
                                    .arg = s};
    bool all = true, any = false;

    for (uint32_t i = 0; i < s->segments.n; i++) {
        s->segments.list[i].wanted = wants(s, &s->segments.list[i]);
        any |= s->segments.list[i].wanted;
    }
    if (any && !spool_visit(s->want->dir, &v, e)) {
        return false;
    }
    for (uint32_t i = 0; i < s->segments.n; i++) {
        all &= !s->segments.list[i].wanted || s->segments.list[i].read;
    }
    e->text[0] = '\0';
    return all;
}

/* By the paths of the stream's ids, now and before. */
static bool open_scans(struct search *s, struct err *e)
{
    s->scans = mem_zalloc((s->out->n_looked + 1) * sizeof(struct id_scan *));
    for (uint32_t i = 0; i < s->out->n_looked; i++) {
        const struct index_list *list = &s->indexes.list[i];
        const char(*paths)[512] = list->fields;
        struct looked *l = &s->out->looked[i];
        uint32_t n = list->n_fields;

        if (n == 0 && s->want->field != NULL) {
            (void)snprintf(l->field, sizeof l->field, "%s", s->want->field);
            paths = (const char(*)[512]) & l->field;
            n = 1;
        }
        s->scans[i] = n == 0 ? NULL : id_scan_new(s->want->id, paths, n, e);
        if (n > 0 && s->scans[i] == NULL) {
            return false;
        }
    }
    return true;
}

/* They came before all that the spool has of their shard. */
static void find_let_go(struct search *s)
{
    for (uint32_t i = 0; i < s->out->n; i++) {
        struct sighting *g = &s->out->list[i];
        const uint32_t k = sightings_stream_at(s->out, g->stream);
        const uint64_t first =
            segments_seen_first(&s->segments, k, g->epoch, g->worker);

        g->shard = first != 0;
        g->gone = s->out->looked[k].n_unread == 0 &&
                  (g->shard ? g->seq < first : g->epoch < s->epoch);
    }
}

/* The index has events after the end of a shard that no process writes to any more: a
 * power cut took their bytes. */
static void find_cut(struct search *s)
{
    for (uint32_t i = 0; i < s->segments.n; i++) {
        const struct segment_seen *g = &s->segments.list[i];
        const struct looked *l = &s->out->looked[g->stream];

        if (g->end == UINT64_MAX && g->epoch < s->epoch && g->next > 0 &&
            l->n_unread == 0) {
            sightings_cut(s->out, l->stream, g->epoch, g->worker, g->next);
        }
    }
}

static void count_unknown(struct search *s)
{
    struct index_run *runs = mem_alloc((s->segments.n + 1) * sizeof *runs);

    for (uint32_t i = 0; i < s->out->n_looked; i++) {
        uint32_t n = 0;

        for (uint32_t k = 0; k < s->segments.n; k++) {
            const struct segment_seen *g = &s->segments.list[k];

            if (g->stream == i) {
                const uint64_t end = !g->apart         ? g->end
                                     : g->read_end > 0 ? g->read_end
                                                       : g->first;

                runs[n++] = (struct index_run){g->epoch, g->worker, g->first, end};
            }
        }
        holes_close(&s->indexes.list[i], runs, n);
        holes_of(&s->indexes.list[i], runs, n, s->want->since_ms, INT64_MAX,
                 &s->out->looked[i].holes);
        s->out->looked[i].n_unknown += s->out->looked[i].holes.n_events;
        s->out->looked[i].n_damaged += index_list_missing(&s->indexes.list[i], runs, n);
    }
    free(runs);
}

/* Of the stream that is searched, after all that was found of the shard. */
static uint64_t end_of(void *arg, uint32_t epoch, uint32_t worker)
{
    const struct search *s = arg;
    const uint64_t end = segments_seen_end(&s->segments, s->stream, epoch, worker),
                   indexed = index_list_end(&s->indexes.list[s->stream], epoch, worker,
                                            s->want->since_ms);

    return end == UINT64_MAX ? 0 : end > indexed ? end : indexed;
}

/* Events that were there once: of streams without an index those of earlier processes, or in
 * segments that are gone; of all streams those that a sink had, at least. */
static void find_gone(struct search *s)
{
    for (uint32_t i = 0; i < s->out->n_looked; i++) {
        struct looked *l = &s->out->looked[i];

        l->left =
            !l->indexed &&
            ((l->left_ms != 0 ? l->left_ms > s->want->since_ms
                              : s->epoch != 1 && s->epoch_ms > s->want->since_ms) ||
             segments_seen_left(&s->segments, i, s->want->since_ms));
        s->stream = i;
        if (i < s->beyond.n_streams) { /* else it has come meanwhile */
            l->n_unknown += beyond_count_of(&s->beyond, i, end_of, s);
        }
    }
}

/* Before the segments are listed: what a sink is done with is in one of them then. */
static bool read_beyond(struct search *s, struct err *e)
{
    const char *dir = s->want->dir, **names;
    bool ok =
        list_segments(s, e) && streams_visit(dir, on_stream, s, &s->out->lost_ms, e);

    names = mem_alloc((s->out->n_looked + 1) * sizeof *names);
    for (uint32_t i = 0; i < s->out->n_looked; i++) {
        names[i] = s->out->looked[i].stream;
        s->out->looked[i].n_unread = 0;
    }
    ok = ok && beyond_read(dir, names, s->out->n_looked, &s->beyond, e);
    free(names);
    return ok;
}

/* ---- the whole ---- */

static void close_search(struct search *s)
{
    for (uint32_t i = 0; s->scans != NULL && i < s->out->n_looked; i++) {
        struct looked *l = &s->out->looked[i];

        l->strange = index_list_strange(&s->indexes.list[i], s->scans[i]);
        id_scan_free(s->scans[i]);
    }
    beyond_free(&s->beyond);
    free(s->scans);
    index_lists_free(&s->indexes);
    segments_seen_free(&s->segments);
    *s = (struct search){.want = s->want, .out = s->out, .print = s->print};
}

/* Segments before index files: an event that leaves its segment is in a file by then. */
static bool try_once(struct search *s, struct err *e)
{
    bool ok = read_beyond(s, e) && list_segments(s, e) && search_index(s, e) &&
              open_scans(s, e) && read_bytes(s, e);

    if (ok) {
        find_cut(s);
        find_let_go(s);
        find_gone(s);
        count_unknown(s);
    }
    close_search(s);
    return ok;
}

bool sightings_find(const struct sightings_wanted *w, struct sightings *out,
                    struct err *e)
{
    struct search s = {.want = w, .out = out, .print = index_print(w->id.p, w->id.n)};
    bool ok = false;

    for (int i = 0; !ok && i < TRIES; i++) {
        sightings_free(out);
        sightings_begin(out);
        (void)err_set(e, "%s", "");
        ok = try_once(&s, e);
        if (!ok && e->text[0] != '\0') {
            return false;
        }
    }
    sightings_sort(out);
    if (ok && w->stream != NULL && out->n_looked == 0) {
        return err_set(e,
                       "%s: no stream \"%s\" has events or an index here: sluice "
                       "inspect names those that have",
                       w->dir, w->stream);
    }
    return ok ||
           err_set(e, "%s: segments went away while they were read; try again", w->dir);
}
