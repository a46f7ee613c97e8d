#include "server/linked.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "process/landlock.h"

enum { LINKS_MAX = 40 }; /* as many as the kernel follows */

void linked_folder(const char *path, char out[PATH_MAX])
{
    const char *slash = strrchr(path, '/');
    int n = slash == NULL ? 0 : slash == path ? 1 : (int)(slash - path);

    (void)snprintf(out, PATH_MAX, "%.*s", n == 0 ? 1 : n, n == 0 ? "." : path);
}

/* A folder below the root: the root itself would be everything. path: what is meant in it,
 * which then is all. */
static bool read_folder(struct landlock *l, const char *folder, const char *path,
                        struct err *e)
{
    return landlock_read(l, strcmp(folder, "/") == 0 ? path : folder, e);
}

/* What the link says, from its folder. False: it is none, or too long. */
static bool link_text(const char *link, char out[PATH_MAX])
{
    char folder[PATH_MAX], text[PATH_MAX];
    ssize_t n = readlink(link, text, sizeof text - 1);

    if (n <= 0) {
        return false;
    }
    text[n] = '\0';
    if (text[0] == '/') {
        memcpy(out, text, (size_t)n + 1);
        return true;
    }
    linked_folder(link, folder);
    return snprintf(out, PATH_MAX, "%s/%s", folder, text) < PATH_MAX;
}

/* A deployment replaces a link by one to another folder beside the first: those that the
 * link and its target lie in, and those of the links on the way there. */
static bool read_links(struct landlock *l, const char *path, unsigned *left,
                       struct err *e)
{
    char part[PATH_MAX], folder[PATH_MAX], target[PATH_MAX];
    bool ok = true;

    for (const char *at = path; ok && *at != '\0' && *left > 0;) {
        at += strspn(at, "/");
        at += strcspn(at, "/");
        (void)snprintf(part, sizeof part, "%.*s", (int)(at - path), path);
        if (!link_text(part, target)) {
            continue;
        }
        (*left)--;
        linked_folder(part, folder);
        ok = (strcmp(folder, "/") == 0 || landlock_read(l, folder, e)) &&
             read_links(l, target, left, e);
        if (ok && realpath(part, target) != NULL) {
            linked_folder(target, folder);
            ok = read_folder(l, folder, target, e);
        }
    }
    return ok;
}

bool linked_read(struct landlock *l, const char *path, struct err *e)
{
    char folder[PATH_MAX];
    unsigned left = LINKS_MAX;

    if (path == NULL || path[0] == '\0') {
        return true;
    }
    linked_folder(path, folder);
    return read_folder(l, folder, path, e) && read_links(l, path, &left, e);
}
