#include "index/roster.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/crc32c.h"
#include "base/err.h"
#include "base/folder.h"
#include "base/mem.h"
#include "base/read.h"
#include "base/write.h"

#define TITLE "sluice streams 1\n"

enum {
    CRC_LINE_BYTES = 13, /* "crc 0a1b2c3d\n" */
    LINE_BYTES = sizeof(struct roster_skip) + 64,
    TEXT_BYTES = (ROSTER_MAX + ROSTER_SKIPS_MAX + 4) * LINE_BYTES
};

static void path_of(char out[PATH_MAX], const char *spool)
{
    (void)snprintf(out, PATH_MAX, "%s/" ROSTER_FILE, spool);
}

/* ---- the list ---- */

static struct roster_stream *stream_of(const struct roster *r, const char *name)
{
    for (uint32_t i = 0; i < r->n; i++) {
        if (strcmp(r->list[i].name, name) == 0) {
            return &r->list[i];
        }
    }
    return NULL;
}

/* What it forgets it does not know any more, as if it began then. */
static void forget_one(struct roster *r)
{
    struct roster_stream *oldest = NULL;

    for (uint32_t i = 0; i < r->n; i++) {
        struct roster_stream *s = &r->list[i];

        if (s->until_ms != 0 && (oldest == NULL || s->until_ms < oldest->until_ms)) {
            oldest = s;
        }
    }
    if (oldest != NULL) {
        r->begin = r->until > r->begin ? r->until : r->begin;
        r->begin_ms = oldest->until_ms > r->begin_ms ? oldest->until_ms : r->begin_ms;
        r->lost_ms = oldest->until_ms > r->lost_ms ? oldest->until_ms : r->lost_ms;
        *oldest = r->list[--r->n];
    }
}

static struct roster_stream *add(struct roster *r, const char *name)
{
    struct roster_stream *s;

    if (r->n == ROSTER_MAX) {
        forget_one(r);
    }
    if (r->n == r->room) {
        r->room = r->room == 0 ? 16 : 2 * r->room;
        r->list = mem_realloc(r->list, r->room * sizeof *r->list);
    }
    s = &r->list[r->n++];
    *s = (struct roster_stream){.shards = 0};
    (void)snprintf(s->name, sizeof s->name, "%s", name);
    return s;
}

void roster_begin(struct roster *r, uint32_t epoch, int64_t now_ms)
{
    if (r->until == 0 || r->until + 1 != epoch) {
        r->begin = epoch;
        r->begin_ms = now_ms;
    }
    r->until = epoch;
}

void roster_meet(struct roster *r, const char *stream, const struct roster_shards *has)
{
    struct roster_stream *s = stream_of(r, stream);
    /* One that begins now says nothing of what has left before. */
    const bool all = has->whole && (r->begin == r->until ||
                                    has->older == (s == NULL ? 0 : s->shards));

    s = s == NULL ? add(r, stream) : s;
    s->shards = all ? has->last + has->older : ROSTER_LEFT;
    s->until_ms = 0;
}

bool roster_has(const struct roster *r, const char *stream)
{
    const struct roster_stream *s = stream_of(r, stream);

    return s != NULL && s->until_ms == 0;
}

static bool is_among(const char *name, const char *const *names, uint32_t n)
{
    for (uint32_t i = 0; i < n; i++) {
        if (strcmp(name, names[i]) == 0) {
            return true;
        }
    }
    return false;
}

bool roster_note(struct roster *r, const char *const *names, uint32_t n, int64_t now_ms)
{
    bool changed = false;

    for (uint32_t i = 0; i < r->n; i++) {
        struct roster_stream *s = &r->list[i];

        if (s->until_ms == 0 && !is_among(s->name, names, n)) {
            s->until_ms = now_ms;
            s->shards = ROSTER_LEFT; /* nobody counts them now */
            changed = true;
        }
    }
    for (uint32_t i = 0; i < n; i++) {
        struct roster_stream *s = stream_of(r, names[i]);

        changed |= s == NULL || s->until_ms != 0;
        s = s == NULL ? add(r, names[i]) : s;
        s->until_ms = 0;
    }
    return changed;
}

bool roster_note_skips(struct roster *r, const struct roster_skip *list, uint32_t n)
{
    bool changed = n != r->n_skips;

    for (uint32_t i = 0; i < n && !changed; i++) {
        changed = strcmp(list[i].stream, r->skips[i].stream) != 0 ||
                  strcmp(list[i].sink, r->skips[i].sink) != 0;
    }
    if (changed) {
        r->skips = mem_realloc(r->skips, (n + 1) * sizeof *r->skips);
        if (n > 0) {
            memcpy(r->skips, list, n * sizeof *list);
        }
        r->n_skips = n;
    }
    return changed;
}

bool roster_skips(const struct roster *r, const char *stream, const char *sink)
{
    for (uint32_t i = 0; i < r->n_skips; i++) {
        if (strcmp(r->skips[i].stream, stream) == 0 &&
            strcmp(r->skips[i].sink, sink) == 0) {
            return true;
        }
    }
    return false;
}

struct roster_known roster_known(const struct roster *r, const char *stream)
{
    const struct roster_stream *s = stream_of(r, stream);

    return (struct roster_known){
        .epoch = r->begin, .shards = s == NULL ? 0 : s->shards, .ms = r->begin_ms};
}

void roster_free(struct roster *r)
{
    free(r->list);
    free(r->skips);
    *r = (struct roster){.n = 0};
}

/* ---- the file ---- */

static bool take_skip(struct roster *r, const char *line)
{
    struct roster_skip k;
    int n = 0;

    if (sscanf(line, "skip %71s %95s%n", k.stream, k.sink, &n) != 2 ||
        line[n] != '\0' || r->n_skips == ROSTER_SKIPS_MAX) {
        return false;
    }
    r->skips = mem_realloc(r->skips, (r->n_skips + 1) * sizeof *r->skips);
    r->skips[r->n_skips++] = k;
    return true;
}

static bool take_line(struct roster *r, const char *line)
{
    struct roster_stream s = {.shards = 0};
    int n = 0;

    if (sscanf(line, "begin %" SCNu32 " %" SCNd64 "%n", &r->begin, &r->begin_ms, &n) ==
            2 &&
        line[n] == '\0') {
        return true;
    }
    if (sscanf(line, "until %" SCNu32 "%n", &r->until, &n) == 1 && line[n] == '\0') {
        return true;
    }
    if (sscanf(line, "lost %" SCNd64 "%n", &r->lost_ms, &n) == 1 && line[n] == '\0') {
        return true;
    }
    if (sscanf(line, "stream %71s %" SCNu32 " %" SCNd64 "%n", s.name, &s.shards,
               &s.until_ms, &n) != 3 ||
        line[n] != '\0' || r->n == ROSTER_MAX) {
        return take_skip(r, line);
    }
    *add(r, s.name) = s;
    return true;
}

static bool parse(struct roster *r, char *text, size_t n, struct err *e)
{
    const size_t n_title = strlen(TITLE);
    char last[CRC_LINE_BYTES + 1], *rest;

    if (n < n_title + CRC_LINE_BYTES || memcmp(text, TITLE, n_title) != 0) {
        return err_set(e, "it is no list of streams of this version, or is cut");
    }
    n -= CRC_LINE_BYTES;
    (void)snprintf(last, sizeof last, "crc %08" PRIx32 "\n", crc32c(0, text, n));
    if (memcmp(text + n, last, CRC_LINE_BYTES) != 0 || memchr(text, '\0', n) != NULL) {
        return err_set(e, "its checksum is wrong");
    }
    text[n] = '\0';
    for (char *line = strtok_r(text + n_title, "\n", &rest); line != NULL;
         line = strtok_r(NULL, "\n", &rest)) {
        if (!take_line(r, line)) {
            return err_set(e, "\"%.60s\" is no line of a list of streams", line);
        }
    }
    return (r->begin > 0 && r->until >= r->begin) ||
           err_set(e, "it says neither where it begins nor where it ends");
}

enum roster_read roster_read(struct roster *r, const char *spool, struct err *e)
{
    char path[PATH_MAX], *text;
    struct err why;
    ssize_t n;
    bool ok;
    int fd;

    *r = (struct roster){.n = 0};
    path_of(path, spool);
    fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) {
        const bool none = errno == ENOENT;

        (void)err_errno(e, errno, "%s", path);
        return none ? ROSTER_NONE : ROSTER_BAD;
    }
    text = mem_alloc(TEXT_BYTES + 1);
    n = read_at(fd, text, TEXT_BYTES, 0);
    ok = n < 0
             ? err_errno(e, errno, "%s", path)
             : parse(r, text, (size_t)n, &why) || err_set(e, "%s: %s", path, why.text);
    (void)close(fd);
    free(text);
    if (!ok) {
        roster_free(r);
    }
    return ok ? ROSTER_READ : ROSTER_BAD;
}

static char *text_of(const struct roster *r, size_t *n)
{
    char *text = mem_alloc((r->n + r->n_skips + 4) * (size_t)LINE_BYTES);
    int at = snprintf(text, LINE_BYTES,
                      TITLE "begin %" PRIu32 " %" PRId64 "\nuntil %" PRIu32
                            "\nlost %" PRId64 "\n",
                      r->begin, r->begin_ms, r->until, r->lost_ms);

    for (uint32_t i = 0; i < r->n; i++) {
        const struct roster_stream *s = &r->list[i];

        at += snprintf(text + at, LINE_BYTES, "stream %s %" PRIu32 " %" PRId64 "\n",
                       s->name, s->shards, s->until_ms);
    }
    for (uint32_t i = 0; i < r->n_skips; i++) {
        at += snprintf(text + at, LINE_BYTES, "skip %s %s\n", r->skips[i].stream,
                       r->skips[i].sink);
    }
    at += snprintf(text + at, LINE_BYTES, "crc %08" PRIx32 "\n",
                   crc32c(0, text, (size_t)at));
    *n = (size_t)at;
    return text;
}

bool roster_write(const struct roster *r, const char *spool, struct err *e)
{
    char path[PATH_MAX];
    size_t n;
    char *text = text_of(r, &n);
    bool ok;

    path_of(path, spool);
    ok = write_replace(path, text, n, e);
    free(text);
    return ok;
}

void roster_void(const char *spool)
{
    char path[PATH_MAX];
    struct err e;
    int fd;

    path_of(path, spool);
    fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0640);
    if (fd >= 0) {
        (void)fdatasync(fd); /* a power cut would bring the text back */
        (void)close(fd);
        (void)!folder_sync_of(path, &e); /* it may be new */
    }
}
