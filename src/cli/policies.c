#include "cli/policies.h"

#include <ctype.h>
#include <dirent.h>
#include <fcntl.h>
#include <glob.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/mem.h"
#include "cli/show.h"
#include "policy/load/load.h"

struct candidate {
    char path[PATH_MAX];
    struct policy *policy; /* NULL: it is bad */
    struct policy_report report;
};

/* ---- what a file says, also one that can't be loaded ---- */

/* The files that lines take in are followed; a circle ends with one of these bounds. */
enum { DEPTH_MAX = 8, READS_MAX = 256 };

struct trail {
    const char *dir;    /* in which all names are looked up, as the loader does */
    const char *wanted; /* a file; NULL: a file with a route */
    unsigned reads;
};

static bool same_file(const char *a, const char *b)
{
    struct stat x, y;

    return stat(a, &x) == 0 && stat(b, &y) == 0 && x.st_dev == y.st_dev &&
           x.st_ino == y.st_ino;
}

/* The text that a call of word has on this line, as at route "POST /e"; NULL: no call is
 * in [line, end). The text begins behind its quotation mark. */
static const char *call_of(const char *line, const char *end, const char *word)
{
    for (const char *p = line; (p = strstr(p, word)) != NULL && p < end; p++) {
        const char *q = p + strlen(word);

        q += strspn(q, " \t(");
        if ((p == line ||
             (!isalnum((unsigned char)p[-1]) && strchr("_.:", p[-1]) == NULL)) &&
            (*q == '"' || *q == '\'' || *q == '[')) {
            return q + 1;
        }
    }
    return NULL;
}

static bool leads(struct trail *w, const char *path, int depth);

/* name: of the file that the line takes in, with what is a pattern to include. */
static bool leads_by(struct trail *w, const char *name, bool module, int depth)
{
    size_t n = strcspn(name, "\"']\n"), at = 0;
    char path[2 * PATH_MAX + NAME_MAX];
    bool found = false;
    glob_t files;

    if (n > NAME_MAX) {
        return false;
    }
    for (const char *p = w->dir; *p != '\0' && name[0] != '/'; p++) {
        if (strchr("[*?\\", *p) != NULL) {
            path[at++] = '\\'; /* the folder is no pattern */
        }
        path[at++] = *p;
    }
    path[at++] = '/';
    for (size_t i = 0; i < n; i++) {
        path[at++] = module && name[i] == '.' ? '/' : name[i];
    }
    (void)snprintf(path + at, sizeof path - at, "%s", module ? ".lua" : "");
    if (glob(path, 0, NULL, &files) != 0) {
        return false;
    }
    for (size_t i = 0; i < files.gl_pathc && !found; i++) {
        found = w->wanted != NULL && same_file(files.gl_pathv[i], w->wanted);
    }
    for (size_t i = 0; i < files.gl_pathc && !found; i++) {
        found = leads(w, files.gl_pathv[i], depth + 1);
    }
    globfree(&files);
    return found;
}

static bool line_leads(struct trail *w, const char *line, int depth)
{
    static const char *const words[] = {"include", "require"};
    const char *comment = strstr(line, "--");
    const char *end = comment == NULL ? line + strlen(line) : comment;

    if (w->wanted == NULL && call_of(line, end, "route") != NULL) {
        return true;
    }
    for (int i = 0; i < 2; i++) {
        for (const char *name = line; (name = call_of(name, end, words[i])) != NULL;) {
            if (leads_by(w, name, i == 1, depth)) {
                return true;
            }
        }
    }
    return false;
}

/* NULL: it is no regular file, as a pipe that would hold the reader. */
static FILE *open_regular(const char *path)
{
    const int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    struct stat st;
    FILE *f = NULL;

    if (fd >= 0 && fstat(fd, &st) == 0 && S_ISREG(st.st_mode)) {
        f = fdopen(fd, "r");
    }
    if (fd >= 0 && f == NULL) {
        (void)close(fd);
    }
    return f;
}

/* Whether the file, or one that it takes in, has what is wanted. */
static bool leads(struct trail *w, const char *path, int depth)
{
    FILE *f = depth > DEPTH_MAX || w->reads >= READS_MAX ? NULL : open_regular(path);
    char *line = NULL;
    size_t room = 0;
    bool found = false;

    w->reads++;
    while (f != NULL && !found && getline(&line, &room, f) > 0) {
        found = line_leads(w, line, depth);
    }
    free(line);
    if (f != NULL) {
        (void)fclose(f);
    }
    return found;
}

static bool has_route(const char *dir, const char *path)
{
    struct trail w = {.dir = dir};

    return leads(&w, path, 0);
}

/* ---- which of them are policies ---- */

/* A policy with a mistake was not read to its end: what it says counts. */
static bool takes(const struct candidate *c, const char *path)
{
    const char *slash = strrchr(c->path, '/'), *file;
    char dir[PATH_MAX];
    struct trail w = {.dir = dir, .wanted = path};

    for (uint32_t i = 1;
         c->policy != NULL && (file = policy_file(c->policy, i)) != NULL; i++) {
        if (same_file(file, path)) {
            return true;
        }
    }
    (void)snprintf(dir, sizeof dir, "%.*s", slash == NULL ? 1 : (int)(slash - c->path),
                   slash == NULL ? "." : c->path);
    return c->policy == NULL && leads(&w, c->path, 0);
}

/* Whether another of the list has it as a part. */
static bool is_part(const struct candidate *list, int n, int at)
{
    for (int i = 0; i < n; i++) {
        /* Of two that take in each other the first is a policy. */
        if (i != at && takes(&list[i], list[at].path) &&
            !(at < i && takes(&list[at], list[i].path))) {
            return true;
        }
    }
    return false;
}

/* Shows the problems of list[at], unless it is a part of another. */
static bool examine(const struct candidate *list, int n, int at)
{
    if (is_part(list, n, at)) {
        return true;
    }
    if (list[at].policy == NULL) {
        show_words(stderr, list[at].report.text);
    }
    return list[at].policy != NULL;
}

static struct candidate load(const char *path)
{
    struct candidate c = {.policy = NULL};

    (void)snprintf(c.path, sizeof c.path, "%s", path);
    c.policy = policy_load(path, &c.report);
    return c;
}

static void drop(struct candidate *c)
{
    policy_report_fini(&c->report);
    policy_unref(c->policy);
}

bool policies_check_file(const char *path)
{
    struct candidate c = load(path);
    bool good = examine(&c, 1, 0);

    drop(&c);
    return good;
}

static int is_policy(const struct dirent *d)
{
    size_t n = strlen(d->d_name);

    return n > 4 && strcmp(d->d_name + n - 4, ".lua") == 0 &&
           (n < 9 || strcmp(d->d_name + n - 9, "_spec.lua") != 0);
}

/* Those that may be policies, loaded; NULL and errno: the folder can't be read. */
static struct candidate *candidates(const char *dir, int *n_list)
{
    struct dirent **names;
    int n = scandir(dir, &names, is_policy, alphasort);
    struct candidate *list;

    *n_list = 0;
    if (n < 0) {
        return NULL;
    }
    list = mem_alloc((size_t)(n > 0 ? n : 1) * sizeof *list);
    for (int i = 0; i < n; i++) {
        char path[PATH_MAX];

        (void)snprintf(path, sizeof path, "%s/%s", dir, names[i]->d_name);
        if (has_route(dir, path)) {
            list[(*n_list)++] = load(path);
        }
        free(names[i]);
    }
    free(names);
    return list;
}

static void drop_all(struct candidate *list, int n)
{
    for (int i = 0; i < n; i++) {
        drop(&list[i]);
    }
    free(list);
}

bool policies_check(const char *dir)
{
    int n;
    struct candidate *list = candidates(dir, &n);
    bool good = true;

    for (int i = 0; i < n; i++) {
        good &= examine(list, n, i);
    }
    drop_all(list, n);
    return good;
}

bool policies_each(const char *dir, void (*fn)(void *arg, const char *path), void *arg)
{
    int n;
    struct candidate *list = candidates(dir, &n);

    for (int i = 0; i < n; i++) {
        if (!is_part(list, n, i)) {
            fn(arg, list[i].path);
        }
    }
    drop_all(list, n);
    return list != NULL;
}
