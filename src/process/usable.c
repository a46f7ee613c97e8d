#include "process/usable.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/err.h"

enum { DEPTH_MAX = 8 };

struct walk {
    const char *suffix;
    struct err *first;
    unsigned n_unusable;
};

/* Who owns it, and what the process is. */
static void describe(const char *path, const char *verb, int errnum, struct err *e)
{
    struct stat st;

    if (stat(path, &st) != 0) {
        (void)err_set(e, "user %u can't %s %s: %s", (unsigned)geteuid(), verb, path,
                      strerror(errnum));
        return;
    }
    (void)err_set(e, "user %u can't %s %s, which belongs to user %u (mode %04o)",
                  (unsigned)geteuid(), verb, path, (unsigned)st.st_uid,
                  (unsigned)st.st_mode & 07777);
}

static void note(struct walk *w, const char *path, int errnum)
{
    if (w->n_unusable++ == 0) {
        describe(path, "write", errnum, w->first);
    }
}

static bool ends_with(const char *name, const char *suffix)
{
    size_t n = strlen(name), k = suffix == NULL ? 0 : strlen(suffix);

    return n >= k && memcmp(name + n - k, suffix == NULL ? "" : suffix, k) == 0;
}

static void look_at(struct walk *w, const char *path, int depth);

static void look_into(struct walk *w, const char *dir, int depth)
{
    char path[PATH_MAX];
    struct dirent *x;
    DIR *list = opendir(dir);

    if (list == NULL) {
        note(w, dir, errno);
        return;
    }
    while ((x = readdir(list)) != NULL) {
        if (strcmp(x->d_name, ".") != 0 && strcmp(x->d_name, "..") != 0 &&
            snprintf(path, sizeof path, "%s/%s", dir, x->d_name) < (int)sizeof path) {
            look_at(w, path, depth - 1);
        }
    }
    (void)closedir(list);
}

static void look_at(struct walk *w, const char *path, int depth)
{
    struct stat st;

    if (lstat(path, &st) != 0) {
        if (errno != ENOENT) {
            note(w, path, errno);
        }
    } else if (S_ISDIR(st.st_mode)) {
        if (access(path, R_OK | W_OK | X_OK) != 0) {
            note(w, path, errno);
        } else if (depth > 0) {
            look_into(w, path, depth);
        }
    } else if (S_ISREG(st.st_mode) && ends_with(path, w->suffix) &&
               access(path, (st.st_mode & S_IWUSR) != 0 ? R_OK | W_OK : R_OK) != 0 &&
               errno != ENOENT) {
        note(w, path, errno);
    }
}

bool usable_tree(const char *dir, const char *suffix, struct err *e)
{
    struct err first = {""};
    struct walk w = {.suffix = suffix, .first = &first};

    look_at(&w, dir, DEPTH_MAX);
    if (w.n_unusable > 1) {
        return err_set(e, "%s; %u more files and folders are like that", first.text,
                       w.n_unusable - 1);
    }
    return w.n_unusable == 0 || err_set(e, "%s", first.text);
}

bool usable_folder(const char *dir, struct err *e)
{
    if (access(dir, R_OK | W_OK | X_OK) != 0 && errno != ENOENT) {
        describe(dir, "write to", errno, e);
        return false;
    }
    return true;
}

bool usable_to_read(const char *path, struct err *e)
{
    if (access(path, R_OK) != 0 && errno != ENOENT) {
        describe(path, "read", errno, e);
        return false;
    }
    return true;
}
