#include "net/tls_names.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

bool tls_names_fold(struct str name, char *out)
{
    size_t n = name.n > 0 && name.p[name.n - 1] == '.' ? name.n - 1 : name.n;

    if (n == 0 || n > TLS_NAME_MAX) {
        return false;
    }
    for (size_t i = 0; i < n; i++) {
        char c = name.p[i];
        bool letter = (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' ||
                      c == '.' || c == '_' || (c == '*' && i == 0 && n > 2);

        if (c >= 'A' && c <= 'Z') {
            c = (char)(c - 'A' + 'a');
        } else if (!letter) {
            return false;
        }
        out[i] = c;
    }
    out[n] = '\0';
    return out[0] != '.' && (out[0] != '*' || out[1] == '.');
}

struct tls_name *tls_names_entry(struct tls_names *t, const char *name)
{
    for (size_t i = 0; i < t->n; i++) {
        if (strcmp(t->list[i].name, name) == 0) {
            return &t->list[i];
        }
    }
    return NULL;
}

void tls_names_add(struct tls_names *t, const char *name, uint64_t set)
{
    if (t->n == t->room) {
        t->room = t->room == 0 ? 8 : 2 * t->room;
        t->list = mem_realloc(t->list, t->room * sizeof *t->list);
    }
    t->list[t->n++] = (struct tls_name){mem_strdup(name), set};
}

static int by_name(const void *a, const void *b)
{
    return strcmp(((const struct tls_name *)a)->name,
                  ((const struct tls_name *)b)->name);
}

void tls_names_sort(struct tls_names *t)
{
    if (t->n > 1) {
        qsort(t->list, t->n, sizeof *t->list, by_name);
    }
}

static uint64_t set_of(const struct tls_names *t, char *name)
{
    struct tls_name key = {.name = name};
    const struct tls_name *found =
        t->n == 0 ? NULL : bsearch(&key, t->list, t->n, sizeof *t->list, by_name);

    return found == NULL ? 0 : found->set;
}

uint64_t tls_names_find(const struct tls_names *t, const char *sent)
{
    char name[TLS_NAME_MAX + 1];
    uint64_t set;
    char *dot;

    if (!tls_names_fold(str_of(sent), name) || name[0] == '*') {
        return 0;
    }
    set = set_of(t, name);
    dot = strchr(name, '.');
    if (set == 0 && dot != NULL && dot > name) {
        *--dot = '*'; /* "*.a.example" is for one label only */
        set = set_of(t, dot);
    }
    return set;
}

void tls_names_fini(struct tls_names *t)
{
    for (size_t i = 0; i < t->n; i++) {
        free(t->list[i].name);
    }
    free(t->list);
    *t = (struct tls_names){0};
}
