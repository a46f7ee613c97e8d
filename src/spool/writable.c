/*
 * writable - whether the disk takes events, as the housekeeper sees it by the segments that it
 * prepares and syncs, and the workers by the blocks that they write. The log tells each change,
 * and /readyz follows. (That files were moved is presence.c's.)
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <unistd.h>

#include "base/err.h"
#include "base/log.h"
#include "spool/internal.h"

enum {
    HOLD_MS = 5000, /* after a block that failed, unless one is written */
    TOLD_MS = 1000  /* at least: of blocks that fail and pass in turn */
};

void writable_tell(const struct stream *st, const char *why)
{
    char stream[STREAM_NAME_MAX + 32] = "", quoted[ERR_TEXT_MAX + 16];

    if (st != NULL) {
        (void)snprintf(stream, sizeof stream, " stream=%s", st->name);
    }
    if (why == NULL) {
        log_write(LOG_INFO, "spool", "status=writable%s", stream);
    } else {
        log_write(LOG_ERROR, "spool", "status=unwritable%s why=%s", stream,
                  log_quote(quoted, sizeof quoted, why));
    }
}

/* ---- the housekeeper's segments ---- */

void writable_fail(struct spool *s, const char *why)
{
    bool was;

    (void)pthread_mutex_lock(&s->lock);
    (void)snprintf(s->why, sizeof s->why, "%s", why);
    was = atomic_exchange(&s->unwritable, true); /* before those who wait look at it */
    (void)pthread_cond_broadcast(&s->prepared);
    (void)pthread_mutex_unlock(&s->lock);
    if (!was) {
        writable_tell(NULL, why);
    }
}

void writable_pass(struct spool *s)
{
    if (atomic_exchange(&s->unwritable, false)) {
        writable_tell(NULL, NULL);
    }
}

/* ---- the workers' blocks ---- */

void unwritten_note(struct shard *sh, int why)
{
    atomic_store(&sh->write_failed_ms, mono_ms());
    atomic_store(&sh->write_errno, why);
    housekeeper_wake(sh->stream->spool);
}

void unwritten_forget(struct shard *sh)
{
    atomic_store(&sh->write_errno, 0);
    housekeeper_wake(sh->stream->spool);
}

/* Whether the disk takes a new file with a page, in the shard's folder. */
static bool takes_file(const struct shard *sh)
{
    const char page[PAGE_BYTES] = {0};
    char folder[PATH_MAX], path[PATH_MAX + 8];
    bool ok;
    int fd;

    shard_path(sh, folder, sizeof folder);
    (void)snprintf(path, sizeof path, "%s/" PROBE_FILE, folder);
    (void)unlink(path); /* of a process that was killed between these two */
    fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0640);
    if (fd < 0) {
        return false;
    }
    ok = unlink(path) == 0;
    ok = pwrite(fd, page, sizeof page, 0) == (ssize_t)sizeof page &&
         fdatasync(fd) == 0 && ok;
    (void)close(fd);
    return ok;
}

/* Where /readyz keeps clients away no block would ever tell that the disk is well again. */
static bool is_over(struct shard *sh)
{
    const int64_t now = mono_ms(), failed = atomic_load(&sh->write_failed_ms);

    if (now - failed < HOLD_MS || now < sh->probe_at_ms ||
        !presence_of_stream(sh->stream)) {
        return false;
    }
    sh->probe_at_ms = now + PROVE_MS;
    return takes_file(sh) && atomic_load(&sh->write_failed_ms) == failed;
}

/* A shard whose last block failed; NULL: there is none. No client has an ended stream, whose
 * folder may go. */
static const struct shard *find_unwritten(const struct stream *st,
                                          struct shard *const *shards, uint32_t n)
{
    const struct shard *found = NULL;

    for (uint32_t i = 0; i < n; i++) {
        if (atomic_load(&shards[i]->write_errno) != 0) {
            if (atomic_load(&st->ended) || (found == NULL && is_over(shards[i]))) {
                atomic_store(&shards[i]->write_errno, 0);
            } else {
                found = found == NULL ? shards[i] : found;
            }
        }
    }
    return found;
}

void unwritten_look(struct stream *st, struct shard *const *shards, uint32_t n)
{
    struct spool *s = st->spool;
    const uint64_t bit = 1ull << st->id;
    const bool was = (atomic_load(&s->unwritten_streams) & bit) != 0;
    const struct shard *sh = find_unwritten(st, shards, n);
    const int why = sh == NULL ? 0 : atomic_load(&sh->write_errno);
    struct err e;

    if (n == 0 && !atomic_load(&st->ended)) {
        return; /* at the stop */
    }
    if ((why != 0) == was || (was && mono_ms() - st->unwritten_ms < TOLD_MS)) {
        return;
    }
    if (why != 0) {
        (void)err_errno(&e, why,
                        "stream \"%s\": a block can't be written to its segment",
                        st->name);
    }
    (void)pthread_mutex_lock(&s->lock);
    (void)snprintf(st->why_unwritten, sizeof st->why_unwritten, "%s",
                   why != 0 ? e.text : "");
    if (why != 0) {
        st->unwritten_ms = mono_ms();
        (void)atomic_fetch_or(&s->unwritten_streams, bit);
    } else {
        (void)atomic_fetch_and(&s->unwritten_streams, ~bit);
    }
    (void)pthread_mutex_unlock(&s->lock);
    if (!atomic_load(&st->ended)) {
        writable_tell(st, why != 0 ? e.text : NULL);
    }
}

/* Under lock. NULL: all blocks were written. */
static const char *unwritten_why(const struct spool *s)
{
    const uint32_t n = atomic_load(&s->n_streams);

    for (uint32_t i = 0; i < n; i++) {
        if ((atomic_load(&s->unwritten_streams) & (1ull << i)) != 0) {
            return s->streams[i]->why_unwritten;
        }
    }
    return NULL;
}

/* ---- both, and where the files are ---- */

bool spool_writable(const struct spool *s)
{
    return !atomic_load(&s->unwritable) && atomic_load(&s->away_streams) == 0 &&
           atomic_load(&s->unwritten_streams) == 0;
}

bool spool_stream_writable(const struct spool *s, int stream)
{
    return !atomic_load(&s->unwritable) && presence_of_stream(s->streams[stream]) &&
           (atomic_load(&s->unwritten_streams) & (1ull << stream)) == 0;
}

/* The disk's own trouble before that of one stream. */
void spool_why_unwritable(struct spool *s, char *out, size_t n)
{
    const bool disk = atomic_load(&s->unwritable) && !atomic_load(&s->away);
    const char *why = NULL;

    (void)pthread_mutex_lock(&s->lock);
    if (!disk) {
        why = presence_why(s);
        why = why == NULL ? unwritten_why(s) : why;
    }
    (void)snprintf(out, n, "%s", why == NULL ? s->why : why);
    (void)pthread_mutex_unlock(&s->lock);
}
