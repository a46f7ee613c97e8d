#include "delivery/dead.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/crc32c.h"
#include "base/err.h"
#include "base/folder.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/read.h"
#include "base/text.h"
#include "decode/quote.h"

#define TELL_EVERY_NS 1000000000ull
enum { MARK_TAIL = 256, CUT_MAX = 256 << 20 };

enum { FRAME_BYTES = 2048, WHY_MAX = 600 };

void dead_init(struct dead *d, const char *data_dir, const char *sink)
{
    *d = (struct dead){.fd = -1};
    (void)snprintf(d->sink, sizeof d->sink, "%s", sink);
    (void)snprintf(d->path, sizeof d->path, "%s/dead/sink-%s.ndjson", data_dir, sink);
}

static bool make_folder(const struct dead *d, struct err *e)
{
    char dir[sizeof d->path];

    (void)snprintf(dir, sizeof dir, "%s", d->path);
    *strrchr(dir, '/') = '\0';
    return mkdir(dir, 0750) == 0 || errno == EEXIST || err_errno(e, errno, "%s", dir);
}

/* Whether the open file is the one of that name. */
static bool still_there(const struct dead *d)
{
    struct stat named, open;

    return stat(d->path, &named) == 0 && fstat(d->fd, &open) == 0 &&
           named.st_ino == open.st_ino && named.st_dev == open.st_dev;
}

/* The file that has the name now, and its length. */
static bool open_file(struct dead *d, struct err *e)
{
    struct stat st;

    if (d->fd >= 0 && !still_there(d)) {
        (void)close(d->fd);
        d->fd = -1;
    }
    if (d->fd < 0) {
        if (!make_folder(d, e)) {
            return false;
        }
        d->fd = open(d->path, O_RDWR | O_CREAT | O_APPEND | O_CLOEXEC, 0640);
        if (d->fd < 0) {
            return err_errno(e, errno, "%s", d->path);
        }
        if (!folder_sync_of(d->path, e)) {
            (void)close(d->fd); /* its name is synced before a letter counts */
            d->fd = -1;
            return false;
        }
    }
    if (fstat(d->fd, &st) != 0) {
        return err_errno(e, errno, "%s", d->path);
    }
    d->length = (uint64_t)st.st_size;
    return true;
}

/* Which file it is, and its last bytes before length. */
static bool make_mark(const struct dead *d, uint64_t length, char mark[DEAD_MARK_BYTES],
                      struct err *e)
{
    char tail[MARK_TAIL];
    size_t n = length < sizeof tail ? (size_t)length : sizeof tail;
    struct stat st;
    ssize_t got = read_at(d->fd, tail, n, length - n);

    if (got < 0 || fstat(d->fd, &st) != 0) {
        return err_errno(e, errno, "%s: read", d->path);
    }
    (void)snprintf(mark, DEAD_MARK_BYTES, "%lx-%08x", (unsigned long)st.st_ino,
                   crc32c(0, tail, (size_t)got));
    return true;
}

/* Of a letter's event: a client's text has no such quotes behind the last ones of the
 * line. {NULL, 0}: there is none. */
static struct str position_in(const char *p, size_t n)
{
    static const char key[] = "\"position\":\"";
    const char *at = NULL, *end = p + n, *next = p, *quote;

    while ((next = memmem(next, (size_t)(end - next), key, sizeof key - 1)) != NULL) {
        next += sizeof key - 1;
        at = next;
    }
    quote = at == NULL ? NULL : memchr(at, '"', (size_t)(end - at));
    return quote == NULL ? (struct str){NULL, 0}
                         : (struct str){at, (size_t)(quote - at)};
}

/* Whether the event there is still to be delivered, so that its letter will be put
 * again. */
static bool is_owed(const struct dead *d, struct str position)
{
    struct position where;

    return d->owes == NULL || (position.p != NULL && position_read(position, &where) &&
                               d->owes(d->arg, &where));
}

/* Whether the line is a letter of this sink that will be put again, or the beginning of
 * one. A whole letter without a line's end is one that people have put back. */
static bool is_ours(const struct dead *d, const char *p, size_t n, bool ended)
{
    static const char head[] = "{\"event\":";
    const struct str position = position_in(p, n);
    char frame[160];

    if (memcmp(p, head, n < sizeof head - 1 ? n : sizeof head - 1) != 0) {
        return false;
    }
    if (!ended && (p[n - 1] != '}' || position.p == NULL)) {
        return true;
    }
    (void)snprintf(frame, sizeof frame, ",\"sink\":\"%s\",\"stream\":\"", d->sink);
    return memmem(p, n, frame, strlen(frame)) != NULL && is_owed(d, position);
}

/* Only letters of this sink that will be put again, the last one torn perhaps. People
 * append others. */
static bool only_letters(const struct dead *d, const char *p, size_t n)
{
    size_t at = 0;

    while (at < n) {
        const char *end = memchr(p + at, '\n', n - at);
        size_t line = end == NULL ? n - at : (size_t)(end - p) - at;

        if (!is_ours(d, p + at, line, end != NULL)) {
            return false;
        }
        at += line + 1;
    }
    return true;
}

/* The bytes after length: letters that the journal does not know, or another program's
 * text. */
static bool cut_unknown(struct dead *d, uint64_t length, struct err *e)
{
    size_t n = (size_t)(d->length - length);
    ssize_t got;
    char *p;
    bool cut;

    if (n > CUT_MAX) {
        return true; /* more than one attempt puts */
    }
    p = mem_alloc(n + 1);
    got = read_at(d->fd, p, n, length);
    cut = got == (ssize_t)n && only_letters(d, p, n);
    free(p);
    if (got < 0) {
        return err_errno(e, errno, "%s: read", d->path);
    }
    if (!cut) {
        return true;
    }
    if (ftruncate(d->fd, (off_t)length) != 0) {
        return err_errno(e, errno, "%s", d->path);
    }
    d->length = length;
    return true;
}

bool dead_open(struct dead *d, uint64_t length, const char *mark, struct err *e)
{
    char now[DEAD_MARK_BYTES];
    struct stat st;

    if (stat(d->path, &st) != 0) {
        d->length = d->synced = d->kept = 0; /* none yet, or it was taken away */
        return errno == ENOENT || errno == ENOTDIR ||
               err_errno(e, errno, "%s", d->path);
    }
    if (!open_file(d, e)) {
        return false;
    }
    if (length != UINT64_MAX && d->length > length && mark[0] != '\0') {
        if (!make_mark(d, length, now, e) ||
            (strcmp(now, mark) == 0 && !cut_unknown(d, length, e))) {
            return false;
        }
    }
    d->kept = d->synced = d->begun = d->length;
    return make_mark(d, d->length, d->mark, e);
}

uint64_t dead_bytes(const struct dead *d)
{
    struct stat st;

    return stat(d->path, &st) == 0 ? (uint64_t)st.st_size : 0;
}

/* People may have appended a letter without the end of its line. */
static bool end_line(struct dead *d, struct err *e)
{
    char last = '\n';
    off_t end;

    if (d->length > 0 && read_at(d->fd, &last, 1, d->length - 1) < 0) {
        return err_errno(e, errno, "%s: read", d->path);
    }
    if (last == '\n') {
        return true;
    }
    if (write(d->fd, "\n", 1) != 1 || (end = lseek(d->fd, 0, SEEK_CUR)) < 0) {
        return err_errno(e, errno, "%s", d->path);
    }
    d->length = (uint64_t)end;
    return true;
}

bool dead_begin(struct dead *d, bool *tell, struct err *e)
{
    char now[DEAD_MARK_BYTES];

    if (!open_file(d, e) || !end_line(d, e) || !make_mark(d, d->length, now, e)) {
        return false;
    }
    *tell = d->length != d->kept || strcmp(now, d->mark) != 0;
    memcpy(d->mark, now, sizeof now);
    d->begun = d->length;
    d->synced = d->length;
    d->whole = true;
    return true;
}

/* To the end of the file, wherever that is by now. */
static bool append(struct dead *d, size_t n, struct err *e)
{
    ssize_t w = write(d->fd, d->line, n);
    int why = w < 0 ? errno : ENOSPC;
    off_t end = w < 0 ? 0 : lseek(d->fd, 0, SEEK_CUR);
    struct stat st;

    if (w == (ssize_t)n && end >= 0) {
        d->whole &= (uint64_t)end - n == d->length;
        d->length = (uint64_t)end;
        return true;
    }
    /* A part of a line that is the last in the file is ours. */
    if (w > 0 && end >= w && fstat(d->fd, &st) == 0 && st.st_size == end) {
        (void)!ftruncate(d->fd, end - w);
    }
    return err_errno(e, why, "%s", d->path);
}

bool dead_put(struct dead *d, const struct dead_letter *l, struct err *e)
{
    size_t room = l->event.n + FRAME_BYTES + 6 * WHY_MAX, n;
    struct str why = {l->why.p, text_cut(l->why, WHY_MAX)};
    char position[POSITION_MAX];

    if (room > d->line_room) {
        d->line_room = room;
        d->line = mem_realloc(d->line, room);
    }
    n = (size_t)snprintf(d->line, room,
                         "{\"event\":%.*s,\"sink\":\"%.*s\","
                         "\"stream\":\"%.*s\",\"reason\":\"refused\","
                         "\"code\":%d,\"why\":",
                         (int)l->event.n, l->event.p, (int)l->sink.n, l->sink.p,
                         (int)l->at.stream.n, l->at.stream.p, l->code);
    (void)position_write(&l->at, position);
    /* A server's words may be cut within a character, or be no UTF-8 at all. */
    n += quote_mended(why, d->line + n);
    n += (size_t)snprintf(d->line + n, room - n,
                          ",\"position\":\"%s\",\"time\":%ld,"
                          "\"generation\":%lu}\n",
                          position, (long)l->time_ms, (unsigned long)l->generation);
    return append(d, n, e);
}

static void tell(struct dead *d)
{
    char quoted[400];

    log_write(LOG_WARN, "dead_letter", "sink=%s events=%lu code=%d why=%s", d->sink,
              (unsigned long)d->untold, d->untold_code,
              log_quote(quoted, sizeof quoted, d->untold_why));
    d->untold = 0;
}

void dead_tell(struct dead *d, int code, const char *why, uint32_t n)
{
    uint64_t now = clock_mono_ns();

    d->untold += n;
    d->untold_code = code;
    (void)snprintf(d->untold_why, sizeof d->untold_why, "%s", why);
    if (d->told_ns == 0 || now - d->told_ns >= TELL_EVERY_NS) {
        d->told_ns = now;
        tell(d);
    }
}

bool dead_sync(struct dead *d, struct err *e)
{
    struct stat st;

    if (fstat(d->fd, &st) == 0 && st.st_nlink == 0) {
        return err_set(e, "%s was deleted while letters were written to it", d->path);
    }
    if (d->synced != d->length && fdatasync(d->fd) != 0) {
        return err_errno(e, errno, "%s: fdatasync", d->path);
    }
    d->synced = d->length;
    return make_mark(d, d->length, d->mark, e);
}

void dead_keep(struct dead *d)
{
    /* A later attempt may fail before its first letter: then nothing of this one is
     * taken back. */
    d->kept = d->begun = d->length;
}

/* Where another program has written between or after them, letters are there twice
 * then: their positions tell. */
void dead_rewind(struct dead *d)
{
    struct stat st;

    if (d->fd >= 0 && d->whole && d->length > d->begun && fstat(d->fd, &st) == 0 &&
        (uint64_t)st.st_size == d->length) {
        (void)!ftruncate(d->fd, (off_t)d->begun);
    }
    d->kept = UINT64_MAX; /* the journal is told again */
}

void dead_close(struct dead *d)
{
    if (d->untold > 0) {
        tell(d);
    }
    if (d->fd >= 0) {
        (void)close(d->fd);
    }
    free(d->line);
    d->fd = -1;
    d->line = NULL;
}
