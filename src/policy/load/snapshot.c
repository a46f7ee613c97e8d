/*
 * The texts of a policy's files as they were read: each once, and whether they are
 * still the ones on the disk.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/err.h"
#include "base/mem.h"
#include "base/read.h"
#include "policy/load/agent_sets.h"
#include "policy/load/internal.h"

struct snapshot_id snapshot_id_of(const struct stat *st)
{
    return (struct snapshot_id){st->st_dev, st->st_ino, st->st_size, st->st_mtim,
                                st->st_ctim};
}

static bool same_time(const struct timespec *a, const struct timespec *b)
{
    return a->tv_sec == b->tv_sec && a->tv_nsec == b->tv_nsec;
}

static bool same(const struct snapshot_id *a, const struct snapshot_id *b)
{
    return a->dev == b->dev && a->ino == b->ino && a->bytes == b->bytes &&
           same_time(&a->modified, &b->modified) && same_time(&a->changed, &b->changed);
}

/* All n bytes; false and errno. EIO: the file became shorter. */
static bool read_all(int fd, char *text, size_t n)
{
    ssize_t got = read_at(fd, text, n, 0);

    if (got >= 0 && (size_t)got < n) {
        errno = EIO;
    }
    return got == (ssize_t)n;
}

static char *read_file(const char *path, size_t max_bytes, size_t *n,
                       struct snapshot_id *id, struct err *e)
{
    /* A FIFO without a writer must not keep the loader. */
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    char *text = NULL;
    struct stat st;

    if (fd < 0) {
        (void)err_errno(e, errno, "%s", path);
        return NULL;
    }
    if (fstat(fd, &st) == 0 && S_ISFIFO(st.st_mode)) {
        (void)err_set(
            e,
            "%s: a pipe can't be read twice, as a reload reads a policy: name "
            "a file, or check standard input with \"sluice check -\"",
            path);
    } else if (!S_ISREG(st.st_mode) || (uint64_t)st.st_size > max_bytes) {
        (void)err_set(e, "%s: no regular file of at most %lu MiB", path,
                      (unsigned long)(max_bytes >> 20));
    } else {
        *id = snapshot_id_of(&st);
        *n = (size_t)st.st_size;
        text = mem_alloc(*n + 1);
        text[*n] = '\0';
        if (!read_all(fd, text, *n)) {
            (void)err_errno(e, errno, "%s", path);
            free(text);
            text = NULL;
        }
    }
    (void)close(fd);
    return text;
}

const struct snapshot_file *snapshot_find(const struct policy *p, const char *path)
{
    for (uint32_t i = 0; i < p->n_files; i++) {
        if (strcmp(p->files[i].path, path) == 0) {
            return &p->files[i];
        }
    }
    return NULL;
}

void snapshot_add(struct policy *p, const char *path, char *text, size_t n)
{
    p->files = mem_realloc(p->files, (p->n_files + 1) * sizeof *p->files);
    p->files[p->n_files++] =
        (struct snapshot_file){.path = mem_strdup(path), .text = text, .n = n};
}

void snapshot_copy(struct policy *p, const struct snapshot_file *f)
{
    if (f->database != NULL) {
        snapshot_add(p, f->path, f->text, f->n);
        p->files[p->n_files - 1].database = databases_share(f->database);
    } else if (f->agents != NULL) {
        snapshot_add(p, f->path, f->text, f->n);
        p->files[p->n_files - 1].agents = agent_sets_share(f->agents);
    } else {
        snapshot_add(p, f->path, mem_strndup(f->text, f->n), f->n);
    }
}

void snapshot_file_fini(struct snapshot_file *f)
{
    free(f->path);
    if (f->database != NULL) {
        databases_close(f->database);
    } else if (f->agents != NULL) {
        agent_sets_close(f->agents);
    } else {
        free(f->text);
    }
}

bool snapshot_read(struct policy *p, const char *path, size_t max_bytes, struct err *e)
{
    struct snapshot_id id;
    size_t n;
    char *text = read_file(path, max_bytes, &n, &id, e);

    if (text == NULL) {
        return false;
    }
    snapshot_add(p, path, text, n);
    p->files[p->n_files - 1].id = id;
    p->files[p->n_files - 1].on_disk = true;
    return true;
}

static bool changed(const char *path, const struct snapshot_id *id)
{
    struct snapshot_id now;
    struct stat st;

    if (stat(path, &st) != 0) {
        return true;
    }
    now = snapshot_id_of(&st);
    return !same(id, &now);
}

/* The clock of a file system stands still for milliseconds: a file that was written in
 * place just before and just after it was read has the same times. */
static bool rewritten(const struct snapshot_file *f)
{
    struct snapshot_id now;
    struct err ignored;
    bool other = true;
    char *text;
    size_t n;

    if (f->database != NULL || f->agents != NULL) {
        return false; /* large, and replaced by a rename */
    }
    text = read_file(f->path, f->n, &n, &now, &ignored);
    if (text != NULL) {
        other = n != f->n || memcmp(text, f->text, n) != 0;
        free(text);
    }
    return other;
}

bool snapshot_changed(const struct policy *p)
{
    for (uint32_t i = 0; i < p->n_files; i++) {
        const struct snapshot_file *f = &p->files[i];

        if (f->on_disk && (changed(f->path, &f->id) || rewritten(f))) {
            return true;
        }
    }
    for (uint32_t i = 0; i < p->n_tables; i++) {
        if (p->tables[i].on_disk && changed(p->tables[i].path, &p->tables[i].id)) {
            return true;
        }
    }
    return false;
}
