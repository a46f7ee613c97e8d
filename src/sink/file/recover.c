/* An archive's file of an earlier process, by its journal. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/err.h"
#include "base/folder.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/read.h"
#include "sink/file/archive.h"
#include "sink/file/frame.h"

static void ack_steps(struct archive *a, sink_ack_fn *ack, void *arg)
{
    for (uint32_t i = 0; i < a->n_steps; i++) {
        ack(arg, str_of(a->stream), a->steps[i].ranges, a->steps[i].n);
    }
}

/* Frames that an earlier record has at or after the end of this one: their journal
 * could not be synced, so that they were to be written again. */
static void forget_undone(struct archive *a, const struct record *r)
{
    uint64_t most = r->type == RECORD_FILE && r->value > 0 ? r->value - 1 : r->value;
    uint32_t n = a->n_steps;

    while (n > 0 && a->steps[n - 1].length > most) {
        n--;
    }
    archive_forget_steps(a, n);
}

static void take_name(struct archive *a, const char *name, int64_t begun_ms)
{
    const char *slash = strrchr(name, '/');
    int64_t age = clock_wall_ms() - begun_ms;
    uint64_t number;

    (void)snprintf(a->name, sizeof a->name, "%s", name);
    a->begun_in[0] = '\0';
    a->begun_ms = begun_ms;
    a->begun_mono_ms = (int64_t)(clock_mono_ns() / 1000000u) - (age > 0 ? age : 0);
    a->compress = archive_compress_of(name);
    number = archive_number_of(a, slash == NULL ? name : slash + 1);
    a->number = number > a->number ? number : a->number;
}

void archive_replay(struct archive *a, const struct record *r, sink_ack_fn *ack,
                    void *arg)
{
    char name[sizeof a->name];

    (void)snprintf(name, sizeof name, "%.*s", (int)r->name.n, r->name.p);
    if (strcmp(name, a->name) != 0) {
        /* Another file: the one before had come to its end. */
        ack_steps(a, ack, arg);
        archive_end_file(a);
        take_name(a, name, r->time_ms);
    }
    a->mentioned = true;
    archive_take_dir(a, r->id);
    a->length = r->value;
    forget_undone(a, r);
    if (r->type == RECORD_FILE) {
        if (r->value > 0) {
            archive_note_step(a, r->value, r->ranges, r->n_ranges);
        }
        a->sealing = false; /* its rename had failed: it was gone on with */
    } else {
        a->sealing = true;
    }
}

/* ---- recovery ---- */

/* Whether one of its two names is in the folder: 1 or 0; -1 and *e: not known. */
static int lies_in(const struct archive *a, const char *dir, struct err *e)
{
    char path[ARCHIVE_PATH_BYTES];
    int there;

    (void)snprintf(path, sizeof path, "%s/%s.part", dir, a->name);
    there = path_there(path);
    if (there == 0) {
        (void)snprintf(path, sizeof path, "%s/%s", dir, a->name);
        there = path_there(path);
    }
    if (there < 0) {
        (void)err_errno(e, errno, "%s", path);
    }
    return there;
}

/* An earlier policy may have named another folder. */
static bool go_where_it_lies(struct archive *a, struct err *e)
{
    int there;

    if (a->begun_in[0] == '\0' || strcmp(a->begun_in, a->dir) == 0) {
        return true;
    }
    there = lies_in(a, a->dir, e);
    if (there == 0) {
        there = lies_in(a, a->begun_in, e);
        if (there == 1) {
            memcpy(a->dir, a->begun_in, sizeof a->dir);
            a->elsewhere = true;
        }
    }
    return there >= 0;
}

static bool cut_and_name(const struct archive *a, const char *part, const char *final,
                         const struct stat *st, struct err *e)
{
    if (a->length == 0) {
        return unlink(part) == 0 || err_errno(e, errno, "%s", part);
    }
    if ((uint64_t)st->st_size > a->length && truncate(part, (off_t)a->length) != 0) {
        return err_errno(e, errno, "%s: cut", part);
    }
    return archive_rename(part, final, e);
}

static bool recover_sealed(struct archive *a, struct err *e)
{
    char part[ARCHIVE_PATH_BYTES], final[ARCHIVE_PATH_BYTES];
    struct stat st;

    archive_paths(a, part, final);
    if (stat(final, &st) != 0) {
        if (errno != ENOENT) {
            return err_errno(e, errno, "%s", final);
        }
        if (stat(part, &st) == 0) {
            if (!cut_and_name(a, part, final, &st, e)) {
                return false;
            }
        } else if (errno != ENOENT) {
            return err_errno(e, errno, "%s", part);
        }
    }
    archive_end_file(a);
    /* The journal forgets the file from here on: after a power cut it would not get its
     * name again. */
    return folder_sync(a->dir, e);
}

/* One frame of the file as frame_make left it? *ok: so it is. False and *e: it can't
 * be read, which says nothing. */
static bool frame_whole(const struct archive *a, uint64_t from, size_t n, bool *ok,
                        struct err *e)
{
    char *p = mem_alloc(n);
    ssize_t got = read_at(a->fd, p, n, from);

    if (got < 0) {
        (void)err_errno(e, errno, "%s/%s.part: read", a->dir, a->name);
        free(p);
        return false;
    }
    *ok = (size_t)got == n && frame_check(a->compress, (struct str){p, n});
    free(p);
    return true;
}

/* How many of the frames that the journal knows are whole in the file. Those
 * before the last rewrite of the journal are on the disk: it synced them. */
static bool whole_frames(const struct archive *a, uint64_t size, uint32_t *n,
                         struct err *e)
{
    uint64_t from = 0;
    bool ok = true;

    for (*n = 0; *n < a->n_steps && a->steps[*n].length <= size; ++*n) {
        const struct archive_step *s = &a->steps[*n];

        if (s->n > 0 && s->length > from &&
            !frame_whole(a, from, (size_t)(s->length - from), &ok, e)) {
            return false;
        }
        if (!ok) {
            break;
        }
        from = s->length;
    }
    return true;
}

/* The file in hand lost its end to a power cut: back to the last whole frame; later
 * events are delivered again, as far as the spool still has them. */
static void step_back(struct archive *a, uint64_t size, uint32_t keep)
{
    log_write(LOG_WARN, "archive",
              "file=%s status=damaged expected=%lu found=%lu frames_again=%u", a->name,
              (unsigned long)a->length, (unsigned long)size, a->n_steps - keep);
    archive_forget_steps(a, keep);
    a->length = keep > 0 ? a->steps[keep - 1].length : 0;
}

static bool recover_open(struct archive *a, struct err *e)
{
    char part[ARCHIVE_PATH_BYTES], final[ARCHIVE_PATH_BYTES], quoted[3200];
    struct stat st;
    uint32_t keep;

    archive_paths(a, part, final);
    a->fd = open(part, O_RDWR | O_CLOEXEC);
    if (a->fd < 0 && errno == ENOENT) {
        /* It was taken away: its events are delivered. */
        if (a->length > 0) {
            log_write(LOG_WARN, "archive_file_taken", "file=%s.part bytes=%lu dir=%s",
                      a->name, (unsigned long)a->length,
                      log_quote(quoted, sizeof quoted,
                                a->begun_in[0] != '\0' ? a->begun_in : a->dir));
        }
        return true;
    }
    if (a->fd < 0 && errno == EACCES && a->elsewhere) {
        return err_errno(e, EACCES,
                         "%s was begun under another \"dir\": move it to the present "
                         "one, or start once with that one",
                         part);
    }
    if (a->fd < 0 || fstat(a->fd, &st) != 0) {
        return err_errno(e, errno, "%s", part);
    }
    a->dev = st.st_dev;
    a->ino = st.st_ino;
    if (!whole_frames(a, (uint64_t)st.st_size, &keep, e)) {
        return false;
    }
    if (keep < a->n_steps) {
        step_back(a, (uint64_t)st.st_size, keep);
    }
    if (ftruncate(a->fd, (off_t)a->length) != 0) {
        return err_errno(e, errno, "%s: cut", part);
    }
    a->unsynced = true;
    return true;
}

/* The .part is still there, so that a file with its last name is another program's: the
 * .part grows, as it would have without the stop. */
static bool look_at_name(struct archive *a, struct err *e)
{
    char part[ARCHIVE_PATH_BYTES], final[ARCHIVE_PATH_BYTES];
    int there;

    archive_paths(a, part, final);
    there = path_there(part);
    if (there < 0) {
        return err_errno(e, errno, "%s", part);
    }
    if (there == 1) {
        there = path_there(final);
        if (there < 0) {
            return err_errno(e, errno, "%s", final);
        }
        a->sealing = there == 0;
    }
    return true;
}

bool archive_recover(struct archive *a, sink_ack_fn *ack, void *arg, struct err *e)
{
    archive_look_around(a);
    if (a->name[0] == '\0') {
        return true;
    }
    if (!go_where_it_lies(a, e)) {
        return false;
    }
    archive_remove_copy(a);
    if (a->sealing && !look_at_name(a, e)) {
        return false;
    }
    if (a->sealing) {
        ack_steps(a, ack, arg);
        return recover_sealed(a, e);
    }
    if (!recover_open(a, e)) {
        return false;
    }
    ack_steps(a, ack, arg);
    if (a->fd < 0) {
        archive_end_file(a);
    }
    return true;
}
