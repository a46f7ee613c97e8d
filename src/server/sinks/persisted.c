#include "server/sinks/persisted.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/err.h"
#include "base/folder.h"
#include "base/mem.h"
#include "base/write.h"
#include "policy/load/load.h"

static const char TAIL[] = ".policy", MARK[] = ".none", JOURNAL[] = ".journal";

static void path_of(const char *spool_dir, const char *name, const char *tail,
                    char out[PATH_MAX])
{
    (void)snprintf(out, PATH_MAX, "%s/sinks/%s%s", spool_dir, name, tail);
}

/* False: it is cut, or none of ours. */
static bool take_line(struct persisted *k, const char *line)
{
    struct persisted_sink *x = &k->list[k->n];

    if (k->n == KEPT_MAX || strchr(line, '\n') == NULL ||
        sscanf(line, "%95s %15s %64s %lu", x->name, x->kind, x->hash, &x->generation) !=
            4) {
        return false;
    }
    k->n++;
    return true;
}

bool persisted_read(struct persisted *k, const char *spool_dir, struct err *e)
{
    char path[PATH_MAX], line[256];
    bool ok = true;
    FILE *f;

    k->n = 0;
    path_of(spool_dir, "KEPT", "", path);
    f = fopen(path, "re");
    if (f == NULL) {
        return errno == ENOENT || err_errno(e, errno, "%s", path);
    }
    while (ok && fgets(line, sizeof line, f) != NULL) {
        ok = take_line(k, line) || err_set(e, "%s: line %u is not one", path, k->n + 1);
    }
    if (ok && ferror(f)) {
        ok = err_errno(e, EIO, "%s", path);
    }
    (void)fclose(f);
    return ok;
}

const struct persisted_sink *persisted_find(const struct persisted *k, const char *name)
{
    for (uint32_t i = 0; i < k->n; i++) {
        if (strcmp(k->list[i].name, name) == 0) {
            return &k->list[i];
        }
    }
    return NULL;
}

bool persisted_put(struct persisted *k, const struct persisted_sink *line)
{
    for (uint32_t i = 0; i < k->n; i++) {
        if (strcmp(k->list[i].name, line->name) == 0) {
            k->list[i] = *line;
            return true;
        }
    }
    if (k->n == KEPT_MAX) {
        return false;
    }
    k->list[k->n++] = *line;
    return true;
}

void persisted_remove(struct persisted *k, const char *name)
{
    for (uint32_t i = 0; i < k->n; i++) {
        if (strcmp(k->list[i].name, name) == 0) {
            k->list[i] = k->list[--k->n];
            return;
        }
    }
}

/* Whether the file says that already: a start with the same policy needs no room on
 * the disk. */
static bool says(const char *path, const char *text, size_t n)
{
    FILE *f = fopen(path, "re");
    char *there = mem_alloc(n + 1);
    size_t got = f == NULL ? n + 1 : fread(there, 1, n + 1, f);
    bool same = got == n && memcmp(there, text, n) == 0;

    if (f != NULL) {
        (void)fclose(f);
    }
    free(there);
    return same;
}

static bool replace(const char *path, const char *text, size_t n, struct err *e)
{
    char next[PATH_MAX];
    FILE *f;
    bool ok;

    (void)snprintf(next, sizeof next, "%s.new", path);
    f = write_stream(next, "w");
    if (f == NULL) {
        return err_errno(e, errno, "%s", next);
    }
    ok = (fwrite(text, 1, n, f) == n && fflush(f) == 0 && fsync(fileno(f)) == 0) ||
         err_errno(e, errno, "%s", next);
    (void)fclose(f);
    if (ok && rename(next, path) != 0) {
        ok = err_errno(e, errno, "%s", path);
    }
    return ok && folder_sync_of(path, e);
}

static bool write_lines(const struct persisted *k, const char *path, struct err *e)
{
    char *text = NULL;
    size_t n = 0;
    FILE *f = open_memstream(&text, &n);
    bool ok;

    for (uint32_t i = 0; f != NULL && i < k->n; i++) {
        const struct persisted_sink *l = &k->list[i];

        (void)fprintf(f, "%s %s %s %lu\n", l->name, l->kind, l->hash,
                      (unsigned long)l->generation);
    }
    if (f == NULL || fclose(f) != 0) {
        free(text);
        return err_set(e, "%s: out of memory", path);
    }
    ok = says(path, text, n) || replace(path, text, n, e);
    free(text);
    return ok;
}

static bool named(const struct persisted *k, const char *file)
{
    for (uint32_t i = 0; i < k->n; i++) {
        if (strncmp(k->list[i].hash, file, strlen(k->list[i].hash)) == 0) {
            return true;
        }
    }
    return false;
}

static bool ends_with(const char *file, const char *tail)
{
    size_t n = strlen(file), n_tail = strlen(tail);

    return n > n_tail && strcmp(file + n - n_tail, tail) == 0;
}

/* A mark that says nothing any more. */
static bool is_over(const struct persisted *k, const char *spool_dir, const char *file)
{
    char path[PATH_MAX], name[sizeof k->list->name];

    (void)snprintf(name, sizeof name, "%.*s", (int)(strlen(file) - (sizeof MARK - 1)),
                   file);
    path_of(spool_dir, name, JOURNAL, path);
    return persisted_find(k, name) == NULL || path_there(path) == 1;
}

/* A file that can't be removed is looked at again with the next policy. */
void persisted_sweep(const struct persisted *k, const char *spool_dir)
{
    char path[PATH_MAX];
    struct dirent *d;
    DIR *dir;

    (void)snprintf(path, sizeof path, "%s/sinks", spool_dir);
    dir = opendir(path);
    while (dir != NULL && (d = readdir(dir)) != NULL) {
        if ((ends_with(d->d_name, TAIL) && !named(k, d->d_name)) ||
            (ends_with(d->d_name, MARK) && is_over(k, spool_dir, d->d_name))) {
            path_of(spool_dir, d->d_name, "", path);
            (void)unlink(path);
        }
    }
    if (dir != NULL) {
        (void)closedir(dir);
    }
}

bool persisted_begin(const char *spool_dir, const char *name, struct err *e)
{
    char path[PATH_MAX];
    int fd, there;

    path_of(spool_dir, name, JOURNAL, path);
    there = path_there(path);
    if (there != 0) {
        return there == 1 || err_errno(e, errno, "%s", path);
    }
    path_of(spool_dir, "", "", path);
    if (mkdir(path, 0750) != 0 && errno != EEXIST) {
        return err_errno(e, errno, "%s", path);
    }
    path_of(spool_dir, name, MARK, path);
    fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0640);
    if (fd < 0) {
        return err_errno(e, errno, "%s", path);
    }
    (void)close(fd);
    return true; /* for good with KEPT, in the same folder */
}

bool persisted_end_as(const char *spool_dir, const char *journal, const char *name,
                      enum places_had by, struct err *e)
{
    char path[PATH_MAX], own[PATH_MAX], mark[PATH_MAX];

    path_of(spool_dir, journal, JOURNAL, path);
    path_of(spool_dir, name, JOURNAL, own);
    path_of(spool_dir, name, MARK, mark);
    /* Now, because nobody reads its journal after a kill. */
    places_note_former(own, path, by);
    if (rename(path, mark) != 0) {
        return err_errno(e, errno, "%s", path);
    }
    places_move_back(path, own);
    places_remove(own); /* a later sink of that name has others */
    return true;
}

bool persisted_end(const char *spool_dir, const char *journal, const char *name,
                   struct err *e)
{
    return persisted_end_as(spool_dir, journal, name, PLACES_HAD_MAYBE, e);
}

int persisted_without(const char *spool_dir, const char *name)
{
    char path[PATH_MAX];

    path_of(spool_dir, name, MARK, path);
    return path_there(path);
}

bool persisted_write(const struct persisted *k, const char *spool_dir,
                     const struct policy *p, struct err *e)
{
    char path[PATH_MAX];

    (void)snprintf(path, sizeof path, "%s/sinks", spool_dir);
    if (mkdir(path, 0750) != 0 && errno != EEXIST) {
        return err_errno(e, errno, "%s", path);
    }
    if (p != NULL) {
        path_of(spool_dir, policy_plan(p)->hash, TAIL, path);
        if (access(path, F_OK) != 0 && !policy_save(p, path, e)) {
            return false;
        }
    }
    path_of(spool_dir, "KEPT", "", path);
    if (!write_lines(k, path, e)) {
        return false;
    }
    if (p == NULL) {
        persisted_sweep(k, spool_dir);
    }
    return true;
}

struct policy *persisted_load(const char *spool_dir, const char *tables_dir,
                              const char *hash, struct err *e)
{
    struct policy_report report;
    char path[PATH_MAX];
    struct policy *p;

    path_of(spool_dir, hash, TAIL, path);
    p = policy_load_saved(path, tables_dir, &report);
    if (p == NULL) {
        (void)err_set(e, "%.*s", (int)strcspn(report.text, "\n"), report.text);
    }
    policy_report_fini(&report);
    return p;
}
