#include "delivery/progress.h"

#include <errno.h>
#include <stdio.h>
#include <unistd.h>

#include "base/err.h"
#include "base/folder.h"
#include "base/write.h"

/* The last word tells that the line is whole. */
#define LINE "sluice-replay-1 %lx %lu %lu %u %lx %lx %lu %lu %lu "

bool progress_read(const char *path, struct progress *p, struct err *e)
{
    FILE *f = fopen(path, "re");
    unsigned long v[8] = {0};
    unsigned n = 0;
    int end = 0, got;

    if (f == NULL) {
        return err_errno(e, errno, "%s", path);
    }
    got = fscanf(f, LINE "end%n", &v[0], &v[1], &v[2], &n, &v[3], &v[4], &v[5], &v[6],
                 &v[7], &end);
    (void)fclose(f);
    *p = (struct progress){.id = v[0],
                           .done = v[1],
                           .end = v[2],
                           .n = n,
                           .settled = {v[3], v[4]},
                           .replayed = v[5],
                           .again = v[6],
                           .unreadable = v[7]};
    if (got != 9 || end == 0 || p->id == 0 || p->done > p->end ||
        p->n > PROGRESS_LETTERS) {
        return err_set(e, "%s does not say which letters are replayed", path);
    }
    return true;
}

bool progress_write(const char *path, const struct progress *p, struct err *e)
{
    char fresh[4200];
    FILE *f;
    bool ok;

    (void)snprintf(fresh, sizeof fresh, "%s.new", path);
    f = write_stream(fresh, "w");
    if (f == NULL) {
        return err_errno(e, errno, "%s", fresh);
    }
    ok = fprintf(f, LINE "end\n", (unsigned long)p->id, (unsigned long)p->done,
                 (unsigned long)p->end, p->n, (unsigned long)p->settled[0],
                 (unsigned long)p->settled[1], (unsigned long)p->replayed,
                 (unsigned long)p->again, (unsigned long)p->unreadable) > 0;
    ok = ok && fflush(f) == 0 && fdatasync(fileno(f)) == 0;
    if (!ok) {
        (void)err_errno(e, errno, "%s", fresh);
    }
    (void)fclose(f);
    if (ok && rename(fresh, path) != 0) {
        ok = err_errno(e, errno, "%s", path);
    }
    return ok && folder_sync_of(path, e);
}
