/* sluice inspect [--verify | --salvage OUT] DIR: reads only, takes no lock. */
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/err.h"
#include "base/write.h"
#include "cli/cli.h"
#include "cli/commands.h"
#include "cli/show.h"
#include "cli/spool_folder.h"
#include "server/supervisor.h"
#include "spool/inspect.h"
#include "spool/spool.h"

struct inspection {
    bool quiet;      /* segments are not listed */
    const char *out; /* salvage: the folder; NULL: none */
    char stream[128];
    FILE *file; /* of that stream, in out */
    uint64_t segments, blocks, events, bytes;
    uint64_t damaged, lost, unreadable;
    int why; /* errno of a write that failed */
};

static void on_segment(void *arg, const struct spool_segment_info *i)
{
    struct inspection *n = arg;

    n->segments++;
    n->blocks += i->blocks;
    n->events += i->events;
    n->bytes += i->bytes;
    n->damaged += i->n_damaged;
    n->lost += i->lost;
    n->unreadable += i->error != 0;
    if (n->quiet) {
        return;
    }
    show_part(stdout,
              "stream=%s shard=%u.%u segment=%lu first=%lu events=%lu blocks=%lu "
              "bytes=%lu of=%lu status=%s",
              i->stream, i->epoch, i->worker, (unsigned long)i->number,
              (unsigned long)i->first, (unsigned long)i->events,
              (unsigned long)i->blocks, (unsigned long)i->bytes, (unsigned long)i->size,
              i->status);
    if (i->n_damaged > 0) {
        (void)printf(" damaged=%lu lost=%lu", (unsigned long)i->n_damaged,
                     (unsigned long)i->lost);
    }
    (void)printf(i->error == 0 ? "\n" : " why=\"%s\"\n", strerror(i->error));
}

static void on_damage(void *arg, const struct spool_segment_info *i, uint64_t from,
                      uint64_t to, uint64_t events)
{
    (void)arg;
    show_line(
        stdout,
        "stream=%s shard=%u.%u segment=%lu damage offset=%lu bytes=%lu events=%lu",
        i->stream, i->epoch, i->worker, (unsigned long)i->number, (unsigned long)from,
        (unsigned long)(to - from), (unsigned long)events);
}

/* ---- salvage ---- */

static bool close_file(struct inspection *n)
{
    if (n->file != NULL && fclose(n->file) != 0 && n->why == 0) {
        n->why = errno;
    }
    n->file = NULL;
    return n->why == 0;
}

/* A file is made, never one that is there overwritten. */
static bool open_file(struct inspection *n, const char *stream)
{
    char path[PATH_MAX];

    if (n->file != NULL && strcmp(n->stream, stream) == 0) {
        return true;
    }
    if (!close_file(n)) {
        return false;
    }
    (void)snprintf(n->stream, sizeof n->stream, "%s", stream);
    (void)snprintf(path, sizeof path, "%s/%s.ndjson", n->out, stream);
    n->file = write_stream(path, "wx");
    n->why = n->file == NULL ? errno : 0;
    return n->file != NULL;
}

static bool on_block(void *arg, const struct spool_segment_info *i,
                     const struct spool_block *b)
{
    struct inspection *n = arg;

    if (!open_file(n, i->stream)) {
        return false;
    }
    if (fwrite(b->payload, 1, b->payload_bytes, n->file) != b->payload_bytes) {
        n->why = errno;
    }
    return n->why == 0;
}

/* ---- the command ---- */

static int report(struct inspection *n, bool verify)
{
    if (n->out != NULL && (!close_file(n) || n->why != 0)) {
        show_line(stderr, "sluice: %s/%s.ndjson: %s", n->out, n->stream,
                  strerror(n->why));
        return 1;
    }
    if (!verify && n->out == NULL) {
        return 0;
    }
    (void)printf("event=%s segments=%lu blocks=%lu events=%lu bytes=%lu damaged=%lu "
                 "lost_events=%lu unreadable_segments=%lu\n",
                 verify ? "verified" : "salvaged", (unsigned long)n->segments,
                 (unsigned long)n->blocks, (unsigned long)n->events,
                 (unsigned long)n->bytes, (unsigned long)n->damaged,
                 (unsigned long)n->lost, (unsigned long)n->unreadable);
    return n->damaged > 0 || n->unreadable > 0;
}

int cli_inspect(int argc, char **argv)
{
    bool verify = argc == 3 && strcmp(argv[1], "--verify") == 0;
    bool salvage = argc == 4 && strcmp(argv[1], "--salvage") == 0;
    struct inspection n = {.quiet = salvage};
    struct spool_visitor v = {.segment = on_segment, .arg = &n};
    char dir[PATH_MAX];
    struct err e;
    bool ok;
    int code;

    if (argc < 2 || (argc != 2 && !verify && !salvage) || argv[argc - 1][0] == '-') {
        return usage_wrong("inspect");
    }
    v.damage = verify || salvage ? on_damage : NULL;
    if (salvage) {
        n.out = argv[2];
        v.block = on_block;
        if (mkdir(n.out, 0750) != 0) {
            show_line(stderr, "sluice: %s: %s", n.out, strerror(errno));
            return 1;
        }
    }
    ok = spool_folder(argv[argc - 1], dir, &e) && spool_visit(dir, &v, &e);
    if (!ok) {
        show_error(e.text);
    }
    /* A folder that can't be listed does not hide what the others have. */
    code = ok || n.segments > 0 ? report(&n, verify) : 1;
    return ok ? code : 1;
}
