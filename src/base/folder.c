#include "base/folder.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/err.h"

bool folder_sync(const char *folder, struct err *e)
{
    int fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    bool ok;

    if (fd < 0) {
        return err_errno(e, errno, "%s", folder);
    }
    ok = fsync(fd) == 0 || err_errno(e, errno, "%s: fsync", folder);
    (void)close(fd);
    return ok;
}

bool folder_sync_of(const char *path, struct err *e)
{
    const char *slash = strrchr(path, '/');
    char folder[PATH_MAX];

    (void)snprintf(folder, sizeof folder, "%.*s",
                   slash == NULL   ? 1
                   : slash == path ? 1
                                   : (int)(slash - path),
                   slash == NULL ? "." : path);
    return folder_sync(folder, e);
}

int path_there(const char *path)
{
    if (access(path, F_OK) == 0) {
        return 1;
    }
    return errno == ENOENT || errno == ENOTDIR ? 0 : -1;
}

bool folder_make(const char *folder, struct err *e)
{
    char path[PATH_MAX];
    const char *p = folder;

    if (strlen(folder) >= sizeof path) {
        return err_set(e, "the folder's path is too long: %.60s", folder);
    }
    do {
        struct stat st;

        p = strchr(p + 1, '/');
        (void)snprintf(path, sizeof path, "%.*s",
                       p == NULL ? (int)strlen(folder) : (int)(p - folder), folder);
        if (mkdir(path, 0750) == 0) {
            continue;
        }
        if (errno != EEXIST) {
            return err_errno(e, errno, "can't make the folder %s", path);
        }
        if (stat(path, &st) == 0 && !S_ISDIR(st.st_mode)) {
            return err_set(e, "can't make the folder %s: a file has that name", path);
        }
    } while (p != NULL);
    return true;
}
