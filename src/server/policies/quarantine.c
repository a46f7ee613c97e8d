#include "server/policies/quarantine.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/err.h"
#include "base/folder.h"
#include "base/log.h"
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

/* "/etc/my policy.lua:7 POST /v1/events": the name may have spaces, and a route begins with
 * a word and a slash. */
static void read_place(const char *text, struct quarantine *x)
{
    const char *end = NULL;
    int line = 0, n = 0;

    for (const char *p = strchr(text, ':'); p != NULL; p = strchr(p + 1, ':')) {
        if (sscanf(p, ":%d %*[A-Z] %n", &line, &n) == 1 && p[n] == '/') {
            end = p;
            x->line = line;
            (void)snprintf(x->route, sizeof x->route, "%s", strchr(p, ' ') + 1);
        }
        n = 0;
    }
    if (end != NULL) {
        (void)snprintf(x->file, sizeof x->file, "%.*s", (int)(end - text), text);
    }
}

/* Only the hash decides anything; the rest is for messages. */
bool quarantine_read(const char *spool_dir, struct quarantine *x)
{
    char path[PATH_MAX], line[1024];
    FILE *f = fopen(path_of(spool_dir, path), "re");
    unsigned long generation = 0;
    int n, at = 0;

    *x = (struct quarantine){.line = 0};
    if (f == NULL) {
        return false;
    }
    if (fgets(line, sizeof line, f) == NULL) {
        line[0] = '\0';
    }
    (void)fclose(f);
    n = sscanf(line, "%64s %lu %n", x->hash, &generation, &at);
    if (n < 1 || strlen(x->hash) != 64) {
        return false;
    }
    x->generation = generation;
    line[strcspn(line, "\n")] = '\0';
    if (n == 2) {
        read_place(line + at, x);
    }
    return true;
}

void quarantine_remove(const char *spool_dir)
{
    char path[PATH_MAX];

    (void)unlink(path_of(spool_dir, path));
}

const char *quarantine_place(const struct quarantine *x, char *out, size_t room)
{
    char place[sizeof x->file + 16];

    (void)snprintf(place, sizeof place, "%s:%d", x->file, x->line);
    if (log_word(out, room, place) == place) {
        (void)snprintf(out, room, "%s", place);
    }
    return out;
}
