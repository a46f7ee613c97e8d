/* sluice inspect DIR */
#include <stdio.h>

#include "base/err.h"
#include "cli/cli.h"
#include "server/supervisor.h"
#include "spool/inspect.h"

static void show(void *arg, const struct spool_segment_info *i)
{
    (void)arg;
    (void)printf("stream=%s shard=%u.%u segment=%lu first=%lu events=%lu "
                 "blocks=%lu bytes=%lu of=%lu status=%s\n",
                 i->stream, i->epoch, i->worker, (unsigned long)i->number,
                 (unsigned long)i->first, (unsigned long)i->events,
                 (unsigned long)i->blocks, (unsigned long)i->bytes,
                 (unsigned long)i->size, i->status);
}

int cli_inspect(int argc, char **argv)
{
    const struct spool_visitor v = {.segment = show};
    struct err e;

    if (argc != 2) {
        (void)fputs("usage: sluice inspect DIR (of a spool, such as "
                    "data/spool)\n",
                    stderr);
        return EXIT_USAGE;
    }
    if (!spool_visit(argv[1], &v, &e)) {
        (void)fprintf(stderr, "sluice: %s\n", e.text);
        return 1;
    }
    return 0;
}
