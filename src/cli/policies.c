#include "cli/policies.h"

#include <ctype.h>
#include <dirent.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "cli/show.h"
#include "policy/load/load.h"

struct candidate {
    char path[PATH_MAX];
    struct policy *policy; /* NULL: it is bad */
    struct policy_report report;
};

/* route "..." at the start of a line. */
static bool has_route(const char *path)
{
    FILE *f = fopen(path, "re");
    char *line = NULL;
    size_t room = 0;
    bool found = false;

    while (f != NULL && !found && getline(&line, &room, f) > 0) {
        const char *p = line;

        if (strncmp(p, "route", 5) == 0) {
            for (p += 5; isspace((unsigned char)*p) || *p == '('; p++) {
            }
            found = *p == '"' || *p == '\'' || *p == '[';
        }
    }
    free(line);
    if (f != NULL) {
        (void)fclose(f);
    }
    return found;
}

static bool requires(const struct candidate *c, const char *path)
{
    const char *file;

    for (uint32_t i = 1;
         c->policy != NULL && (file = policy_file(c->policy, i)) != NULL; i++) {
        if (strcmp(file, path) == 0) {
            return true;
        }
    }
    return false;
}

/* Whether another of the list has it as a part. */
static bool is_part(const struct candidate *list, int n, int at)
{
    for (int i = 0; i < n; i++) {
        if (i != at && requires(&list[i], list[at].path)) {
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
        if (has_route(path)) {
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
