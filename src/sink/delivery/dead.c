#include "sink/delivery/dead.h"

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
#include "base/text.h"
#include "decode/quote.h"

#define TELL_EVERY_NS 1000000000ull

enum { FRAME_BYTES = 2048, WHY_MAX = 600 };

void dead_init(struct dead *d, const char *data_dir, const char *sink)
{
    *d = (struct dead){.fd = -1};
    (void)snprintf(d->path, sizeof d->path, "%s/dead/sink-%s.ndjson", data_dir,
                   sink);
}

static bool make_folder(const struct dead *d, struct err *e)
{
    char dir[sizeof d->path];

    (void)snprintf(dir, sizeof dir, "%s", d->path);
    *strrchr(dir, '/') = '\0';
    return mkdir(dir, 0750) == 0 || errno == EEXIST ||
           err_errno(e, errno, "%s", dir);
}

/* Whether the open file is the one of that name. */
static bool still_there(const struct dead *d)
{
    struct stat named, open;

    return stat(d->path, &named) == 0 && fstat(d->fd, &open) == 0 &&
           named.st_ino == open.st_ino && named.st_dev == open.st_dev;
}

static bool open_file(struct dead *d, struct err *e)
{
    if (d->fd >= 0 && still_there(d)) {
        return true;
    }
    if (d->fd >= 0) {
        (void)close(d->fd);
        d->length = d->synced = d->kept = 0;
    }
    if (!make_folder(d, e)) {
        return false;
    }
    d->fd = open(d->path, O_RDWR | O_CREAT | O_CLOEXEC, 0640);
    return d->fd >= 0 ? folder_sync_of(d->path, e) : err_errno(e, errno, "%s", d->path);
}

bool dead_open(struct dead *d, uint64_t length, struct err *e)
{
    struct stat st;

    if (stat(d->path, &st) != 0) {
        d->length = d->synced = d->kept = 0; /* none yet, or it was taken away */
        return true;
    }
    if (!open_file(d, e)) {
        return false;
    }
    if ((uint64_t)st.st_size > length && ftruncate(d->fd, (off_t)length) != 0) {
        return err_errno(e, errno, "%s", d->path);
    }
    d->kept = (uint64_t)st.st_size < length ? (uint64_t)st.st_size : length;
    d->length = d->synced = d->kept;
    return true;
}

bool dead_put(struct dead *d, const struct dead_letter *l, struct err *e)
{
    size_t room = l->event.n + FRAME_BYTES + 6 * WHY_MAX, n;
    struct str why = {l->why.p, text_cut(l->why, WHY_MAX)};

    if (!open_file(d, e)) {
        return false;
    }
    if (room > d->line_room) {
        d->line_room = room;
        d->line = mem_realloc(d->line, room);
    }
    n = (size_t)snprintf(d->line, room, "{\"event\":%.*s,\"sink\":\"%.*s\","
                         "\"stream\":\"%.*s\",\"reason\":\"refused\","
                         "\"code\":%d,\"why\":",
                         (int)l->event.n, l->event.p, (int)l->sink.n, l->sink.p,
                         (int)l->stream.n, l->stream.p, l->code);
    /* A server's words may be cut within a character, or be no UTF-8 at all. */
    n += quote_mended(why, d->line + n);
    n += (size_t)snprintf(d->line + n, room - n,
                          ",\"position\":\"%s/%u.%u/%lu\",\"time\":%ld,"
                          "\"generation\":%lu}\n",
                          l->uuid, l->epoch, l->worker, (unsigned long)l->seq,
                          (long)l->time_ms, (unsigned long)l->generation);
    if (pwrite(d->fd, d->line, n, (off_t)d->length) != (ssize_t)n) {
        return err_errno(e, errno, "%s", d->path);
    }
    d->length += n;
    return true;
}

void dead_tell(struct dead *d, const char *sink, int code, const char *why,
               uint32_t n)
{
    uint64_t now = clock_mono_ns();
    char quoted[400];

    d->untold += n;
    if (d->told_ns != 0 && now - d->told_ns < TELL_EVERY_NS) {
        return;
    }
    log_write(LOG_WARN, "dead_letter", "sink=%s events=%lu code=%d why=%s", sink,
              (unsigned long)d->untold, code,
              log_quote(quoted, sizeof quoted, why));
    d->told_ns = now;
    d->untold = 0;
}

bool dead_sync(struct dead *d, struct err *e)
{
    if (d->synced == d->length) {
        return true;
    }
    if (fdatasync(d->fd) != 0) {
        return err_errno(e, errno, "%s: fdatasync", d->path);
    }
    d->synced = d->length;
    return true;
}

void dead_keep(struct dead *d)
{
    d->kept = d->length;
}

void dead_rewind(struct dead *d)
{
    d->length = d->synced = d->kept;
}

void dead_close(struct dead *d)
{
    if (d->fd >= 0) {
        (void)close(d->fd);
    }
    free(d->line);
    d->fd = -1;
    d->line = NULL;
}
