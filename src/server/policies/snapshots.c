#include "server/policies/snapshots.h"

#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/err.h"
#include "base/write.h"
#include "policy/load/load.h"
#include "tables/open.h"

struct live {
    char now[65], before[65]; /* "": none */
    bool whole;               /* the file says which; also when it says none */
};

static void path_of(char path[PATH_MAX], const char *spool_dir, const char *name,
                    const char *suffix)
{
    (void)snprintf(path, PATH_MAX, "%s/policies/%s%s", spool_dir, name, suffix);
}

/* False and *e: the disk does not say. */
static bool read_live(const char *spool_dir, struct live *x, struct err *e)
{
    char path[PATH_MAX];
    bool ok;
    FILE *f;

    *x = (struct live){.now = ""};
    path_of(path, spool_dir, "LIVE", "");
    f = fopen(path, "re");
    if (f == NULL) {
        x->whole = errno == ENOENT;
        return x->whole || err_errno(e, errno, "%s", path);
    }
    x->whole = fscanf(f, "%64s %64s", x->now, x->before) >= 1;
    ok = !ferror(f) || err_errno(e, errno, "%s", path);
    (void)fclose(f);
    return ok;
}

static bool write_live(const char *spool_dir, const struct live *x, struct err *e)
{
    char path[PATH_MAX], next[PATH_MAX];
    FILE *f;
    bool ok;

    path_of(path, spool_dir, "LIVE", "");
    path_of(next, spool_dir, "LIVE", ".new");
    f = write_stream(next, "w");
    if (f == NULL) {
        return err_errno(e, errno, "%s", next);
    }
    ok = fprintf(f, "%s\n%s\n", x->now, x->before) > 0;
    ok = fclose(f) == 0 && ok && rename(next, path) == 0;
    return ok || err_errno(e, errno, "%s", path);
}

bool snapshots_save(const char *spool_dir, const struct policy *p, struct err *e)
{
    char path[PATH_MAX];

    (void)snprintf(path, sizeof path, "%s/policies", spool_dir);
    if (mkdir(path, 0700) != 0 && errno != EEXIST) {
        return err_errno(e, errno, "%s", path);
    }
    path_of(path, spool_dir, policy_plan(p)->hash, ".policy");
    return access(path, R_OK) == 0 || policy_save(p, path, e);
}

/* Files of neither. */
static void forget_others(const char *spool_dir, const struct live *x)
{
    char path[PATH_MAX];
    struct dirent *d;
    DIR *dir;

    (void)snprintf(path, sizeof path, "%s/policies", spool_dir);
    dir = opendir(path);
    while (dir != NULL && (d = readdir(dir)) != NULL) {
        const char *dot = strchr(d->d_name, '.');

        if (dot == NULL || dot - d->d_name != 64 || strcmp(dot, ".policy") != 0 ||
            strncmp(d->d_name, x->now, 64) == 0 ||
            strncmp(d->d_name, x->before, 64) == 0) {
            continue;
        }
        path_of(path, spool_dir, d->d_name, "");
        (void)unlink(path);
    }
    if (dir != NULL) {
        (void)closedir(dir);
    }
}

bool snapshots_live(const char *spool_dir, const struct policy *p, struct err *e)
{
    const char *hash = policy_plan(p)->hash;
    struct live was, x;

    if (!read_live(spool_dir, &was, e)) {
        return false;
    }
    if (strcmp(was.now, hash) == 0) {
        return true;
    }
    (void)snprintf(x.now, sizeof x.now, "%s", hash);
    (void)snprintf(x.before, sizeof x.before, "%s", was.now);
    if (!write_live(spool_dir, &x, e)) {
        return false;
    }
    if (was.whole) { /* else the one before is among them, and may be wanted */
        forget_others(spool_dir, &x);
    }
    return true;
}

bool snapshots_is_live(const char *spool_dir, const char *hash)
{
    struct live x;
    struct err ignored;

    return read_live(spool_dir, &x, &ignored) && strcmp(x.now, hash) == 0;
}

struct policy *snapshots_other(const char *spool_dir, const char *tables_dir,
                               const char *hash, struct err *e)
{
    struct policy_report report = {0};
    struct policy *p = NULL;
    char path[PATH_MAX];
    struct live x;
    const char *other;

    if (!read_live(spool_dir, &x, e)) {
        return NULL;
    }
    other = strcmp(x.now, hash) != 0 ? x.now : x.before;
    if (other[0] == '\0') {
        (void)err_set(e, "no other policy has gone live here");
        return NULL;
    }
    path_of(path, spool_dir, other, ".policy");
    p = policy_load_saved(path, tables_dir, &report);
    if (p == NULL) {
        (void)err_set(e, "%.400s", report.text);
    }
    policy_report_fini(&report);
    return p;
}

/* ---- built tables ---- */

struct wanted {
    const char *spool_dir;
    const char *id;
    bool found;
};

static void on_table(void *arg, const char *id_hex)
{
    struct wanted *w = arg;

    w->found = w->found || strcmp(w->id, id_hex) == 0;
}

/* What the disk does not say may be wanted. */
static void look_in(struct wanted *w, const char *folder)
{
    char path[PATH_MAX];
    struct dirent *d;
    DIR *dir;

    (void)snprintf(path, sizeof path, "%s/%s", w->spool_dir, folder);
    dir = opendir(path);
    if (dir == NULL) {
        w->found |= errno != ENOENT;
        return;
    }
    while (!w->found && (errno = 0, d = readdir(dir)) != NULL) {
        const char *dot = strchr(d->d_name, '.');

        if (dot != NULL && strcmp(dot, ".policy") == 0) {
            (void)snprintf(path, sizeof path, "%s/%s/%s", w->spool_dir, folder,
                           d->d_name);
            w->found |= !policy_saved_tables(path, on_table, w);
        }
    }
    w->found |= errno != 0;
    (void)closedir(dir);
}

static bool is_wanted(void *arg, const char *id_hex)
{
    struct wanted w = {.spool_dir = arg, .id = id_hex};

    look_in(&w, "policies");
    look_in(&w, "sinks");
    return w.found;
}

void snapshots_forget_tables(const char *spool_dir, const char *tables_dir)
{
    tables_forget(tables_dir, is_wanted, (void *)spool_dir);
}
