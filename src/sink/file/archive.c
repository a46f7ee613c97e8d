#include "sink/file/archive.h"

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
#include "base/write.h"

enum { BEGIN_TRIES = 4 };

static int64_t mono_ms(void)
{
    return (int64_t)(clock_mono_ns() / 1000000u);
}

void archive_init(struct archive *a, const char *stream, const char *dir,
                  const char *uuid)
{
    *a = (struct archive){.fd = -1};
    (void)snprintf(a->stream, sizeof a->stream, "%s", stream);
    (void)snprintf(a->dir, sizeof a->dir, "%s", dir);
    (void)snprintf(a->uuid8, sizeof a->uuid8, "%.8s", uuid);
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

void archive_move(struct archive *a, const char *dir)
{
    (void)snprintf(a->dir, sizeof a->dir, "%s", dir);
    archive_look_around(a);
}

int64_t archive_age_ms(const struct archive *a)
{
    return a->name[0] == '\0' ? 0 : mono_ms() - a->begun_mono_ms;
}

/* ---- the file in hand ---- */

void archive_forget_steps(struct archive *a, uint32_t from)
{
    a->n_steps = from; /* their ranges' room is used again */
}

void archive_note_step(struct archive *a, uint64_t length,
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

void archive_end_file(struct archive *a)
{
    if (a->fd >= 0) {
        (void)close(a->fd);
        a->fd = -1;
    }
    archive_forget_steps(a, 0);
    if (a->name[0] != '\0') {
        memcpy(a->last, a->name, sizeof a->last);
        a->last_length = a->length;
    }
    a->name[0] = '\0';
    a->length = 0;
    a->sealing = false;
    a->mentioned = false;
    a->named = false;
    a->renamed = false;
    a->unsynced = false;
    a->doubtful = false;
    a->told = false;
    a->pause_ms = a->again_mono_ms = 0;
}

/* Whether the .part still has its name, and its bytes: it may have been taken away,
 * emptied, or its folder removed, and bytes written then are lost, or stand after a
 * hole. False and *e: not known. */
static bool look(const struct archive *a, bool *in_place, struct err *e)
{
    char part[ARCHIVE_PATH_BYTES], final[ARCHIVE_PATH_BYTES];
    struct stat st;

    archive_paths(a, part, final);
    if (stat(part, &st) != 0) {
        *in_place = false;
        return errno == ENOENT || errno == ENOTDIR || err_errno(e, errno, "%s", part);
    }
    *in_place =
        st.st_dev == a->dev && st.st_ino == a->ino && (uint64_t)st.st_size >= a->length;
    return true;
}

/* The .part was taken away: the frames in it count, and no more go into it. */
static void leave(struct archive *a)
{
    log_write(LOG_WARN, "archive_file_taken", "file=%s.part bytes=%lu", a->name,
              (unsigned long)a->length);
    archive_end_file(a);
}

/* The journal knows the name before the file is there: recovery cuts no other.
 * *again: another file got the name first. */
static bool begin_named(struct archive *a, struct journal *j, bool *again,
                        struct err *e)
{
    char part[ARCHIVE_PATH_BYTES], final[ARCHIVE_PATH_BYTES], id[ARCHIVE_ID_BYTES];
    struct record r = {.type = RECORD_FILE,
                       .id = archive_dir_id(a, id),
                       .stream = str_of(a->stream),
                       .name = str_of(a->name),
                       .time_ms = a->begun_ms};

    archive_paths(a, part, final);
    if (!journal_append(j, &r, e)) {
        return false;
    }
    if (archive_open_part(a, part, e)) {
        return true;
    }
    *again = a->fd < 0 && path_there(part) == 1;
    if (a->fd >= 0) {
        (void)close(a->fd);
        (void)unlink(part); /* ours, and empty: another name is taken next */
        a->fd = -1;
    }
    return false;
}

static bool begin_file(struct archive *a, enum compress how, struct journal *j,
                       struct err *e)
{
    /* An operator may have removed it. */
    bool again = folder_make(a->dir, e);

    for (int i = 0; again && i < BEGIN_TRIES; i++) {
        again = false;
        if (!archive_next_name(a, how, e)) {
            return false;
        }
        a->length = 0;
        a->compress = how;
        a->begun_ms = clock_wall_ms();
        a->begun_mono_ms = mono_ms();
        if (begin_named(a, j, &again, e)) {
            return true;
        }
        a->number--;
        a->name[0] = '\0';
    }
    return false;
}

static bool write_frame(struct archive *a, struct str frame, struct err *e)
{
    if (!write_at(a->fd, frame.p, frame.n, a->length)) {
        int why = errno;

        (void)!ftruncate(a->fd, (off_t)a->length);
        return err_errno(e, why, "%s/%s.part: write", a->dir, a->name);
    }
    return true;
}

/* ---- the file on the disk ---- */

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

/* ---- append ---- */

static bool put_frame(struct archive *a, enum compress how, struct str frame,
                      bool synced, struct journal *j, struct err *e)
{
    if ((a->doubtful || a->renamed) && !archive_seal(a, j, e)) {
        return false;
    }
    if (a->name[0] != '\0') {
        bool in_place;

        if (!look(a, &in_place, e)) {
            return false;
        }
        if (!in_place) {
            leave(a);
        }
    }
    if (a->name[0] == '\0' && !begin_file(a, how, j, e)) {
        return false;
    }
    if (!write_frame(a, frame, e)) {
        return false;
    }
    a->unsynced = true;
    return !synced || sync_file(a, e);
}

/* Into the file in hand, which has its name afterwards too; else into a new one. */
static bool put_in_place(struct archive *a, enum compress how, struct str frame,
                         bool synced, struct journal *j, struct err *e)
{
    bool in_place = false;

    for (int i = 0; i < BEGIN_TRIES && !in_place; i++) {
        bool put = put_frame(a, how, frame, synced, j, e);
        struct err why;

        /* Also when it failed: a removed folder can't be synced. */
        if (a->name[0] == '\0' || a->renamed) {
            return false;
        }
        if (!look(a, &in_place, put ? e : &why)) {
            return false;
        }
        if (in_place) {
            return put;
        }
        leave(a);
    }
    return err_set(e, "%s: files are taken away as soon as they are begun", a->dir);
}

/* A journal whose sync failed may hold the record of a frame that does not count. The
 * file keeps the frame until the journal is written again: a start that found the record
 * without it would call the file damaged. */
static bool journal_holds(const struct archive *a, const struct journal *j,
                          struct err *e)
{
    return !journal_poisoned(j) ||
           err_set(e, "%s/%s.part: the journal's sync failed, it is not rewritten yet",
                   a->dir, a->name);
}

bool archive_append(struct archive *a, enum compress how, struct str frame,
                    const struct batch *b, bool synced, struct journal *j,
                    struct err *e)
{
    struct record r = {.type = RECORD_FILE,
                       .stream = str_of(a->stream),
                       .ranges = b->ranges,
                       .n_ranges = b->n_ranges};

    if (!journal_holds(a, j, e) || !put_in_place(a, how, frame, synced, j, e)) {
        return false;
    }
    r.id = str_of(a->unsynced ? "" : RECORD_FILE_SYNCED);
    r.name = str_of(a->name);
    r.value = a->length + frame.n;
    r.time_ms = a->begun_ms;
    a->mentioned = true; /* also when the sync fails: the record is there */
    if (!journal_append(j, &r, e) || (synced && !journal_sync(j, e))) {
        return false;
    }
    a->length += frame.n;
    archive_note_step(a, a->length, b->ranges, b->n_ranges);
    return true;
}

/* ---- seal ---- */

/* Nothing in it counts. A record of a frame that was not synced may be in the journal
 * all the same: it is withdrawn, because otherwise it would say that a consumer has
 * taken events that are about to be deleted. */
static bool discard(struct archive *a, const char *part, struct journal *j,
                    struct err *e)
{
    struct record r = {
        .type = RECORD_SEAL, .stream = str_of(a->stream), .name = str_of(a->name)};

    if (a->mentioned && (!journal_append(j, &r, e) || !journal_sync(j, e))) {
        return false;
    }
    if (unlink(part) != 0 && errno != ENOENT) {
        return err_errno(e, errno, "%s", part);
    }
    archive_end_file(a);
    return true;
}

/* No other file is begun before: the journal forgets this one then, and after a power
 * cut it would stay a .part. */
static bool keep_name(struct archive *a, struct err *e)
{
    if (!folder_sync(a->dir, e) && path_there(a->dir) != 0) {
        return false;
    }
    archive_end_file(a);
    return true;
}

static bool give_name(struct archive *a, const char *part, const char *final,
                      struct journal *j, struct err *e)
{
    char id[ARCHIVE_ID_BYTES];
    struct record r = {.type = RECORD_SEAL,
                       .id = archive_dir_id(a, id),
                       .stream = str_of(a->stream),
                       .name = str_of(a->name),
                       .value = a->length,
                       .time_ms = a->begun_ms};

    if (ftruncate(a->fd, (off_t)a->length) != 0) {
        return err_errno(e, errno, "%s: cut", part);
    }
    if (a->doubtful && !archive_copy(a, e)) {
        return false;
    }
    /* A finished file is whole, and known, also after a power cut. */
    if (!sync_file(a, e) || !journal_append(j, &r, e) || !journal_sync(j, e) ||
        !archive_rename(part, final, e)) {
        return false;
    }
    a->renamed = true;
    return keep_name(a, e);
}

bool archive_seal(struct archive *a, struct journal *j, struct err *e)
{
    char part[ARCHIVE_PATH_BYTES], final[ARCHIVE_PATH_BYTES];
    bool in_place;

    if (a->name[0] == '\0') {
        return true;
    }
    if (a->renamed) {
        return keep_name(a, e);
    }
    if (!look(a, &in_place, e)) {
        return false;
    }
    if (!in_place) {
        leave(a);
        return true;
    }
    if (!journal_holds(a, j, e)) {
        return false;
    }
    archive_paths(a, part, final);
    return a->length == 0 ? discard(a, part, j, e) : give_name(a, part, final, j, e);
}

/* ---- the journal, written again ---- */

/* s NULL: that it was begun. */
static void emit_file(const struct archive *a, const struct archive_step *s,
                      struct journal_draft *draft)
{
    char id[ARCHIVE_ID_BYTES];
    struct record r = {.type = RECORD_FILE,
                       .time_ms = a->begun_ms,
                       .id = s == NULL     ? archive_dir_id(a, id)
                             : a->unsynced ? str_of("")
                                           : str_of(RECORD_FILE_SYNCED),
                       .stream = str_of(a->stream),
                       .name = str_of(a->name)};

    if (s != NULL) {
        r.value = s->length;
        r.ranges = s->ranges;
        r.n_ranges = s->n;
    }
    journal_emit(draft, &r);
}

void archive_emit(struct archive *a, struct journal_draft *draft)
{
    char id[ARCHIVE_ID_BYTES];
    struct record last = {.type = RECORD_SEAL,
                          .stream = str_of(a->stream),
                          .name = str_of(a->last),
                          .value = a->last_length};

    /* Its number is not used again, also when a consumer has taken every file. */
    if (a->last[0] != '\0') {
        journal_emit(draft, &last);
    }
    if (a->renamed) {
        last = (struct record){.type = RECORD_SEAL,
                               .id = archive_dir_id(a, id),
                               .stream = str_of(a->stream),
                               .name = str_of(a->name),
                               .value = a->length,
                               .time_ms = a->begun_ms};
        journal_emit(draft, &last);
        return;
    }
    /* With its bytes on the disk one record says as much as all of them. */
    if (a->fd >= 0 && a->unsynced && !a->doubtful) {
        a->doubtful = fdatasync(a->fd) != 0;
        a->unsynced = a->doubtful;
    }
    if (!a->unsynced && !a->doubtful && a->n_steps > 1) {
        archive_forget_steps(a, 0);
        archive_note_step(a, a->length, NULL, 0);
    }
    if (a->name[0] != '\0') {
        emit_file(a, NULL, draft);
    }
    for (uint32_t i = 0; i < a->n_steps; i++) {
        emit_file(a, &a->steps[i], draft);
    }
}
