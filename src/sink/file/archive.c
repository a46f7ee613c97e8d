#include "sink/file/archive.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/err.h"
#include "base/folder.h"
#include "base/log.h"
#include "base/mem.h"
#include "sink/file/frame.h"

enum { PATH_BYTES = 4096 };

static const char *const suffixes[] = {[COMPRESS_NONE] = ".ndjson",
                                       [COMPRESS_GZIP] = ".ndjson.gz",
                                       [COMPRESS_ZSTD] = ".ndjson.zst"};

void archive_init(struct archive *a, const char *stream, const char *dir,
                  const char *uuid)
{
    *a = (struct archive){.fd = -1};
    (void)snprintf(a->stream, sizeof a->stream, "%s", stream);
    (void)snprintf(a->dir, sizeof a->dir, "%s", dir);
    (void)snprintf(a->uuid8, sizeof a->uuid8, "%.8s", uuid);
}

static void forget_steps(struct archive *a, uint32_t from)
{
    a->n_steps = from; /* their ranges' room is used again */
}

void archive_fini(struct archive *a)
{
    if (a->fd >= 0) {
        (void)close(a->fd);
    }
    for (uint32_t i = 0; i < a->steps_room; i++) {
        free(a->steps[i].ranges);
    }
    free(a->steps);
}

static void note_step(struct archive *a, uint64_t length,
                      const struct batch_range *ranges, uint32_t n)
{
    struct archive_step *s;

    if (a->n_steps == a->steps_room) {
        a->steps_room = a->steps_room == 0 ? 64 : 2 * a->steps_room;
        a->steps = mem_realloc(a->steps, a->steps_room * sizeof *a->steps);
        memset(a->steps + a->n_steps, 0,
               (a->steps_room - a->n_steps) * sizeof *a->steps);
    }
    s = &a->steps[a->n_steps++];
    s->length = length;
    s->n = n;
    if (n > s->room) {
        free(s->ranges);
        s->room = n;
        s->ranges = mem_alloc(n * sizeof *ranges);
    }
    if (n > 0) {
        memcpy(s->ranges, ranges, n * sizeof *ranges);
    }
}

static void settle_steps(struct archive *a, sink_settle_fn *settle, void *arg)
{
    for (uint32_t i = 0; i < a->n_steps; i++) {
        settle(arg, str_of(a->stream), a->steps[i].ranges, a->steps[i].n);
    }
}

static void end_file(struct archive *a)
{
    forget_steps(a, 0);
    a->name[0] = '\0';
    a->length = 0;
    a->sealing = false;
    a->mentioned = false;
    a->named = false;
    a->unsynced = false;
    a->doubtful = false;
}

static uint64_t number_of(const struct archive *a, const char *name)
{
    size_t n = strlen(a->stream);

    if (strncmp(name, a->stream, n) != 0 || name[n] != '-' ||
        strncmp(name + n + 1, a->uuid8, 8) != 0 || name[n + 9] != '-') {
        return 0;
    }
    return strtoull(name + n + 10, NULL, 10);
}

static enum compress compress_of(const char *name)
{
    size_t n = strlen(name);

    return n > 4 && strcmp(name + n - 4, ".zst") == 0  ? COMPRESS_ZSTD
           : n > 3 && strcmp(name + n - 3, ".gz") == 0 ? COMPRESS_GZIP
                                                       : COMPRESS_NONE;
}

/* Frames that an earlier record has at or behind the end of this one: their journal
 * could not be synced, so that they were to be written again. */
static void forget_undone(struct archive *a, const struct record *r)
{
    uint64_t most = r->type == RECORD_FILE ? r->value - 1 : r->value;
    uint32_t n = a->n_steps;

    while (n > 0 && a->steps[n - 1].length > most) {
        n--;
    }
    forget_steps(a, n);
}

void archive_replay(struct archive *a, const struct record *r,
                    sink_settle_fn *settle, void *arg)
{
    char name[sizeof a->name];
    const char *slash;

    (void)snprintf(name, sizeof name, "%.*s", (int)r->name.n, r->name.p);
    if (strcmp(name, a->name) != 0) {
        /* Another file: the one before had come to its end. */
        settle_steps(a, settle, arg);
        end_file(a);
        memcpy(a->name, name, sizeof name);
        a->begun_ms = r->time_ms;
        a->compress = compress_of(name);
        slash = strrchr(name, '/');
        a->number = number_of(a, slash == NULL ? name : slash + 1);
    }
    a->mentioned = true;
    a->length = r->value;
    forget_undone(a, r);
    if (r->type == RECORD_FILE) {
        note_step(a, r->value, r->ranges, r->n_ranges);
        a->sealing = false; /* its rename had failed: it was gone on with */
    } else {
        a->sealing = true;
    }
}

static void paths(const struct archive *a, char *part, char *final)
{
    (void)snprintf(final, PATH_BYTES, "%s/%s", a->dir, a->name);
    (void)snprintf(part, PATH_BYTES, "%s/%s.part", a->dir, a->name);
}

/* A .part that the journal never heard of holds frames that do not count: their
 * events are still in the spool. */
static void drop_orphan(const struct archive *a, const char *name)
{
    size_t n = strlen(name), k = strlen(a->name);
    char path[PATH_BYTES];

    if (n > 5 && strcmp(name + n - 5, ".part") == 0 &&
        !(n == k + 5 && strncmp(name, a->name, k) == 0)) {
        (void)snprintf(path, sizeof path, "%s/%s", a->dir, name);
        (void)unlink(path);
    }
}

/* The newest number in the folder, for a journal that knows of none. */
static void look_around(struct archive *a, bool journaled)
{
    DIR *at = opendir(a->dir);
    struct dirent *d;

    while (at != NULL && (d = readdir(at)) != NULL) {
        uint64_t n = number_of(a, d->d_name);

        a->number = n > a->number ? n : a->number;
        if (n > 0 && journaled) {
            drop_orphan(a, d->d_name);
        }
    }
    if (at != NULL) {
        (void)closedir(at);
    }
}

static bool recover_sealed(struct archive *a, struct err *e)
{
    char part[PATH_BYTES], final[PATH_BYTES];
    struct stat st;

    paths(a, part, final);
    if (access(final, F_OK) != 0 && stat(part, &st) == 0) {
        if ((uint64_t)st.st_size > a->length &&
            truncate(part, (off_t)a->length) != 0) {
            return err_errno(e, errno, "%s: cut", part);
        }
        if (rename(part, final) != 0) {
            return err_errno(e, errno, "%s: rename", part);
        }
    }
    end_file(a);
    /* The journal forgets the file from here on: after a power cut nobody would
     * give it its name again. */
    return folder_sync(a->dir, e);
}

/* How many of the frames that the journal knows are whole in the file. Those
 * before the last rewrite of the journal are on the disk: it synced them. */
static uint32_t whole_frames(const struct archive *a, uint64_t size)
{
    uint64_t from = 0;
    uint32_t i;

    for (i = 0; i < a->n_steps && a->steps[i].length <= size; i++) {
        struct str bytes = {NULL, a->steps[i].length - from};
        char *p;
        bool ok;

        if (a->steps[i].n > 0 && bytes.n > 0) {
            p = mem_alloc(bytes.n);
            bytes.p = p;
            ok = pread(a->fd, p, bytes.n, (off_t)from) == (ssize_t)bytes.n &&
                 frame_check(a->compress, bytes);
            free(p);
            if (!ok) {
                break;
            }
        }
        from = a->steps[i].length;
    }
    return i;
}

/* The file in hand lost its end to a power cut: back to the last frame that is
 * whole; what came after is delivered again, as far as the spool still has it. */
static void step_back(struct archive *a, uint64_t size, uint32_t keep)
{
    log_write(LOG_WARN, "archive",
              "file=%s status=damaged expected=%lu found=%lu frames_again=%u",
              a->name, (unsigned long)a->length, (unsigned long)size,
              a->n_steps - keep);
    forget_steps(a, keep);
    a->length = keep > 0 ? a->steps[keep - 1].length : 0;
}

static bool recover_open(struct archive *a, struct err *e)
{
    char part[PATH_BYTES], final[PATH_BYTES];
    struct stat st;
    uint32_t keep;

    paths(a, part, final);
    if (stat(part, &st) != 0) {
        if (errno != ENOENT) {
            return err_errno(e, errno, "%s", part);
        }
        /* Somebody took it away: what is in it was delivered. */
        log_write(LOG_WARN, "archive", "file=%s.part status=gone", a->name);
        a->name[0] = '\0';
        return true;
    }
    a->fd = open(part, O_RDWR | O_CLOEXEC);
    if (a->fd < 0) {
        return err_errno(e, errno, "%s", part);
    }
    keep = whole_frames(a, (uint64_t)st.st_size);
    if (keep < a->n_steps) {
        step_back(a, (uint64_t)st.st_size, keep);
    }
    if (ftruncate(a->fd, (off_t)a->length) != 0) {
        return err_errno(e, errno, "%s: cut", part);
    }
    a->unsynced = true;
    return true;
}

bool archive_recover(struct archive *a, sink_settle_fn *settle, void *arg,
                     struct journal *j, struct err *e)
{
    /* Without a journal nobody knows what counts: all is kept. */
    look_around(a, journal_bytes(j) > 0);
    if (a->name[0] == '\0') {
        return true;
    }
    if (!a->sealing && !recover_open(a, e)) {
        return false;
    }
    settle_steps(a, settle, arg);
    if (a->sealing) {
        return recover_sealed(a, e);
    }
    if (a->name[0] == '\0') {
        end_file(a);
    }
    return true;
}

void archive_move(struct archive *a, const char *dir)
{
    (void)snprintf(a->dir, sizeof a->dir, "%s", dir);
    look_around(a, false);
}

static bool begin_file(struct archive *a, enum compress how, int64_t wall_ms,
                       struct err *e)
{
    char part[PATH_BYTES], final[PATH_BYTES];

    (void)snprintf(a->name, sizeof a->name, "%s-%s-%08lu%s", a->stream,
                   a->uuid8, (unsigned long)a->number + 1, suffixes[how]);
    paths(a, part, final);
    a->fd = open(part, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0640);
    if (a->fd < 0) {
        a->name[0] = '\0';
        return err_errno(e, errno, "%s", part);
    }
    a->number++;
    a->length = 0;
    a->compress = how;
    a->begun_ms = wall_ms;
    return true;
}

static bool write_frame(struct archive *a, struct str frame, struct err *e)
{
    size_t done = 0;

    while (done < frame.n) {
        ssize_t n = pwrite(a->fd, frame.p + done, frame.n - done,
                           (off_t)(a->length + done));

        if (n < 0 && errno == EINTR) {
            continue;
        }
        if (n <= 0) {
            int why = n == 0 ? EIO : errno;

            (void)!ftruncate(a->fd, (off_t)a->length);
            return err_errno(e, why, "%s/%s.part: write", a->dir, a->name);
        }
        done += (size_t)n;
    }
    return true;
}

/* A failed sync may have dropped pages of any frame since the last good one:
 * the file is given up from here, and what is in doubt is written anew. */
static bool sync_file(struct archive *a, struct err *e)
{
    if (a->unsynced && fdatasync(a->fd) != 0) {
        a->doubtful = true;
        return err_errno(e, errno, "%s/%s.part: fdatasync", a->dir, a->name);
    }
    a->unsynced = false;
    if (!a->named && !folder_sync(a->dir, e)) {
        return false;
    }
    a->named = true;
    return true;
}

bool archive_append(struct archive *a, enum compress how, struct str frame,
                    const struct batch *b, bool synced, int64_t wall_ms,
                    struct journal *j, struct err *e)
{
    struct record r = {.type = RECORD_FILE,
                       .stream = str_of(a->stream),
                       .ranges = b->ranges,
                       .n_ranges = b->n_ranges};

    /* Its pages may be clean in the cache and not on the disk, and a second sync
     * would say that all is well: what is tried again goes to a new file. */
    if (a->doubtful && !archive_seal(a, j, e)) {
        return false;
    }
    if (a->name[0] == '\0' && !begin_file(a, how, wall_ms, e)) {
        return false;
    }
    if (!write_frame(a, frame, e)) {
        return false;
    }
    a->unsynced = true;
    if (synced && !sync_file(a, e)) {
        return false;
    }
    r.name = str_of(a->name);
    r.value = a->length + frame.n;
    r.time_ms = a->begun_ms;
    if (!journal_append(j, &r, e) || (synced && !journal_sync(j, e))) {
        return false;
    }
    a->mentioned = true;
    a->length += frame.n;
    note_step(a, a->length, b->ranges, b->n_ranges);
    return true;
}

bool archive_seal(struct archive *a, struct journal *j, struct err *e)
{
    char part[PATH_BYTES], final[PATH_BYTES];
    struct record r = {.type = RECORD_SEAL,
                       .stream = str_of(a->stream),
                       .name = str_of(a->name),
                       .value = a->length,
                       .time_ms = a->begun_ms};

    if (a->name[0] == '\0') {
        return true;
    }
    paths(a, part, final);
    if (a->length == 0) {
        (void)unlink(part);
    } else {
        if (ftruncate(a->fd, (off_t)a->length) != 0) {
            return err_errno(e, errno, "%s: cut", part);
        }
        /* A finished file is whole, and known, also after a power cut. */
        if (!sync_file(a, e) || !journal_append(j, &r, e) ||
            !journal_sync(j, e)) {
            return false;
        }
        if (rename(part, final) != 0) {
            return err_errno(e, errno, "%s: rename", part);
        }
        if (!folder_sync(a->dir, e)) {
            /* The file has its name; after a power cut recovery gives it again. */
            char quoted[600];

            log_write(LOG_WARN, "archive", "file=%s why=%s", a->name,
                      log_quote(quoted, sizeof quoted, e->text));
        }
    }
    (void)close(a->fd);
    a->fd = -1;
    end_file(a);
    return true;
}

void archive_emit(struct archive *a, struct journal_draft *draft)
{
    /* With its bytes on the disk one record says as much as all of them. */
    if (a->fd >= 0 && a->unsynced && fdatasync(a->fd) == 0) {
        a->unsynced = false;
    }
    if (!a->unsynced && a->n_steps > 1) {
        forget_steps(a, 0);
        note_step(a, a->length, NULL, 0);
    }
    for (uint32_t i = 0; i < a->n_steps; i++) {
        struct record r = {.type = RECORD_FILE,
                           .time_ms = a->begun_ms,
                           .value = a->steps[i].length,
                           .stream = str_of(a->stream),
                           .name = str_of(a->name),
                           .ranges = a->steps[i].ranges,
                           .n_ranges = a->steps[i].n};

        journal_emit(draft, &r);
    }
}
