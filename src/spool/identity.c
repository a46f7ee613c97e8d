/*
 * identity - the small files of the spool's folder.
 *
 *   LOCK    held by the one process that may write
 *   EPOCH   a number, raised at each start
 *   UUID    UUID EPOCH, newest first: since that epoch the spool has that name
 *   HOST    where the folder was last used: machine, product, inode, birth
 *
 * A copy of the folder that runs elsewhere must not give its new events the names
 * (uuid/stream/epoch.worker/sequence) that the original gives its own: a receiver that
 * drops names it has seen would drop them. So a folder whose HOST is not here any more,
 * or is not the same, goes on under a new uuid. Events that it has already keep their
 * names.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/err.h"
#include "base/folder.h"
#include "base/log.h"
#include "base/siphash.h"
#include "base/write.h"
#include "spool/internal.h"

enum { TEXT_MAX = 8192, TRIES = 6 };

/* ---- small files ---- */

/* A signal is no reason to end. */
static bool write_synced(int fd, const char *text, size_t n)
{
    int rc = -1;

    if (!write_at(fd, text, n, 0)) {
        return false;
    }
    for (int i = 0; i < WRITE_INTERRUPTED_MAX && rc != 0; i++) {
        rc = fsync(fd);
        if (rc != 0 && errno != EINTR) {
            break;
        }
    }
    return rc == 0;
}

/* A disk without room may still let the bytes be changed that a file has: they lie in
 * one sector. */
static bool overwrite(const char *path, const char *text, size_t n, struct err *e)
{
    int fd = open(path, O_WRONLY | O_CLOEXEC);
    bool ok;

    if (fd < 0) {
        return err_errno(e, errno, "%s", path);
    }
    ok = write_synced(fd, text, n) || err_errno(e, errno, "%s", path);
    (void)close(fd);
    return ok;
}

/* Replaces dir/name by text so that after a power cut it is the old or the new
 * one. */
static bool write_small(const char *dir, const char *name, const char *text,
                        struct err *e)
{
    char path[PATH_MAX], next[PATH_MAX + 8];
    size_t n = strlen(text);
    bool ok;
    int fd, rc;

    (void)snprintf(path, sizeof path, "%s/%s", dir, name);
    (void)snprintf(next, sizeof next, "%s.new", path);
    fd = open(next, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0640);
    if (fd < 0) {
        rc = errno;
    } else {
        rc = write_synced(fd, text, n) ? 0 : errno;
        (void)close(fd);
    }
    if (rc == ENOSPC || rc == EDQUOT) {
        (void)unlink(next);
        return (n < 32 && overwrite(path, text, n, e)) || err_errno(e, rc, "%s", next);
    }
    if (rc != 0) {
        return err_errno(e, rc, "%s", next);
    }
    ok = rename(next, path) == 0 || err_errno(e, errno, "%s", path);
    return ok && folder_sync(dir, e);
}

/* *there: whether the file is. False and *e: it can't be told, which is no reason to
 * begin again. */
static bool read_small(const char *path, char *out, size_t n, bool *there,
                       struct err *e)
{
    struct timespec pause = {0, 50000000};
    ssize_t got = -1;
    int rc = 0;

    for (int i = 0; i < TRIES && got < 0; i++) {
        int fd = open(path, O_RDONLY | O_CLOEXEC);

        if (fd < 0 && errno == ENOENT) {
            *there = false;
            return true;
        }
        got = fd < 0 ? -1 : read(fd, out, n - 1);
        rc = errno;
        if (fd >= 0) {
            (void)close(fd);
        }
        if (got < 0 && rc != EIO && rc != EMFILE && rc != ENFILE && rc != ENOMEM &&
            rc != EINTR) {
            break;
        }
        if (got < 0) {
            (void)nanosleep(&pause, NULL);
            pause.tv_nsec += pause.tv_nsec < 500000000L ? pause.tv_nsec : 0;
        }
    }
    *there = true;
    out[got > 0 ? got : 0] = '\0';
    return got >= 0 || err_errno(e, rc, "%s", path);
}

static bool read_named(const struct spool *s, const char *name, char *out, size_t n,
                       bool *there, struct err *e)
{
    char path[PATH_MAX];

    (void)snprintf(path, sizeof path, "%s/%s", s->dir, name);
    return read_small(path, out, n, there, e);
}

/* ---- LOCK and EPOCH ---- */

bool identity_lock(struct spool *s, int64_t wait_ms, struct err *e)
{
    uint64_t until_ns = clock_mono_ns() + (uint64_t)wait_ms * 1000000u;
    struct timespec pause = {0, 5000000};
    char path[PATH_MAX];
    int rc;

    (void)snprintf(path, sizeof path, "%s/LOCK", s->dir);
    s->lock_fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0640);
    if (s->lock_fd < 0) {
        return err_errno(e, errno, "%s", path);
    }
    while ((rc = flock(s->lock_fd, LOCK_EX | LOCK_NB)) != 0 && errno == EWOULDBLOCK &&
           clock_mono_ns() < until_ns) {
        (void)nanosleep(&pause, NULL);
    }
    if (rc != 0) {
        return errno == EWOULDBLOCK
                   ? err_set(e, "the spool %s is in use by another process", s->dir)
                   : err_errno(e, errno, "%s: lock", path);
    }
    return true;
}

/* By the file: a directory that is removed may leave its inode number to the next one, and
 * one that is emptied has its own. */
int identity_in_place(const struct spool *s)
{
    struct stat locked, there;
    char path[PATH_MAX];

    (void)snprintf(path, sizeof path, "%s/LOCK", s->dir);
    if (stat(path, &there) != 0) {
        return errno == ENOENT || errno == ENOTDIR || errno == ELOOP ? 0 : -1;
    }
    if (fstat(s->lock_fd, &locked) != 0) {
        return -1;
    }
    return there.st_dev == locked.st_dev && there.st_ino == locked.st_ino;
}

bool spool_in_place(const struct spool *s, struct err *e)
{
    return identity_in_place(s) != 0 ||
           err_set(e,
                   "%s/LOCK is not the file that this process holds: the directory, or "
                   "what is in it, was moved, removed or unmounted; put it back",
                   s->dir);
}

bool identity_raise_epoch(struct spool *s, struct err *e)
{
    char text[32] = "0";
    char *end;
    unsigned long before;
    bool there;

    if (!read_named(s, "EPOCH", text, sizeof text, &there, e)) {
        return false;
    }
    before = strtoul(text, &end, 10);
    if (end == text || before >= UINT32_MAX) {
        return err_set(e, "%s/EPOCH is no number", s->dir);
    }
    s->epoch = (uint32_t)before + 1;
    (void)snprintf(text, sizeof text, "%u\n", s->epoch);
    return write_small(s->dir, "EPOCH", text, e);
}

/* ---- UUID ---- */

/* Returns how many bytes of text it took; 0: text has no line. */
static size_t parse_uuid(const char *text, unsigned char *out)
{
    const char *p = text;
    int n = 0;

    for (; *p != '\0' && n < 32; p++) {
        int d = *p >= '0' && *p <= '9'   ? *p - '0'
                : *p >= 'a' && *p <= 'f' ? *p - 'a' + 10
                                         : -1;

        if (d >= 0) {
            out[n / 2] = (unsigned char)(n % 2 == 0 ? d << 4 : out[n / 2] | d);
            n++;
        } else if (*p != '-') {
            break;
        }
    }
    return n == 32 ? (size_t)(p - text) : 0;
}

static void show_uuid(struct spool_name *id)
{
    size_t n = 0;

    for (int i = 0; i < 16; i++) {
        n += (size_t)snprintf(id->text + n, sizeof id->text - n,
                              i == 4 || i == 6 || i == 8 || i == 10 ? "-%02x" : "%02x",
                              id->uuid[i]);
    }
}

static bool parse_names(struct spool *s, const char *text, struct err *e)
{
    while (*text != '\0' && s->n_names < NAMES_MAX) {
        struct spool_name *id = &s->names[s->n_names];
        size_t n = parse_uuid(text, id->uuid);
        const char *line = strchr(text, '\n');

        if (n == 0) {
            break;
        }
        /* One without a number is the first that the spool had. */
        id->from = (uint32_t)strtoul(text + n, NULL, 10);
        show_uuid(id);
        s->n_names++;
        text = line == NULL ? "" : line + 1;
    }
    return s->n_names > 0 || err_set(e, "%s/UUID is no uuid", s->dir);
}

/* The spool's newest name, since this epoch. */
static bool new_name(struct spool *s, struct err *e)
{
    struct spool_name *id = &s->names[0];
    char text[TEXT_MAX];
    size_t n = 0;

    memmove(id + 1, id, (NAMES_MAX - 1) * sizeof *id);
    s->n_names += s->n_names < NAMES_MAX;
    while (getrandom(id->uuid, sizeof id->uuid, 0) != sizeof id->uuid) {
    }
    /* Version 4, variant 1 (RFC 9562, 5.4). */
    id->uuid[6] = (unsigned char)(0x40 | (id->uuid[6] & 0x0F));
    id->uuid[8] = (unsigned char)(0x80 | (id->uuid[8] & 0x3F));
    id->from = s->epoch;
    show_uuid(id);
    for (uint32_t i = 0; i < s->n_names; i++) {
        n += (size_t)snprintf(text + n, sizeof text - n, "%s %u\n", s->names[i].text,
                              s->names[i].from);
    }
    return write_small(s->dir, "UUID", text, e);
}

static const struct spool_name *name_at(const struct spool *s, uint32_t epoch)
{
    for (uint32_t i = 0; i < s->n_names; i++) {
        if (s->names[i].from <= epoch) {
            return &s->names[i];
        }
    }
    return &s->names[s->n_names - 1];
}

const unsigned char *spool_uuid_at(const struct spool *s, uint32_t epoch)
{
    return name_at(s, epoch)->uuid;
}

const char *spool_uuid_of(const struct spool *s, uint32_t epoch)
{
    return name_at(s, epoch)->text;
}

const char *spool_uuid(const struct spool *s)
{
    return s->names[0].text;
}

/* ---- HOST ---- */

/* A hash, because a machine's id is not public. 0: the machine has no id. */
static uint64_t id_of(const char *path)
{
    static const struct siphash_key key = {0x736C75696365ull, 0x686F7374ull};
    char text[128];
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t n = fd < 0 ? -1 : read(fd, text, sizeof text);

    if (fd >= 0) {
        (void)close(fd);
    }
    return n < 8 ? 0 : siphash13(&key, text, (size_t)n);
}

enum { MACHINE, PRODUCT, INODE, BIRTH, TRAITS };

static void look_around(const struct spool *s, uint64_t *trait)
{
    struct statx st;

    memset(trait, 0, TRAITS * sizeof *trait);
    trait[MACHINE] = id_of("/etc/machine-id");
    trait[PRODUCT] = id_of("/sys/class/dmi/id/product_uuid");
    if (statx(AT_FDCWD, s->dir, 0, STATX_INO | STATX_BTIME, &st) == 0) {
        trait[INODE] = st.stx_ino;
        if (st.stx_mask & STATX_BTIME) {
            trait[BIRTH] =
                (uint64_t)st.stx_btime.tv_sec * 1000000000u + st.stx_btime.tv_nsec;
        }
    }
}

static const char *const trait_names[TRAITS] = {
    [MACHINE] = "machine", [PRODUCT] = "product", [INODE] = "inode", [BIRTH] = "birth"};

/* The first difference from the place where the folder was used last; NULL: there is
 * none. A value that is not known here or there is no difference. */
static const char *moved(const char *text, const uint64_t *trait)
{
    for (int i = 0; i < TRAITS; i++) {
        const char *at = strstr(text, trait_names[i]);
        uint64_t was =
            at == NULL ? 0 : strtoull(at + strlen(trait_names[i]) + 1, NULL, 16);

        if (was != 0 && trait[i] != 0 && was != trait[i]) {
            return trait_names[i];
        }
    }
    return NULL;
}

static void write_host(const struct spool *s, const char *before, const uint64_t *trait)
{
    char text[TRAITS * 40], quoted[ERR_TEXT_MAX + 16];
    struct err e = {""};
    size_t n = 0;

    for (int i = 0; i < TRAITS; i++) {
        n += (size_t)snprintf(text + n, sizeof text - n, "%s=%lx\n", trait_names[i],
                              (unsigned long)trait[i]);
    }
    if (strcmp(text, before) != 0 && !write_small(s->dir, "HOST", text, &e)) {
        log_write(LOG_WARN, "host_not_written", "why=%s",
                  log_quote(quoted, sizeof quoted, e.text));
    }
}

static bool has_shard(const char *stream)
{
    unsigned epoch, worker;
    struct dirent *d;
    bool has = false;
    DIR *at = opendir(stream);

    if (at == NULL) {
        return errno != ENOTDIR && errno != ENOENT;
    }
    while (!has && (errno = 0, d = readdir(at)) != NULL) {
        has = sscanf(d->d_name, "%u.%u", &epoch, &worker) == 2;
    }
    has |= errno != 0;
    (void)closedir(at);
    return has;
}

/* Whether there is something that has the lost name; a first start may have been cut
 * between EPOCH and UUID. True also when the disk does not say. */
static bool was_used(const struct spool *s)
{
    char path[PATH_MAX];
    struct dirent *d;
    bool used = false;
    DIR *at = opendir(s->dir);

    if (at == NULL) {
        return true;
    }
    while (!used && (errno = 0, d = readdir(at)) != NULL) {
        (void)snprintf(path, sizeof path, "%s/%s", s->dir, d->d_name);
        used = d->d_name[0] != '.' && has_shard(path);
    }
    used |= errno != 0;
    (void)closedir(at);
    return used;
}

bool identity_find(struct spool *s, struct err *e)
{
    char names[TEXT_MAX], host[512] = "";
    uint64_t trait[TRAITS];
    const char *why = NULL;
    bool there, told;

    if (!read_named(s, "UUID", names, sizeof names, &there, e) ||
        !read_named(s, "HOST", host, sizeof host, &told, e)) {
        return false;
    }
    look_around(s, trait);
    if (there) {
        if (!parse_names(s, names, e)) {
            return false;
        }
        why = told ? moved(host, trait) : "HOST is not there";
    } else if (was_used(s)) {
        return err_set(e,
                       "%s/UUID is missing, but the spool was used before: put "
                       "the file back",
                       s->dir);
    }
    if (!there || why != NULL) {
        if (!new_name(s, e)) {
            return false;
        }
        if (there) {
            log_write(LOG_WARN, "identity_changed",
                      "from=%s to=%s epoch=%u differs=\"%s\"", s->names[1].text,
                      s->names[0].text, s->epoch, why);
        }
    }
    write_host(s, told ? host : "", trait);
    return true;
}
