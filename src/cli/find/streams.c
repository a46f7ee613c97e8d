#include "cli/find/streams.h"

#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "base/err.h"
#include "cli/find/index_list.h"
#include "cli/moment.h"
#include "index/roster.h"

/* Or the disk does not say. Their folders stay until the stream leaves the policy. */
static bool has_shards(const char *spool, const char *name)
{
    char path[PATH_MAX];
    struct dirent *d;
    bool has = false;
    DIR *dir;

    (void)snprintf(path, sizeof path, "%s/%s", spool, name);
    dir = opendir(path);
    if (dir == NULL) {
        return errno != ENOTDIR && errno != ENOENT;
    }
    while (errno = 0, !has && (d = readdir(dir)) != NULL) {
        unsigned epoch, worker;

        has = sscanf(d->d_name, "%u.%u", &epoch, &worker) == 2;
    }
    has |= errno != 0;
    (void)closedir(dir);
    return has;
}

/* It left the policy without an index: nobody notes what it had. */
static bool has_left(const char *spool, const struct roster_stream *s)
{
    return s->until_ms != 0 && !index_lists_has(spool, s->name);
}

/* Returns up to when others may have left: INT64_MAX: the list is damaged, or the disk does
 * not give it. */
static int64_t visit_left(const char *spool, streams_fn *fn, void *arg)
{
    struct roster r;
    struct err ignored;
    const enum roster_read got = roster_read(&r, spool, &ignored);
    const int64_t lost_ms = got == ROSTER_BAD ? INT64_MAX : r.lost_ms;

    for (uint32_t i = 0; i < r.n; i++) {
        if (has_left(spool, &r.list[i])) {
            fn(arg, r.list[i].name, r.list[i].until_ms);
        }
    }
    roster_free(&r);
    return lost_ms;
}

static bool is_left(const char *spool, const struct roster *r, const char *name)
{
    for (uint32_t i = 0; i < r->n; i++) {
        if (strcmp(r->list[i].name, name) == 0) {
            return has_left(spool, &r->list[i]);
        }
    }
    return false;
}

bool streams_visit(const char *spool, streams_fn *fn, void *arg, int64_t *lost_ms,
                   struct err *e)
{
    const bool first = index_list_epoch(spool) == 1;
    DIR *dir = opendir(spool);
    struct roster before;
    struct err ignored;
    struct dirent *d;
    int rc;

    if (dir == NULL) {
        return err_errno(e, errno, "%s", spool);
    }
    (void)!roster_read(&before, spool, &ignored);
    while (errno = 0, (d = readdir(dir)) != NULL) {
        if (d->d_name[0] != '.' && !is_left(spool, &before, d->d_name) &&
            (index_lists_has(spool, d->d_name) ||
             (!first && has_shards(spool, d->d_name)))) {
            fn(arg, d->d_name, 0);
        }
    }
    rc = errno;
    (void)closedir(dir);
    roster_free(&before);
    *lost_ms = visit_left(spool, fn, arg); /* also those that have left meanwhile */
    return rc == 0 || err_errno(e, rc, "%s", spool);
}

int64_t streams_epoch_ms(const char *spool)
{
    char path[PATH_MAX];
    struct stat st;

    (void)snprintf(path, sizeof path, "%s/EPOCH", spool);
    return stat(path, &st) != 0
               ? INT64_MAX
               : (int64_t)st.st_mtim.tv_sec * 1000 + st.st_mtim.tv_nsec / 1000000;
}

const char *streams_lost_words(char *out, size_t bytes, int64_t lost_ms)
{
    char when[MOMENT_TEXT];

    if (lost_ms == INT64_MAX) {
        (void)snprintf(
            out, bytes,
            "the list spool/STREAMS can't be read, or is damaged: streams that "
            "left the policy are not known");
    } else {
        (void)snprintf(out, bytes,
                       "streams that left the policy until %s are not known: the list "
                       "spool/STREAMS was damaged, too long or not written",
                       moment_text(when, lost_ms, 1));
    }
    return out;
}
