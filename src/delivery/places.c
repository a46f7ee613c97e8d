#include "delivery/places.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/attr.h"
#include "base/err.h"
#include "base/folder.h"
#include "base/mem.h"
#include "base/text.h"
#include "spool/spool.h"

static const char JOURNAL_TAIL[] = ".journal";

static void file_init(struct places_file *f, const char *journal_path, const char *tail)
{
    const size_t n = strlen(journal_path) - strlen(JOURNAL_TAIL);

    (void)snprintf(f->path, sizeof f->path, "%.*s%s", (int)n, journal_path, tail);
    f->fd = -1;
}

void places_init(struct places *p, const char *journal_path, stats_cell *unrecorded)
{
    file_init(&p->has, journal_path, PLACES_TAIL);
    file_init(&p->apart, journal_path, PLACES_APART_TAIL);
    p->untold = p->synced = false;
    p->noted = (struct doubt){.n = 0};
    p->unrecorded = unrecorded;
    p->spool = NULL;
    p->record = NULL;
}

/* ---- the files of a sink that goes, or has another name ---- */

/* The mark goes first, and is removed last: no crash leaves records without it. */
static const char *const TAILS[] = {PLACES_CUT_TAIL, PLACES_TAIL, PLACES_OLD_TAIL,
                                    PLACES_APART_TAIL, PLACES_APART_OLD_TAIL};

static void beside(const char *journal_path, const char *tail, char out[PATH_MAX])
{
    const size_t n = strlen(journal_path) - strlen(JOURNAL_TAIL);

    (void)snprintf(out, PATH_MAX, "%.*s%s", (int)n, journal_path, tail);
}

static void move(const char *from_journal, const char *to_journal)
{
    char from[PATH_MAX], to[PATH_MAX];

    for (size_t i = 0; i < N_ELEMS(TAILS); i++) {
        beside(from_journal, TAILS[i], from);
        beside(to_journal, TAILS[i], to);
        (void)rename(from, to);
    }
}

static void make(const char *path)
{
    const int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0640);

    if (fd >= 0) {
        (void)close(fd);
    }
}

/* A former sink of the old name is one of the new, too; both names may have had others. By
 * a link: on the way back it tells this one from that of the new name's own. */
static void share_former(const char *from_journal, const char *to_journal)
{
    char from[PATH_MAX], to[PATH_MAX];

    beside(from_journal, PLACES_FORMER_TAIL, from);
    beside(to_journal, PLACES_FORMER_TAIL, to);
    if (link(from, to) != 0 && errno != EEXIST && errno != ENOENT) {
        make(to); /* a file system without links */
    }
}

void places_move(const char *from_journal, const char *to_journal)
{
    move(from_journal, to_journal);
    share_former(from_journal, to_journal);
}

void places_move_back(const char *from_journal, const char *to_journal)
{
    char from[PATH_MAX], to[PATH_MAX];
    struct stat shared, own;

    if (strcmp(from_journal, to_journal) == 0) {
        return;
    }
    move(from_journal, to_journal);
    beside(from_journal, PLACES_FORMER_TAIL, from);
    beside(to_journal, PLACES_FORMER_TAIL, to);
    if (stat(from, &shared) == 0 && stat(to, &own) == 0 &&
        shared.st_dev == own.st_dev && shared.st_ino == own.st_ino) {
        (void)unlink(from);
    }
}

/* Where its reading of a shard goes on, there may have been some before. Its server may have
 * what was planned, whatever it said, and a dead letter by a replay, which notes nothing. */
static void on_event(void *arg, const struct record *r)
{
    bool *any = arg;

    switch (r->type) {
    case RECORD_START:
        *any |= r->value == 0 && r->n_ranges > 0 && r->ranges[0].first > 1;
        break;
    case RECORD_FILE:
        *any |= r->value > 0;
        break;
    case RECORD_DEAD: /* without ranges it says only which file it is */
        *any |= r->n_ranges > 0;
        break;
    case RECORD_PLAN:
    case RECORD_DONE:
    case RECORD_SEAL:
        *any = true;
        break;
    default:
        break;
    }
}

/* Of a stream without an index it has no places. */
static bool had_events(const char *journal_path, bool read_journal)
{
    char has[PATH_MAX], old[PATH_MAX];
    struct err ignored;
    bool any = false;

    beside(journal_path, PLACES_TAIL, has);
    beside(journal_path, PLACES_OLD_TAIL, old);
    return path_there(has) != 0 || path_there(old) != 0 ||
           (read_journal && path_there(journal_path) != 0 &&
            (!journal_scan(journal_path, on_event, &any, NULL, &ignored) || any));
}

void places_note_former(const char *journal_path, const char *at, enum places_had by)
{
    char path[PATH_MAX];

    if (by == PLACES_HAD_MAYBE || had_events(at, by == PLACES_HAD_BY_JOURNAL)) {
        beside(journal_path, PLACES_FORMER_TAIL, path);
        make(path);
    }
}

void places_remove(const char *journal_path)
{
    char path[PATH_MAX];

    places_note_former(journal_path, journal_path, PLACES_HAD_BY_PLACES);
    for (size_t i = N_ELEMS(TAILS); i-- > 0;) {
        beside(journal_path, TAILS[i], path);
        (void)unlink(path);
    }
}

bool places_former(const char *journal_path)
{
    char path[PATH_MAX];

    beside(journal_path, PLACES_FORMER_TAIL, path);
    return path_there(path) != 0;
}

/* Unless there is one of the new name. */
static void adopt(const char *from_journal, const char *to_journal, const char *tail)
{
    char from[PATH_MAX], to[PATH_MAX];

    beside(from_journal, tail, from);
    beside(to_journal, tail, to);
    if (path_there(to) == 0) {
        (void)rename(from, to);
    }
}

void places_adopt(const char *journal_path, const char *was)
{
    const char *slash = strrchr(journal_path, '/');
    char journal[PATH_MAX];

    (void)snprintf(journal, sizeof journal, "%.*s/%s%s", (int)(slash - journal_path),
                   journal_path, was, JOURNAL_TAIL);
    if (path_there(journal) != 0) {
        return;
    }
    for (size_t i = 0; i < N_ELEMS(TAILS); i++) {
        adopt(journal, journal_path, TAILS[i]);
    }
    share_former(journal, journal_path);
}

int64_t places_changed_ms(const struct stat *st)
{
    return ((int64_t)st->st_mtim.tv_sec + 2) * 1000 + st->st_mtim.tv_nsec / 1000000;
}

/* ---- notes ---- */

static void shut(struct places_file *f)
{
    if (f->fd >= 0) {
        (void)close(f->fd);
    }
    f->fd = -1;
}

void places_fini(struct places *p)
{
    shut(&p->has);
    shut(&p->apart);
    free(p->record);
    p->record = NULL;
    doubt_free(&p->noted);
}

/* Else what has the name of its folder is another's. */
static bool in_place(const struct places *p)
{
    struct err ignored;

    return p->spool == NULL || spool_in_place(p->spool, &ignored);
}

static bool ready(const struct places *p, struct places_file *f, int create)
{
    struct stat st;

    if (f->fd >= 0) {
        return true;
    }
    if (!in_place(p)) {
        errno = ESTALE;
        return false;
    }
    f->fd = open(f->path, O_WRONLY | create | O_APPEND | O_CLOEXEC, 0640);
    if (f->fd < 0 || fstat(f->fd, &st) != 0) {
        shut(f);
        return false;
    }
    f->bytes = (uint64_t)st.st_size;
    return true;
}

/* What the mark says already stays. Without room for all of it, it is empty: all up to
 * its time. */
static bool write_mark(const struct places *p, int fd)
{
    const bool ok = doubt_write(&p->noted, fd);

    return ftruncate(fd, ok ? lseek(fd, 0, SEEK_CUR) : 0) == 0 &&
           futimens(fd, NULL) == 0 && fsync(fd) == 0;
}

bool places_cut(struct places *p)
{
    char path[sizeof p->apart.path + 4];
    bool ok;
    int fd;

    if (!in_place(p)) {
        return false;
    }
    (void)snprintf(path, sizeof path, "%s.cut", p->apart.path);
    fd = open(path, O_RDWR | O_CLOEXEC);
    if (fd >= 0) {
        places_read_mark(fd, &p->noted);
    } else if (errno == ENOENT) {
        fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0640);
    }
    ok = fd >= 0 && lseek(fd, 0, SEEK_SET) == 0 && write_mark(p, fd);
    p->synced = false; /* its name */
    if (fd >= 0) {
        (void)close(fd);
    }
    return ok;
}

static void not_taken(struct places *p, const struct places_file *f)
{
    stats_add(p->unrecorded, 1);
    p->untold = p->untold || f == &p->apart;
}

static bool is_own(const struct places_file *f)
{
    struct stat ours, there;

    return fstat(f->fd, &ours) == 0 && stat(f->path, &there) == 0 &&
           ours.st_dev == there.st_dev && ours.st_ino == there.st_ino;
}

/* A name that stays means a larger file, until the disk renames it. */
static void rotate(struct places *p, struct places_file *f)
{
    char old[sizeof f->path + 4];

    (void)snprintf(old, sizeof old, "%s.1", f->path);
    if (!is_own(f)) {
        return; /* its folder was moved: what has its name is another's */
    }
    if (f == &p->apart && (access(old, F_OK) == 0 || errno != ENOENT) &&
        !places_cut(p)) {
        return;
    }
    if (f == &p->apart && fdatasync(f->fd) != 0) {
        not_taken(p, f);
    }
    if (rename(f->path, old) == 0) {
        shut(f);
    }
}

/* False: nothing of the record is in the file. */
static bool append(struct places_file *f, const void *record, size_t size)
{
    ssize_t written = write(f->fd, record, size);

    if (written == (ssize_t)size) {
        f->bytes += size;
        return true;
    }
    /* A part that stays is passed over by its readers, by its checksum. */
    if (written > 0 && ftruncate(f->fd, (off_t)f->bytes) != 0) {
        f->bytes += (uint64_t)written;
    }
    return false;
}

void places_remember(struct places *p, const struct record *r)
{
    if (r->type == RECORD_START) {
        doubt_add(&p->noted, r->stream, (uint32_t)r->value, 0, 0);
    }
    for (uint32_t i = 0; i < r->n_ranges; i++) {
        const struct batch_range *b = &r->ranges[i];

        doubt_add(&p->noted, r->stream, b->epoch, b->worker,
                  r->type == RECORD_START ? b->first : b->first + b->n);
    }
}

void places_note(struct places *p, enum record_type type, struct str stream,
                 struct str place, int64_t wall_ms, uint64_t value,
                 const struct batch_range *ranges, uint32_t n)
{
    const struct record r = {.type = type,
                             .time_ms = wall_ms,
                             .value = value,
                             .id = {place.p, text_cut(place, PLACES_TEXT_MAX)},
                             .stream = stream,
                             .ranges = ranges,
                             .n_ranges = n};
    struct places_file *f = type == RECORD_DONE ? &p->has : &p->apart;

    if ((n == 0 && type != RECORD_START) || f->path[0] == '\0') {
        return;
    }
    p->synced = p->synced && f != &p->apart;
    if (f == &p->apart) {
        places_remember(p, &r);
    }
    if (!ready(p, f, O_CREAT)) {
        not_taken(p, f);
    } else {
        if (p->record == NULL) {
            p->record = mem_alloc(RECORD_BYTES_MAX);
        }
        if (!append(f, p->record, record_encode(&r, p->record))) {
            not_taken(p, f);
            shut(f);
        } else if (f->bytes >= PLACES_BYTES) {
            rotate(p, f);
        }
    }
    p->untold = p->untold && !places_cut(p);
}

bool places_sync(struct places *p)
{
    struct err e;
    bool ok;

    p->untold = p->untold && !places_cut(p);
    if (p->synced || p->apart.path[0] == '\0') {
        return !p->untold;
    }
    ok = ready(p, &p->apart, 0) ? fdatasync(p->apart.fd) == 0 : errno == ENOENT;
    p->synced = ok && folder_sync_of(p->apart.path, &e);
    if (!p->synced) {
        not_taken(p, &p->apart);
        p->untold = !places_cut(p);
    }
    return !p->untold;
}
