#include "tables/built.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/crc32c.h"
#include "base/err.h"
#include "base/folder.h"
#include "base/log.h"
#include "base/read.h"
#include "base/write.h"
#include "tables/guard.h"
#include "tables/internal.h"

enum { LOCK_TRIES = 50, LOCK_WAIT_NS = 20000000, NAMES_TRIES = 8 };

static const char BUILD[] = "build-";

void table_id_hex(const uint8_t id[TABLE_ID_BYTES], char hex[TABLE_ID_HEX + 1])
{
    for (size_t i = 0; i < TABLE_ID_BYTES; i++) {
        (void)snprintf(hex + 2 * i, 3, "%02x", id[i]);
    }
}

static void path_of(const char *dir, const uint8_t id[TABLE_ID_BYTES],
                    char out[PATH_MAX])
{
    char hex[TABLE_ID_HEX + 1];

    table_id_hex(id, hex);
    (void)snprintf(out, PATH_MAX, "%s/%s.table", dir, hex);
}

/* ---- the source ---- */

struct source {
    int fd;
    uint64_t at;
    EVP_MD_CTX *digest;
    bool digested;
};

static ssize_t more_file(void *arg, char *p, size_t n)
{
    struct source *s = arg;
    ssize_t got = read_at(s->fd, p, n, s->at);

    if (got > 0) {
        s->at += (uint64_t)got;
        s->digested = s->digested && EVP_DigestUpdate(s->digest, p, (size_t)got) == 1;
    }
    return got;
}

static bool is_same(const struct stat *a, const struct stat *b)
{
    return a->st_ino == b->st_ino && a->st_size == b->st_size &&
           a->st_mtim.tv_sec == b->st_mtim.tv_sec &&
           a->st_mtim.tv_nsec == b->st_mtim.tv_nsec &&
           a->st_ctim.tv_sec == b->st_ctim.tv_sec &&
           a->st_ctim.tv_nsec == b->st_ctim.tv_nsec;
}

/* ---- a file for it ---- */

/* False: somebody else has it locked all the time. */
static bool lock(int fd, int how)
{
    const struct timespec wait = {0, LOCK_WAIT_NS};

    for (int i = 0; flock(fd, how | LOCK_NB) != 0; i++) {
        if (i == LOCK_TRIES) {
            return false;
        }
        (void)nanosleep(&wait, NULL);
    }
    return true;
}

static bool has_name(int fd)
{
    struct stat st;

    return fstat(fd, &st) == 0 && st.st_nlink > 0;
}

/* A new file, locked, at path; -1 and errno. Whoever tidies up may take it away before
 * it is locked. */
static int new_file(const char *dir, char path[PATH_MAX])
{
    for (int i = 0; i < NAMES_TRIES; i++) {
        int fd;

        (void)snprintf(path, PATH_MAX, "%s/%sXXXXXX", dir, BUILD);
        fd = mkostemp(path, O_CLOEXEC);
        if (fd < 0) {
            return -1;
        }
        if (flock(fd, LOCK_EX | LOCK_NB) == 0 && has_name(fd)) {
            return fd;
        }
        (void)close(fd);
    }
    errno = EAGAIN;
    return -1;
}

/* One without a name. */
static int private_file(const char *dir)
{
    char path[PATH_MAX];
    int fd = new_file(dir, path);

    if (fd >= 0) {
        (void)unlink(path);
    }
    return fd;
}

static const char *private_dir(void)
{
    const char *dir = getenv("TMPDIR");

    return dir == NULL || dir[0] == '\0' ? "/tmp" : dir;
}

/* ---- the build ---- */

static bool finish(struct build *b, struct source *s, const struct table_source *source,
                   const struct stat *st, struct err *e)
{
    unsigned n = 0;
    struct stat now;

    if (!s->digested || EVP_DigestFinal_ex(s->digest, b->head.content, &n) != 1) {
        return err_set(e, "%s: its digest can't be made", source->path);
    }
    if (fstat(s->fd, &now) != 0 || !is_same(st, &now) ||
        s->at != (uint64_t)st->st_size) {
        return err_set(e,
                       "%s: it was changed while it was read; load the policy again "
                       "when the file is complete",
                       source->path);
    }
    b->head.head_crc = table_head_crc(&b->head);
    if (!write_at(b->out.fd, &b->head, sizeof b->head, 0) || fsync(b->out.fd) != 0) {
        return err_errno(e, errno, "%s: the built table can't be written",
                         source->path);
    }
    return true;
}

static bool build(struct build *b, const struct table_source *source, int from,
                  const struct stat *st, struct err *e)
{
    struct source s = {.fd = from, .digest = EVP_MD_CTX_new()};
    struct err why = {""};
    bool ok;

    s.digested =
        s.digest != NULL && EVP_DigestInit_ex(s.digest, EVP_sha256(), NULL) == 1;
    b->more = more_file;
    b->more_arg = &s;
    ok = table_build(b, &why);
    if (!ok && why.text[0] != '\0') {
        (void)err_set(e, "%s: %s", source->path, why.text);
    }
    ok = ok && finish(b, &s, source, st, e);
    EVP_MD_CTX_free(s.digest);
    return ok;
}

/* Root builds the first tables before it becomes the user that owns the folder. */
static bool own_as_folder(int fd, const char *dir)
{
    struct stat st;

    return geteuid() != 0 ||
           (stat(dir, &st) == 0 && fchown(fd, st.st_uid, st.st_gid) == 0);
}

/* Gives the image its name, or takes the name that it has away. */
static bool name(int fd, const char *from, const char *dir,
                 const uint8_t id[TABLE_ID_BYTES], struct err *e)
{
    char path[PATH_MAX];

    path_of(dir, id, path);
    if (!own_as_folder(fd, dir) || fchmod(fd, 0400) != 0 || rename(from, path) != 0) {
        return err_errno(e, errno, "%s", path);
    }
    (void)flock(fd, LOCK_SH);
    return folder_sync(dir, e);
}

static void tell_built(const struct table_source *source, const struct build *b,
                       uint64_t since_ns)
{
    char quoted[PATH_MAX];

    log_write(LOG_INFO, "table_built", "file=%s rows=%u bytes=%lu took_ms=%lu",
              log_quote(quoted, sizeof quoted, source->path), b->head.n_rows,
              (unsigned long)b->head.bytes,
              (unsigned long)((clock_mono_ns() - since_ns) / 1000000u));
}

int built_make(const struct table_source *source, int from, const struct stat *st,
               const uint8_t id[TABLE_ID_BYTES], csv_problem_fn *problem, void *arg,
               struct err *e)
{
    const char *dir = source->dir == NULL ? private_dir() : source->dir;
    struct build b = {.key = source->key,
                      .delimiter = source->delimiter,
                      .rules = source->rules,
                      .problem = problem,
                      .problem_arg = arg,
                      .rows = {.fd = -1},
                      .out = {.fd = -1}};
    uint64_t since_ns = clock_mono_ns();
    char path[PATH_MAX] = "";
    bool ok;

    if (source->dir != NULL && !folder_make(dir, e)) {
        return -1;
    }
    memcpy(b.head.id, id, TABLE_ID_BYTES);
    b.rows.fd = private_file(dir);
    if (b.rows.fd >= 0) {
        b.out.fd = source->dir == NULL ? private_file(dir) : new_file(dir, path);
    }
    ok = b.out.fd >= 0 || err_errno(e, errno, "%s", dir);
    ok = ok && build(&b, source, from, st, e);
    ok = ok && (source->dir == NULL || name(b.out.fd, path, dir, id, e));
    if (!ok && path[0] != '\0') {
        (void)unlink(path); /* it has it no more when it was renamed */
    }
    table_build_fini(&b);
    if (b.rows.fd >= 0) {
        (void)close(b.rows.fd);
    }
    if (!ok && b.out.fd >= 0) {
        (void)close(b.out.fd);
        b.out.fd = -1;
    }
    if (ok) {
        tell_built(source, &b, since_ns);
    }
    return b.out.fd;
}

/* ---- one that is there ---- */

int built_find(const char *dir, const uint8_t id[TABLE_ID_BYTES], struct err *why)
{
    char path[PATH_MAX];
    int fd;

    why->text[0] = '\0';
    path_of(dir, id, path);
    fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
    if (fd < 0) {
        if (errno != ENOENT) {
            (void)err_errno(why, errno, "%s", path);
        }
        return -1;
    }
    if (lock(fd, LOCK_SH) && has_name(fd)) {
        return fd;
    }
    (void)close(fd);
    (void)err_set(why, "%s: another process has it locked", path);
    return -1;
}

static bool is_whole(const struct csv_table *l, const uint8_t id[TABLE_ID_BYTES])
{
    const struct table_head *head = &l->head;

    return memcmp(head->id, id, TABLE_ID_BYTES) == 0 &&
           crc32c(0, l->base + TABLE_HEAD_BYTES, head->bytes - TABLE_HEAD_BYTES) ==
               head->body_crc &&
           !csv_table_damaged(l);
}

/* NULL: it is no image, or has not what it should. */
static struct csv_table *take(char *base, size_t bytes, int guard, int fd,
                              const uint8_t id[TABLE_ID_BYTES], bool check)
{
    struct csv_table *l;

    guard_thread();
    l = table_of(base, bytes);
    if (l == NULL) {
        return NULL;
    }
    l->guard = guard;
    l->fd = fd;
    l->bytes = bytes;
    memcpy(l->id, id, TABLE_ID_BYTES);
    if (check && !is_whole(l, id)) {
        table_drop(l);
        return NULL;
    }
    return l;
}

struct csv_table *built_map(int fd, const uint8_t id[TABLE_ID_BYTES], bool check,
                            struct err *e)
{
    struct csv_table *l = NULL;
    char *base = MAP_FAILED;
    struct stat st;
    int guard = -1;

    if (fstat(fd, &st) != 0 || !S_ISREG(st.st_mode) || st.st_size < TABLE_HEAD_BYTES) {
        (void)err_set(e, "it is no built table, or was cut");
    } else {
        base = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_SHARED, fd, 0);
        if (base == MAP_FAILED) {
            (void)err_errno(e, errno, "it can't be mapped");
        }
    }
    if (base != MAP_FAILED) {
        guard = guard_add(base, (size_t)st.st_size);
        (void)err_set(e, guard < 0 ? "more than 256 tables are in use"
                                   : "it is no built table, or was cut or altered");
        l = guard < 0 ? NULL : take(base, (size_t)st.st_size, guard, fd, id, check);
    }
    if (l == NULL) {
        if (guard >= 0) {
            guard_remove(guard);
        }
        if (base != MAP_FAILED) {
            (void)munmap(base, (size_t)st.st_size);
        }
        (void)close(fd);
    } else {
        /* Rows are read in no order. */
        (void)madvise(base, (size_t)st.st_size, MADV_RANDOM);
    }
    return l;
}

/* ---- those that are not wanted ---- */

static void forget_if_free(const char *path)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);

    if (fd >= 0 && flock(fd, LOCK_EX | LOCK_NB) == 0) {
        (void)unlink(path);
    }
    if (fd >= 0) {
        (void)close(fd);
    }
}

void tables_forget(const char *dir, table_keep_fn *keep, void *arg)
{
    DIR *list = opendir(dir);
    struct dirent *d;

    while (list != NULL && (d = readdir(list)) != NULL) {
        char path[PATH_MAX], id[TABLE_ID_HEX + 1];
        const char *dot = strchr(d->d_name, '.');

        (void)snprintf(path, sizeof path, "%s/%s", dir, d->d_name);
        if (strncmp(d->d_name, BUILD, sizeof BUILD - 1) == 0) {
            forget_if_free(path);
        } else if (dot != NULL && dot - d->d_name == TABLE_ID_HEX &&
                   strcmp(dot, ".table") == 0) {
            (void)snprintf(id, sizeof id, "%s", d->d_name);
            if (!keep(arg, id)) {
                forget_if_free(path);
            }
        }
    }
    if (list != NULL) {
        (void)closedir(list);
    }
}
