/* The text of a target: TABLE, then a line COLUMN tab PATH each. */
#include "sink/remote/target.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "base/mem.h"
#include "batch/batch.h"

static char *text_of(const struct clickhouse_plan *plan)
{
    const char *table = plan->table == NULL ? "" : plan->table;
    size_t n = strlen(table) + 1, at;
    char *text;

    for (uint32_t i = 0; i < plan->n_columns; i++) {
        n += strlen(plan->columns[i].name) + strlen(plan->columns[i].value) + 2;
    }
    text = mem_alloc(n);
    at = (size_t)snprintf(text, n, "%s", table);
    for (uint32_t i = 0; i < plan->n_columns; i++) {
        at += (size_t)snprintf(text + at, n - at, "\n%s\t%s",
                               plan->columns[i].name, plan->columns[i].value);
    }
    return text;
}

/* Cuts copy into its lines; false: it is no target's. */
static bool read_pairs(char *copy, struct pair_plan *list, uint32_t *n)
{
    char *rest, *line;

    *n = 0;
    (void)strtok_r(copy, "\n", &rest);
    while ((line = strtok_r(NULL, "\n", &rest)) != NULL) {
        char *tab = strchr(line, '\t');

        if (tab == NULL || *n == SCHEMA_FIELDS_MAX) {
            return false;
        }
        *tab = '\0';
        list[(*n)++] = (struct pair_plan){line, tab + 1};
    }
    return true;
}

struct target *target_of(struct str text, struct err *e)
{
    struct target *t = mem_zalloc(sizeof *t);
    struct pair_plan list[SCHEMA_FIELDS_MAX];
    char *copy = mem_strndup(text.p, text.n);
    uint32_t n;
    bool ok = read_pairs(copy, list, &n) || err_set(e, "it is no target");

    t->refs = 1;
    t->text = mem_strndup(text.p, text.n);
    if (ok && n > 0) {
        t->columns = columns_new(list, n, e);
        ok = t->columns != NULL;
    }
    free(copy);
    copy = mem_strndup(text.p, text.n);
    copy[strcspn(copy, "\n")] = '\0';
    t->table = copy;
    if (!ok) {
        target_unref(t);
        return NULL;
    }
    return t;
}

struct target *target_new(const struct clickhouse_plan *plan, struct err *e)
{
    char *text = text_of(plan);
    struct target *t = target_of(str_of(text), e);

    free(text);
    return t;
}

struct target *target_planned(const struct batch *b, const struct target *now)
{
    struct err e;

    return b->target == NULL || strcmp(b->target, now->text) == 0
               ? NULL
               : target_of(str_of(b->target), &e);
}

void target_note(const struct target *t, struct batch *b)
{
    if (b->target != NULL && strcmp(b->target, t->text) != 0) {
        batch_target(b, t->text);
    }
}

struct target *target_ref(struct target *t)
{
    t->refs++;
    return t;
}

void target_unref(struct target *t)
{
    if (t != NULL && --t->refs == 0) {
        columns_free(t->columns);
        free((void *)(uintptr_t)t->table);
        free(t->text);
        free(t);
    }
}
