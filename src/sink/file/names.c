/* The names of an archive's files: STREAM-UUID8-NUMBER.ndjson[.zst|.gz], and .part
 * after it while a file grows. A number is used once. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/err.h"
#include "base/folder.h"
#include "sink/file/archive.h"

static const char *const suffixes[] = {[COMPRESS_NONE] = ".ndjson",
                                       [COMPRESS_GZIP] = ".ndjson.gz",
                                       [COMPRESS_ZSTD] = ".ndjson.zst"};

uint64_t archive_number_of(const struct archive *a, const char *name)
{
    size_t n = strlen(a->stream);

    if (strncmp(name, a->stream, n) != 0 || name[n] != '-' ||
        strncmp(name + n + 1, a->uuid8, 8) != 0 || name[n + 9] != '-') {
        return 0;
    }
    return strtoull(name + n + 10, NULL, 10);
}

enum compress archive_compress_of(const char *name)
{
    size_t n = strlen(name);

    return n > 4 && strcmp(name + n - 4, ".zst") == 0  ? COMPRESS_ZSTD
           : n > 3 && strcmp(name + n - 3, ".gz") == 0 ? COMPRESS_GZIP
                                                       : COMPRESS_NONE;
}

void archive_paths(const struct archive *a, char *part, char *final)
{
    (void)snprintf(final, ARCHIVE_PATH_BYTES, "%s/%s", a->dir, a->name);
    (void)snprintf(part, ARCHIVE_PATH_BYTES, "%s/%s.part", a->dir, a->name);
}

/* Relative to the data directory, so that a copy of that leaves the original alone. */
struct str archive_dir_id(const struct archive *a, char *out)
{
    size_t n = a->root == NULL ? 0 : strlen(a->root);
    bool below = n > 0 && strncmp(a->dir, a->root, n) == 0 && a->dir[n] == '/';

    (void)snprintf(out, ARCHIVE_ID_BYTES, "%s%s", RECORD_FILE_DIR,
                   below ? a->dir + n + 1 : a->dir);
    return str_of(out);
}

void archive_take_dir(struct archive *a, struct str id)
{
    const size_t head = sizeof RECORD_FILE_DIR - 1;
    const char *dir = id.p + head;
    int n;

    if (id.n <= head || memcmp(id.p, RECORD_FILE_DIR, head) != 0) {
        return;
    }
    n = dir[0] == '/' || a->root == NULL
            ? snprintf(a->begun_in, sizeof a->begun_in, "%.*s", (int)(id.n - head), dir)
            : snprintf(a->begun_in, sizeof a->begun_in, "%s/%.*s", a->root,
                       (int)(id.n - head), dir);
    if (n >= (int)sizeof a->begun_in) {
        a->begun_in[0] = '\0';
    }
}

void archive_look_around(struct archive *a)
{
    DIR *at = opendir(a->dir);
    struct dirent *d;

    while (at != NULL && (d = readdir(at)) != NULL) {
        uint64_t n = archive_number_of(a, d->d_name);

        a->number = n > a->number ? n : a->number;
    }
    if (at != NULL) {
        (void)closedir(at);
    }
}

bool archive_next_name(struct archive *a, enum compress how, struct err *e)
{
    char part[ARCHIVE_PATH_BYTES], final[ARCHIVE_PATH_BYTES];
    int is_part, is_final;

    do {
        a->number++;
        (void)snprintf(a->name, sizeof a->name, "%s-%s-%08lu%s", a->stream, a->uuid8,
                       (unsigned long)a->number, suffixes[how]);
        archive_paths(a, part, final);
        is_part = path_there(part);
        is_final = is_part < 0 ? -1 : path_there(final);
        if (is_final < 0) {
            int why = errno;

            a->number--;
            a->name[0] = '\0';
            return err_errno(e, why, "%s", part);
        }
    } while (is_part == 1 || is_final == 1);
    return true;
}

static bool taken(const char *final, struct err *e)
{
    return err_set(e, "%s: another program made a file of that name; move it away",
                   final);
}

bool archive_rename(const char *part, const char *final, struct err *e)
{
    if (renameat2(AT_FDCWD, part, AT_FDCWD, final, RENAME_NOREPLACE) == 0) {
        return true;
    }
    if (errno == EEXIST) {
        return taken(final, e);
    }
    if (errno != EINVAL && errno != ENOSYS) {
        return err_errno(e, errno, "%s: rename", part);
    }
    /* The file system does not know RENAME_NOREPLACE. */
    if (path_there(final) == 1) {
        return taken(final, e);
    }
    return rename(part, final) == 0 || err_errno(e, errno, "%s: rename", part);
}
