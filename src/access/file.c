#include "access/file.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/err.h"
#include "base/mem.h"

/* How long the reader of a pipe may take nothing before lines are given up. */
#define READER_NS 1000000000ull

enum { LINKS_MAX = 40 };

/* The sandbox knows folders, not their names. */
static const char HELD_BACK[] = ". If its folder was made after sluice started, run "
                                "\"sluice upgrade\": the sandbox holds it back";

/* conf/sluice.service has ProtectSystem=strict. */
static const char READ_ONLY[] = ". A service of systemd writes there only with "
                                "ReadWritePaths= or LogsDirectory= in its unit";

/* /dev/stdout, or a link to it, may lead to a file. That is of whoever opened it, and behind
 * the name it would stay when it had another: each write would rename it again. */
static bool is_descriptor(const char *path)
{
    char at[PATH_MAX], to[PATH_MAX], folder[PATH_MAX];

    (void)snprintf(at, sizeof at, "%s", path);
    for (int i = 0; i < LINKS_MAX; i++) {
        char *name = strrchr(at, '/');
        ssize_t n = readlink(at, to, sizeof to - 1);

        if (name == NULL) {
            return false;
        }
        *name = '\0';
        if (realpath(at[0] == '\0' ? "/" : at, folder) == NULL) {
            return false;
        }
        if (strncmp(folder, "/proc/", 6) == 0) {
            return true;
        }
        if (n < 0) {
            return false;
        }
        to[n] = '\0';
        if ((size_t)snprintf(at, sizeof at, "%s%s%s", to[0] == '/' ? "" : folder,
                             to[0] == '/' ? "" : "/", to) >= sizeof at) {
            return false;
        }
    }
    return false;
}

/* What it is. A half line of another file, or one that was cut away, needs no end. */
static void note_kind(struct access_file *f)
{
    struct stat st;

    f->regular = false;
    f->bytes = 0;
    if (fstat(f->fd, &st) != 0) {
        return;
    }
    if (S_ISREG(st.st_mode) && !is_descriptor(f->path)) {
        f->regular = true;
        f->bytes = (uint64_t)st.st_size;
    }
    f->torn &= st.st_dev == f->dev && st.st_ino == f->ino &&
               (!S_ISREG(st.st_mode) || st.st_size > 0);
    f->dev = st.st_dev;
    f->ino = st.st_ino;
}

static bool open_it(struct access_file *f, struct err *e)
{
    /* NONBLOCK: a named pipe without a reader is an error, and no wait. */
    f->fd =
        open(f->path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | O_NOCTTY | O_NONBLOCK,
             0640);
    if (f->fd < 0) {
        return errno == EACCES || errno == EROFS
                   ? err_set(e, "can't open the access log %.200s: %s%s", f->path,
                             strerror(errno), errno == EROFS ? READ_ONLY : HELD_BACK)
                   : err_errno(e, errno, "can't open the access log %s", f->path);
    }
    note_kind(f);
    return true;
}

bool access_file_open(struct access_file *f, const char *path, uint64_t max_bytes,
                      uint32_t keep, struct err *e)
{
    *f = (struct access_file){
        .path = mem_strdup(path), .max_bytes = max_bytes, .keep = keep, .fd = -1};
    return open_it(f, e);
}

bool access_file_replace(struct access_file *f, const char *path, uint64_t max_bytes,
                         uint32_t keep, struct err *e)
{
    access_file_close(f);
    *f = (struct access_file){.path = mem_strdup(path),
                              .max_bytes = max_bytes,
                              .keep = keep,
                              .fd = -1,
                              .torn = f->torn,
                              .dev = f->dev,
                              .ino = f->ino,
                              .until_ns = f->until_ns};
    return open_it(f, e);
}

void access_file_reopen(struct access_file *f)
{
    if (f->fd >= 0) {
        (void)close(f->fd);
        f->fd = -1;
    }
}

void access_file_close(struct access_file *f)
{
    if (f->path != NULL) {
        access_file_reopen(f);
        free(f->path);
        f->path = NULL;
    }
}

void access_file_look(struct access_file *f)
{
    struct stat now, there;

    if (f->fd >= 0 && (fstat(f->fd, &now) != 0 || stat(f->path, &there) != 0 ||
                       now.st_ino != there.st_ino || now.st_dev != there.st_dev)) {
        access_file_reopen(f);
    } else if (f->fd >= 0 && f->regular) {
        f->bytes = (uint64_t)now.st_size;
    }
    f->unmoved = 0;
}

/* path.1 … path.n move up by one: up to the first name that is free, else path.keep goes.
 * So a file that can't be moved for long pushes no older one out at each try. */
static uint32_t n_moving(const struct access_file *f, const char *place)
{
    char name[PATH_MAX + 16];
    struct stat st;

    for (uint32_t i = 1; i < f->keep; i++) {
        (void)snprintf(name, sizeof name, "%s.%u", place, i);
        if (lstat(name, &st) != 0 && errno == ENOENT) {
            return i;
        }
    }
    return f->keep;
}

/* A link to the file stays. A name that can't be moved stays: the lines matter more than the
 * size of the file. */
static void rotate(struct access_file *f)
{
    char place[PATH_MAX], from[PATH_MAX + 16], to[PATH_MAX + 16];

    if (realpath(f->path, place) == NULL) {
        access_file_reopen(f); /* somebody has removed it */
        return;
    }
    for (uint32_t i = n_moving(f, place); i > 0; i--) {
        if (i == 1) {
            (void)snprintf(from, sizeof from, "%s", place);
        } else {
            (void)snprintf(from, sizeof from, "%s.%u", place, i - 1);
        }
        (void)snprintf(to, sizeof to, "%s.%u", place, i);
        if (rename(from, to) != 0 && i == 1) {
            f->unmoved = errno;
            return;
        }
    }
    access_file_reopen(f);
}

/* Nothing of them stays in the file, so that its next line begins a line. Another process
 * may have written after them: then they end with the next line's begin. */
static bool take_back(struct access_file *f, const char *lines, size_t done, int error,
                      struct err *e)
{
    struct stat st;
    bool stays = done > 0 &&
                 (fstat(f->fd, &st) != 0 || (uint64_t)st.st_size != f->bytes + done ||
                  ftruncate(f->fd, (off_t)f->bytes) != 0);

    if (done > 0) {
        f->torn = stays && lines[done - 1] != '\n';
    }
    f->stayed = stays ? done : 0;
    access_file_reopen(f);
    return error == EAGAIN
               ? err_set(e, "the reader of the access log %s takes lines too slowly",
                         f->path)
               : err_errno(e, error, "can't write the access log %s", f->path);
}

static bool is_due(const struct access_file *f, size_t n)
{
    return f->fd >= 0 && f->regular && f->max_bytes > 0 && f->bytes > 0 &&
           f->bytes + n > f->max_bytes && f->unmoved == 0;
}

/* Another process may have renamed or cut the file since the last look, such as the one
 * that this one hands over to: the file that has its name now is another, with little in it,
 * and renaming that pushes an older one out. */
static void make_room(struct access_file *f, size_t n)
{
    struct err e;

    if (is_due(f, n)) {
        access_file_look(f);
        if (f->fd < 0) {
            (void)open_it(f, &e); /* or with the write */
        }
        if (is_due(f, n)) {
            rotate(f);
        }
    }
}

/* How long a reader may still be waited for: somebody may be in a hurry. */
static uint64_t patience(const struct access_file *f)
{
    uint64_t until = f->until_ns != NULL ? atomic_load(f->until_ns) : 0;
    uint64_t now = clock_mono_ns();

    return until == 0 || until > now + READER_NS ? READER_NS
           : until > now                         ? until - now
                                                 : 0;
}

/* A full pipe: whether its reader takes more. One that hangs is not waited for again until it
 * has taken something. */
static bool wait_for_reader(struct access_file *f)
{
    struct pollfd p = {f->fd, POLLOUT, 0};
    uint64_t left;
    int n;

    do {
        left = f->stalled ? 0 : patience(f);
        n = poll(&p, 1, (int)((left + 999999) / 1000000));
    } while (n < 0 && errno == EINTR);
    f->stalled |= n == 0 && left == READER_NS;
    return n > 0;
}

/* The half of a line that an earlier write has left. 0, or errno. */
static int end_half_line(struct access_file *f)
{
    while (f->torn) {
        ssize_t k = write(f->fd, "\n", 1);
        int error = k == 0 ? ENOSPC : errno;

        if (k > 0) {
            f->torn = false;
            f->bytes++;
        } else if (k == 0 ||
                   (error != EINTR && (error != EAGAIN || !wait_for_reader(f)))) {
            return error;
        }
    }
    return 0;
}

bool access_file_write(struct access_file *f, const char *lines, size_t n,
                       struct err *e)
{
    size_t done = 0;
    int error;

    f->stayed = 0;
    if (f->fd < 0 && !open_it(f, e)) {
        return false;
    }
    make_room(f, n);
    if (f->fd < 0 && !open_it(f, e)) {
        return false;
    }
    error = end_half_line(f);
    while (error == 0 && done < n) {
        ssize_t k = write(f->fd, lines + done, n - done);

        if (k <= 0) {
            error = k == 0 ? ENOSPC : errno;
            if (error == EINTR || (error == EAGAIN && wait_for_reader(f))) {
                error = 0;
            }
            continue;
        }
        done += (size_t)k;
        f->stalled = false;
    }
    if (error != 0) {
        return take_back(f, lines, done, error, e);
    }
    f->bytes += n;
    return true;
}
