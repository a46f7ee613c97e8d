/* Segments that no sink needs and that the disk does not delete: each is told once, counts as
 * used, and is tried again. The housekeeper's thread, but for a start. */
#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/err.h"
#include "base/log.h"
#include "spool/internal.h"

/* False and *e: the file is still there, or its folder is elsewhere. One whose name another file
 * has is not deleted by its name. */
static bool remove_file(const struct segment *g, struct err *e)
{
    const int there = presence_of_segment(g);
    char path[PATH_MAX];

    if (there == 0) {
        return true;
    }
    segment_path(g->shard, g->number, path, sizeof path);
    if (there < 0) {
        return err_errno(e, errno, "%s", path);
    }
    if (atomic_load(&g->damaged)) {
        return damage_try_move(g, path, e);
    }
    return unlink(path) == 0 || errno == ENOENT || err_errno(e, errno, "%s", path);
}

/* Nothing but g's page may say how the one before it ended. */
static bool try_delete(const struct segment *g, struct err *e)
{
    const struct segment *before = NULL;

    for (const struct segment *u = g->shard->stream->undeleted; u != NULL;
         u = u->next) {
        if (u->shard == g->shard && u->number < g->number &&
            (before == NULL || u->number > before->number)) {
            before = u;
        }
    }
    return segment_bears_witness(g, before)
               ? err_set(e, "it says how segment %lu ends, which is not deleted",
                         (unsigned long)before->number)
               : remove_file(g, e);
}

static void add(struct segment *g)
{
    struct segment **at = &g->shard->stream->undeleted;

    while (*at != NULL) {
        at = &(*at)->next;
    }
    g->next = NULL;
    *at = g;
    g->shard->n_undeleted++;
    (void)atomic_fetch_add(&g->shard->stream->used, g->bytes);
}

void segment_delete(struct segment *g)
{
    struct stream *st = g->shard->stream;
    char path[PATH_MAX], quoted[PATH_MAX + 16], why[ERR_TEXT_MAX + 16];
    struct err e;

    if (try_delete(g, &e)) {
        stats_add(st->deleted, 1);
        segment_close(g);
        return;
    }
    segment_path(g->shard, g->number, path, sizeof path);
    log_write(LOG_ERROR, "segment_not_deleted", "file=%s bytes=%lu why=%s",
              log_quote(quoted, sizeof quoted, path), (unsigned long)g->bytes,
              log_quote(why, sizeof why, e.text));
    segment_shut(g);
    add(g);
}

void undeleted_retry(struct stream *st)
{
    const int64_t now = mono_ms();
    struct segment **at = &st->undeleted;
    struct err e;

    if (*at == NULL || now < st->undelete_ms) {
        return;
    }
    st->undelete_ms = now + PROVE_MS;
    while (*at != NULL) {
        struct segment *g = *at;

        if (try_delete(g, &e)) {
            *at = g->next;
            g->shard->n_undeleted--;
            (void)atomic_fetch_sub(&st->used, g->bytes);
            stats_add(st->deleted, 1);
            segment_close(g);
        } else {
            at = &g->next;
        }
    }
}
