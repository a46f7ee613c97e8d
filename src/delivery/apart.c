/* What the places of a sink say, read again: by its delivery after a crash, and by the
 * commands for people. */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/attr.h"
#include "base/clock.h"
#include "base/err.h"
#include "base/mem.h"
#include "base/read.h"
#include "delivery/places.h"

static const char JOURNAL_TAIL[] = ".journal";

static void path_of(const char *journal_path, const char *tail, char out[PATH_MAX])
{
    const size_t n = strlen(journal_path) - strlen(JOURNAL_TAIL);

    (void)snprintf(out, PATH_MAX, "%.*s%s", (int)n, journal_path, tail);
}

/* Whether all that is damaged is a last record that a crash cut, or zeros that a power cut
 * left in its place: no other record was there. */
static bool is_torn(int fd, const struct journal_scan *s)
{
    unsigned char bytes[RECORD_BYTES_MAX];
    struct batch_range ranges[RECORD_RANGES_MAX];
    const bool last =
        s->damaged_places == 1 && s->first_damage + s->damaged_bytes == s->bytes;
    const ssize_t n = last ? read_at(fd, bytes, sizeof bytes, s->first_damage) : 0;
    struct record r;
    ssize_t zeros = 0;
    size_t size;

    while (zeros < n && bytes[zeros] == 0) {
        zeros++;
    }
    return n > 0 && (zeros == n || record_decode(bytes, (size_t)n, &r, ranges, &size) ==
                                       RECORD_SHORT);
}

/* ---- what a crash left unnoted ---- */

/* Events that the journal says are apart. */
struct unnoted {
    char stream[72];
    struct batch_range range;
    enum record_type type;
    uint64_t value;
    bool noted;
};

struct mending {
    struct places *places;
    struct doubt reached; /* where the journal stands */
    struct unnoted *list; /* in order, once the journal is read */
    uint32_t n, room;
};

static int by_place(const void *a, const void *b)
{
    const struct unnoted *x = a, *y = b;
    const struct batch_range *p = &x->range, *q = &y->range;
    const int stream = strcmp(x->stream, y->stream);

    return stream != 0              ? stream
           : p->epoch != q->epoch   ? (p->epoch < q->epoch ? -1 : 1)
           : p->worker != q->worker ? (p->worker < q->worker ? -1 : 1)
                                    : (p->first > q->first) - (p->first < q->first);
}

static struct unnoted key_of(const struct record *r, uint32_t i)
{
    struct unnoted u = {.range = r->ranges[i], .type = r->type};

    (void)snprintf(u.stream, sizeof u.stream, "%.*s", (int)r->stream.n, r->stream.p);
    u.value = r->type == RECORD_SKIP ? r->value : 0;
    return u;
}

static bool is_apart(const struct record *r)
{
    return r->type == RECORD_DEAD || r->type == RECORD_SKIP;
}

static void on_journal(void *arg, const struct record *r)
{
    struct mending *m = arg;

    for (uint32_t i = 0; r->stream.n > 0 && i < r->n_ranges; i++) {
        /* Other shards of the epoch may have left the journal. */
        doubt_add(&m->reached, r->stream, r->ranges[i].epoch + 1, 0, 0);
    }
    for (uint32_t i = 0; is_apart(r) && i < r->n_ranges; i++) {
        if (m->n == m->room) {
            m->room = m->room == 0 ? 64 : 2 * m->room;
            m->list = mem_realloc(m->list, m->room * sizeof *m->list);
        }
        m->list[m->n++] = key_of(r, i);
    }
}

static void on_noted(void *arg, const struct record *r)
{
    struct mending *m = arg;

    places_remember(m->places, r);
    for (uint32_t i = 0; m->n > 0 && is_apart(r) && i < r->n_ranges; i++) {
        const struct unnoted key = key_of(r, i);
        struct unnoted *u = bsearch(&key, m->list, m->n, sizeof key, by_place);

        if (u != NULL && key.range.n >= u->range.n) {
            u->noted = true;
        }
    }
}

static int64_t changed_ms(int fd)
{
    struct stat st;

    return fstat(fd, &st) != 0 ? INT64_MAX : places_changed_ms(&st);
}

/* True: it is damaged. */
static bool read_noted(struct mending *m, const char *path)
{
    const int fd = open(path, O_RDWR | O_CLOEXEC);
    struct doubt *noted = &m->places->noted;
    struct journal_scan scan;
    bool damaged = false;
    struct err e;

    if (fd < 0) {
        return false;
    }
    if (journal_scan_file(fd, on_noted, m, &scan, &e) && scan.damaged_bytes > 0) {
        if (is_torn(fd, &scan)) {
            (void)!ftruncate(fd, (off_t)scan.first_damage);
        } else {
            /* Of streams that the journal does not name any more. */
            const int64_t ms = changed_ms(fd);

            noted->until_ms = ms > noted->until_ms ? ms : noted->until_ms;
            damaged = true;
        }
    }
    (void)close(fd);
    return damaged;
}

/* ---- damage ---- */

struct copying {
    int fd;
    unsigned char *bytes;
    bool ok;
};

static void on_whole(void *arg, const struct record *r)
{
    struct copying *c = arg;
    const size_t n = c->ok ? record_encode(r, c->bytes) : 0;

    c->ok = c->ok && write(c->fd, c->bytes, n) == (ssize_t)n;
}

/* Whole records in place of the file; the mark tells of the others. */
static void drop_damage(const char *path)
{
    char fresh[PATH_MAX + 8];
    const int fd = open(path, O_RDONLY | O_CLOEXEC);
    struct copying c = {.ok = true};
    struct journal_scan scan;
    struct err e;

    (void)snprintf(fresh, sizeof fresh, "%s.new", path);
    c.fd = open(fresh, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0640);
    c.bytes = mem_alloc(RECORD_BYTES_MAX);
    c.ok = fd >= 0 && c.fd >= 0 && journal_scan_file(fd, on_whole, &c, &scan, &e) &&
           c.ok && fsync(c.fd) == 0;
    if (!c.ok || rename(fresh, path) != 0) {
        (void)unlink(fresh);
    }
    if (fd >= 0) {
        (void)close(fd);
    }
    if (c.fd >= 0) {
        (void)close(c.fd);
    }
    free(c.bytes);
}

static void mend_damage(struct mending *m, const char *path)
{
    for (uint32_t i = 0; i < m->reached.n; i++) {
        const struct doubt_shard *s = &m->reached.list[i];

        doubt_add(&m->places->noted, str_of(s->stream), s->epoch, s->worker, s->end);
    }
    if (places_cut(m->places)) {
        drop_damage(path);
    }
}

void places_mend(struct places *p, const char *journal_path)
{
    struct mending m = {.places = p};
    char old[PATH_MAX];
    bool told, old_damaged, damaged;
    struct err e;

    told = journal_scan(journal_path, on_journal, &m, NULL, &e);
    m.n = told ? m.n : 0;
    if (m.n > 1) {
        qsort(m.list, m.n, sizeof *m.list, by_place);
    }
    path_of(journal_path, PLACES_APART_OLD_TAIL, old);
    old_damaged = read_noted(&m, old);
    damaged = read_noted(&m, p->apart.path);
    if (told && old_damaged) {
        mend_damage(&m, old);
    }
    if (told && damaged) {
        mend_damage(&m, p->apart.path);
    }
    for (uint32_t i = 0; i < m.n; i++) {
        const struct unnoted *u = &m.list[i];

        if (!u->noted) {
            places_note(p, u->type, str_of(u->stream), STR(""), clock_wall_ms(),
                        u->value, &u->range, 1);
        }
    }
    doubt_free(&m.reached);
    free(m.list);
}

/* ---- for people ---- */

enum { APART = 0, APART_OLD, HAS, HAS_OLD, N_FILES };

/* In this order: what rotates meanwhile is then read twice, and not missed. */
static const char *const TAILS[N_FILES] = {[APART] = PLACES_APART_TAIL,
                                           [APART_OLD] = PLACES_APART_OLD_TAIL,
                                           [HAS] = PLACES_TAIL,
                                           [HAS_OLD] = PLACES_OLD_TAIL};

/* A record that is torn is the last one, and the journal still has it. */
static bool read_apart(int fd, journal_record_fn *fn, void *arg, bool *damaged,
                       struct err *e)
{
    struct journal_scan scan;

    if (!journal_scan_file(fd, fn, arg, &scan, e)) {
        return false;
    }
    /* It may be of any event until places_mend has looked: a clock may have been set. */
    *damaged |= scan.damaged_bytes > 0 && !is_torn(fd, &scan);
    return true;
}

static bool open_all(const char *journal_path, int fds[N_FILES], struct err *e)
{
    char path[PATH_MAX];
    bool ok = true;

    for (int i = 0; i < N_FILES; i++) {
        path_of(journal_path, TAILS[i], path);
        fds[i] = open(path, O_RDONLY | O_CLOEXEC);
        if (fds[i] < 0 && errno != ENOENT && i <= APART_OLD && ok) {
            ok = err_errno(e, errno, "%s", path);
        }
    }
    return ok;
}

void places_read_mark(int fd, struct doubt *gone)
{
    const int64_t ms = changed_ms(fd);

    if (!doubt_read(gone, fd) && ms > gone->until_ms) {
        gone->until_ms = ms;
    }
}

/* The disk may not say whether there is a mark. */
static void take_mark(const char *journal_path, struct doubt *gone)
{
    char path[PATH_MAX];
    int fd;

    path_of(journal_path, PLACES_CUT_TAIL, path);
    fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd >= 0) {
        places_read_mark(fd, gone);
        (void)close(fd);
    } else if (errno != ENOENT && errno != ENOTDIR) {
        gone->until_ms = INT64_MAX;
    }
}

bool places_read(const char *journal_path, journal_record_fn *fn, void *arg,
                 struct doubt *gone, struct err *e)
{
    static const int order[N_FILES] = {APART_OLD, APART, HAS_OLD, HAS};
    bool damaged = false;
    int fds[N_FILES];
    bool ok = open_all(journal_path, fds, e);

    for (int i = 0; i < N_FILES; i++) {
        const int file = order[i];
        char path[PATH_MAX];
        struct err why;

        if (ok && fds[file] >= 0 && file <= APART_OLD &&
            !read_apart(fds[file], fn, arg, &damaged, &why)) {
            path_of(journal_path, TAILS[file], path);
            ok = err_set(e, "%s: %s", path, why.text);
        } else if (ok && fds[file] >= 0 && file > APART_OLD) {
            /* What it does not tell is a place that is not recorded. */
            (void)!journal_scan_file(fds[file], fn, arg, NULL, &why);
        }
        if (fds[file] >= 0) {
            (void)close(fds[file]);
        }
    }
    *gone = (struct doubt){.until_ms = damaged ? INT64_MAX : 0};
    take_mark(journal_path, gone);
    return ok;
}
