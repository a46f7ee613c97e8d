#include "server/index/newest.h"

#include <dirent.h>
#include <limits.h>
#include <stdio.h>
#include <sys/stat.h>

static void see_shard(const char *path, int64_t *ms)
{
    DIR *dir = opendir(path);
    struct dirent *d;
    struct stat st;

    while (dir != NULL && (d = readdir(dir)) != NULL) {
        if (d->d_name[0] != '.' && fstatat(dirfd(dir), d->d_name, &st, 0) == 0) {
            const int64_t at =
                (int64_t)st.st_mtim.tv_sec * 1000 + st.st_mtim.tv_nsec / 1000000;

            *ms = at > *ms ? at : *ms;
        }
    }
    if (dir != NULL) {
        (void)closedir(dir);
    }
}

int64_t newest_write_ms(const char *stream_dir, int64_t ms)
{
    char path[PATH_MAX];
    DIR *dir = opendir(stream_dir);
    struct dirent *d;
    unsigned epoch, worker;

    while (dir != NULL && (d = readdir(dir)) != NULL) {
        if (sscanf(d->d_name, "%u.%u", &epoch, &worker) == 2) {
            (void)snprintf(path, sizeof path, "%s/%s", stream_dir, d->d_name);
            see_shard(path, &ms);
        }
    }
    if (dir != NULL) {
        (void)closedir(dir);
    }
    return ms;
}
