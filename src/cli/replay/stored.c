#include "cli/replay/stored.h"

#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/err.h"
#include "base/folder.h"
#include "base/mem.h"
#include "cli/replay/refused_lines.h"
#include "cli/replay/unpack.h"
#include "delivery/letters.h"
#include "spool/inspect.h"
#include "spool/spool.h"

enum { PART_BYTES = 1 << 20, PAD_BYTES = 64, NAME_MAX_BYTES = 256 };

/* The stream of the dead letters. */
static const char DEAD[] = "dead";

struct reader {
    stored_fn *fn;
    void *arg;
    uint64_t before, total; /* bytes of the files before; of all */
    uint64_t unread;        /* segments of a spool that can't be read whole */
    bool enough;
    struct letters *letters; /* of a file with dead letters */
    char *events;            /* in them */
    size_t events_room;
};

/* ---- a spool ---- */

static void on_size(void *arg, const struct spool_segment_info *i)
{
    uint64_t *total = arg;

    *total += i->first == 0 ? 0 : i->size;
}

static void on_segment(void *arg, const struct spool_segment_info *i)
{
    struct reader *r = arg;

    r->before += i->first == 0 ? 0 : i->size;
    r->unread += strcmp(i->stream, DEAD) != 0 && (i->error != 0 || i->n_damaged > 0);
}

static bool on_block(void *arg, const struct spool_segment_info *i,
                     const struct spool_block *b)
{
    struct reader *r = arg;

    /* They go on to files at once, where they are asked for by name. */
    if (strcmp(i->stream, DEAD) == 0) {
        return true;
    }
    r->enough =
        !r->fn(r->arg, &(struct stored_part){.stream = i->stream,
                                             .lines = {b->payload, b->payload_bytes},
                                             .time_ms = b->wall_ms,
                                             .done = r->before + i->bytes,
                                             .total = r->total});
    return !r->enough;
}

static bool read_spool(const char *dir, struct reader *r, struct err *e)
{
    const struct spool_visitor sizes = {
        .segment = on_size, .arg = &r->total, .quick = true};
    const struct spool_visitor blocks = {
        .segment = on_segment, .block = on_block, .arg = r};

    return spool_visit(dir, &sizes, e) && spool_visit(dir, &blocks, e);
}

/* ---- files ---- */

/* STREAM-UUID8-NUMBER.ndjson...: the stream. */
static const char *stream_of(const char *path, char out[NAME_MAX_BYTES])
{
    const char *slash = strrchr(path, '/');
    const char *name = slash == NULL ? path : slash + 1;
    const char *end = strstr(name, ".ndjson");
    const char *dash = NULL;
    int n_dashes = 0;

    for (const char *p = end == NULL ? name : end; p > name && n_dashes < 2; p--) {
        if (p[-1] == '-') {
            n_dashes++;
            dash = p - 1;
        }
    }
    if (n_dashes < 2 || dash == name || dash - name >= NAME_MAX_BYTES) {
        return NULL;
    }
    (void)snprintf(out, NAME_MAX_BYTES, "%.*s", (int)(dash - name), name);
    return out;
}

/* The files of dead letters: of hooks, in the archive's way, and of sinks, as
 * sink-NAME.ndjson. A stream named "sink" has a UUID and a number after it. */
static bool has_letters(const char *path, const char *stream)
{
    const char *slash = strrchr(path, '/');
    const char *name = slash == NULL ? path : slash + 1;
    unsigned uuid, number;
    int n = 0;

    if (stream != NULL && strcmp(stream, DEAD) == 0) {
        return true;
    }
    return strncmp(name, "sink-", 5) == 0 &&
           !(sscanf(name + 5, "%8x-%8u.ndjson%n", &uuid, &number, &n) == 2 && n > 0);
}

/* Where the last whole line of p[0..n) ends; 0: there is none. */
static size_t whole_lines(const char *p, size_t n)
{
    const char *nl = memrchr(p, '\n', n);

    return nl == NULL ? 0 : (size_t)(nl - p) + 1;
}

struct page {
    char *p;
    size_t n, room;
};

static void grow(struct page *g, size_t room)
{
    g->p = mem_realloc(g->p, room + PAD_BYTES);
    g->room = room;
}

/* A run of letters with one stream, reason and time. */
struct run {
    char stream[NAME_MAX_BYTES], reason[NAME_MAX_BYTES];
    int64_t time_ms;
    size_t n; /* bytes of r->events */
};

static void end_run(struct reader *r, struct run *run, const struct stored_part *part)
{
    if (run->n > 0 && !r->enough) {
        struct stored_part p = *part;

        p.stream = run->stream[0] == '\0' ? NULL : run->stream;
        p.reason = run->reason;
        p.time_ms = run->time_ms;
        p.lines = (struct str){r->events, run->n};
        r->enough = !r->fn(r->arg, &p);
    }
    run->n = 0;
}

static void begin_run(struct run *run, const struct letter *l)
{
    (void)snprintf(run->stream, sizeof run->stream, "%.*s", (int)l->stream.n,
                   l->stream.n == 0 ? "" : l->stream.p);
    (void)snprintf(run->reason, sizeof run->reason, "%.*s", (int)l->reason.n,
                   l->reason.n == 0 ? "" : l->reason.p);
    run->time_ms = (int64_t)l->time_ms;
}

static bool same_run(const struct run *run, const struct letter *l)
{
    return str_eq(str_of(run->stream), l->stream) &&
           str_eq(str_of(run->reason), l->reason) &&
           run->time_ms == (int64_t)l->time_ms;
}

/* A line among letters that is none: a refusal is handed over as it is. */
static void open_refusal(struct reader *r, struct run *run,
                         const struct stored_part *part, struct str line)
{
    if (!refused_lines_is(line)) {
        return;
    }
    end_run(r, run, part);
    run->stream[0] = run->reason[0] = '\0';
    memcpy(r->events, line.p, line.n);
    run->n = line.n;
    r->events[run->n++] = '\n';
    end_run(r, run, part);
}

/* The events in a part of dead letters; a line that is not a letter is skipped. */
static void open_letters(struct reader *r, const struct stored_part *part)
{
    struct run run = {.n = 0};
    struct letter l;
    uint32_t n;

    if (r->events_room < part->lines.n + PAD_BYTES) {
        r->events_room = part->lines.n + PAD_BYTES;
        r->events = mem_realloc(r->events, r->events_room);
    }
    n = letters_scan(r->letters, part->lines);
    for (uint32_t i = 0; i < n; i++) {
        if (!letters_get(r->letters, i, &l)) {
            open_refusal(r, &run, part, letters_line(r->letters, i));
            continue;
        }
        if (!same_run(&run, &l)) {
            end_run(r, &run, part);
            begin_run(&run, &l);
        }
        memcpy(r->events + run.n, l.event.p, l.event.n);
        run.n += l.event.n;
        r->events[run.n++] = '\n';
    }
    end_run(r, &run, part);
}

/* Hands the whole lines of g over; the bytes after them move to the front. */
static void hand_over(struct reader *r, struct page *g, struct stored_part *part,
                      bool last)
{
    size_t n;

    if (last && g->n > 0 && g->p[g->n - 1] != '\n') {
        g->p[g->n++] = '\n'; /* the pad has room */
    }
    n = whole_lines(g->p, g->n);
    if (n > 0) {
        part->lines = (struct str){g->p, n};
        if (r->letters != NULL) {
            open_letters(r, part);
        } else {
            r->enough = !r->fn(r->arg, part);
        }
        memmove(g->p, g->p + n, g->n - n);
        g->n -= n;
    }
}

static bool read_file(const char *path, struct reader *r, struct err *e)
{
    char name[NAME_MAX_BYTES];
    struct stat st;
    struct unpack *u = unpack_open(path, e);
    struct stored_part part = {.stream = stream_of(path, name), .total = r->total};
    struct page g = {NULL, 0, 0};
    /* Of a file that grows the last line may be on its way. */
    const bool grows =
        strlen(path) > 5 && strcmp(path + strlen(path) - 5, ".part") == 0;
    ssize_t n = 1;

    if (u == NULL) {
        return false;
    }
    part.time_ms = stat(path, &st) != 0 ? 0
                                        : (int64_t)st.st_mtim.tv_sec * 1000 +
                                              st.st_mtim.tv_nsec / 1000000;
    if (has_letters(path, part.stream)) {
        r->letters = letters_new(e);
    }
    grow(&g, PART_BYTES);
    while (n > 0 && !r->enough) {
        if (g.n == g.room) {
            grow(&g, 2 * g.room); /* a line longer than a part */
        }
        n = unpack_read(u, g.p + g.n, g.room - g.n, e);
        if (n >= 0) {
            g.n += (size_t)n;
            part.done = r->before + unpack_position(u);
            hand_over(r, &g, &part, n == 0 && !grows);
        }
    }
    r->before += unpack_position(u);
    letters_close(r->letters);
    r->letters = NULL;
    free(r->events);
    r->events = NULL;
    r->events_room = 0;
    free(g.p);
    unpack_close(u);
    return n >= 0;
}

static bool is_archive(const char *name)
{
    static const char *const tails[] = {
        ".ndjson",         ".gz", ".zst", ".ndjson.part", ".ndjson.gz.part",
        ".ndjson.zst.part"};
    size_t n = strlen(name);

    for (size_t i = 0; i < N_ELEMS(tails); i++) {
        size_t k = strlen(tails[i]);

        if (n > k && strcmp(name + n - k, tails[i]) == 0) {
            return true;
        }
    }
    return false;
}

static int on_entry(const struct dirent *d)
{
    return is_archive(d->d_name);
}

static bool read_folder(const char *dir, struct reader *r, struct err *e)
{
    struct dirent **list;
    int n = scandir(dir, &list, on_entry, versionsort);
    bool ok = true;

    if (n < 0) {
        return err_errno(e, errno, "%s", dir);
    }
    for (int pass = 0; pass < 2; pass++) {
        for (int i = 0; i < n && ok && !r->enough; i++) {
            char path[PATH_MAX];
            struct stat st;

            (void)snprintf(path, sizeof path, "%s/%s", dir, list[i]->d_name);
            if (pass == 1) {
                ok = read_file(path, r, e);
            } else if (stat(path, &st) == 0) {
                r->total += (uint64_t)st.st_size;
            }
        }
    }
    for (int i = 0; i < n; i++) {
        free(list[i]);
    }
    free(list);
    return n > 0 ? ok
                 : err_set(e,
                           "%s is neither a spool (no file EPOCH) nor an archive "
                           "(no .ndjson, .gz or .zst file)",
                           dir);
}

bool stored_read(const char *path, stored_fn *fn, void *arg, uint64_t *unread,
                 struct err *e)
{
    struct reader r = {.fn = fn, .arg = arg};
    char epoch[PATH_MAX];
    struct stat st;
    int there;

    *unread = 0;
    (void)snprintf(epoch, sizeof epoch, "%s/EPOCH", path);
    there = path_there(epoch);
    if (there < 0) {
        return err_errno(e, errno, "%s", epoch);
    }
    if (there == 1) {
        bool ok = read_spool(path, &r, e);

        *unread = r.unread;
        return ok;
    }
    if (stat(path, &st) != 0) {
        return err_errno(e, errno, "%s", path);
    }
    if (S_ISDIR(st.st_mode)) {
        return read_folder(path, &r, e);
    }
    r.total = (uint64_t)st.st_size;
    return read_file(path, &r, e);
}
