#include "cli/stored.h"

#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/err.h"
#include "base/mem.h"
#include "cli/unpack.h"
#include "spool/inspect.h"
#include "spool/spool.h"

enum { PART_BYTES = 1 << 20, PAD_BYTES = 64, NAME_MAX_BYTES = 256 };

struct reader {
    stored_fn *fn;
    void *arg;
    uint64_t before, total; /* bytes of the files before; of all */
    bool enough;
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
}

static bool on_block(void *arg, const struct spool_segment_info *i,
                     const struct spool_block *b)
{
    struct reader *r = arg;

    /* Dead letters were refused once and are no events. */
    if (strcmp(i->stream, STORED_DEAD) == 0) {
        return true;
    }
    r->enough = !r->fn(r->arg, &(struct stored_part){
                                   .stream = i->stream,
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

/* Hands the whole lines of g over; what is behind them moves to the front. */
static void hand_over(struct reader *r, struct page *g,
                      struct stored_part *part, bool last)
{
    size_t n;

    if (last && g->n > 0 && g->p[g->n - 1] != '\n') {
        g->p[g->n++] = '\n'; /* the pad has room */
    }
    n = whole_lines(g->p, g->n);
    if (n > 0) {
        part->lines = (struct str){g->p, n};
        r->enough = !r->fn(r->arg, part);
        memmove(g->p, g->p + n, g->n - n);
        g->n -= n;
    }
}

static bool read_file(const char *path, struct reader *r, struct err *e)
{
    char name[NAME_MAX_BYTES];
    struct stat st;
    struct unpack *u = unpack_open(path, e);
    struct stored_part part = {.stream = stream_of(path, name),
                               .total = r->total};
    struct page g = {NULL, 0, 0};
    ssize_t n = 1;

    if (u == NULL) {
        return false;
    }
    part.time_ms = stat(path, &st) != 0 ? 0
                                        : (int64_t)st.st_mtim.tv_sec * 1000 +
                                              st.st_mtim.tv_nsec / 1000000;
    grow(&g, PART_BYTES);
    while (n > 0 && !r->enough) {
        if (g.n == g.room) {
            grow(&g, 2 * g.room); /* a line longer than a part */
        }
        n = unpack_read(u, g.p + g.n, g.room - g.n, e);
        if (n >= 0) {
            g.n += (size_t)n;
            part.done = r->before + unpack_position(u);
            hand_over(r, &g, &part, n == 0);
        }
    }
    r->before += unpack_position(u);
    free(g.p);
    unpack_close(u);
    return n >= 0;
}

static bool is_archive(const char *name)
{
    static const char *const tails[] = {".ndjson", ".ndjson.gz", ".ndjson.zst",
                                        ".gz", ".zst"};
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
                 : err_set(e, "%s: no spool (it has no EPOCH) and no archive "
                              "(no .ndjson, .gz or .zst file)", dir);
}

bool stored_read(const char *path, stored_fn *fn, void *arg, struct err *e)
{
    struct reader r = {.fn = fn, .arg = arg};
    char epoch[PATH_MAX];
    struct stat st;

    (void)snprintf(epoch, sizeof epoch, "%s/EPOCH", path);
    if (access(epoch, F_OK) == 0) {
        return read_spool(path, &r, e);
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
