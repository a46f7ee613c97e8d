#include "server/policies/quarantine.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/err.h"
#include "base/folder.h"
#include "base/write.h"

static const char *path_of(const char *spool_dir, char path[PATH_MAX])
{
    (void)snprintf(path, PATH_MAX, "%s/suspect", spool_dir);
    return path;
}

bool quarantine_write(const char *spool_dir, const struct quarantine *x, struct err *e)
{
    char path[PATH_MAX];
    FILE *f = write_stream(path_of(spool_dir, path), "w");
    bool ok;

    if (f == NULL) {
        return err_errno(e, errno, "%s", path);
    }
    ok = fprintf(f, "%s %lu %s:%d %s\n", x->hash, (unsigned long)x->generation, x->file,
                 x->line, x->route) > 0 &&
         fflush(f) == 0 && fsync(fileno(f)) == 0;
    if (!ok) {
        (void)err_errno(e, errno, "%s", path);
    }
    (void)fclose(f);
    return ok && folder_sync(spool_dir, e);
}

/* Only the hash decides anything; the rest is for messages. */
bool quarantine_read(const char *spool_dir, struct quarantine *x)
{
    char path[PATH_MAX], line[1024], place[400];
    FILE *f = fopen(path_of(spool_dir, path), "re");
    unsigned long generation = 0;
    char *colon;
    int n;

    *x = (struct quarantine){.line = 0};
    if (f == NULL) {
        return false;
    }
    if (fgets(line, sizeof line, f) == NULL) {
        line[0] = '\0';
    }
    (void)fclose(f);
    n = sscanf(line, "%64s %lu %399s %255[^\n]", x->hash, &generation, place, x->route);
    if (n < 1 || strlen(x->hash) != 64) {
        return false;
    }
    x->generation = generation;
    colon = n >= 3 ? strrchr(place, ':') : NULL;
    if (colon != NULL && sscanf(colon + 1, "%d", &x->line) == 1) {
        (void)snprintf(x->file, sizeof x->file, "%.*s", (int)(colon - place), place);
    }
    return true;
}

void quarantine_remove(const char *spool_dir)
{
    char path[PATH_MAX];

    (void)unlink(path_of(spool_dir, path));
}
