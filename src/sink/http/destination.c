/* The text of a destination: TABLE, then a line COLUMN tab PATH tab FORM each; a FORM that is
 * not known, or none, is left out with its tab. */
#include "sink/http/destination.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "base/mem.h"
#include "batch/batch.h"
#include "sink/http/clickhouse/names.h"

static char *text_of(const struct clickhouse_plan *plan, const struct form *forms)
{
    const char *table = plan->table == NULL ? "" : plan->table;
    size_t n = strlen(table) + 1, at;
    char *text;

    for (uint32_t i = 0; i < plan->n_columns; i++) {
        n += strlen(plan->columns[i].name) + strlen(plan->columns[i].value) + 3 +
             FORM_NAME_BYTES;
    }
    text = mem_alloc(n);
    at = (size_t)snprintf(text, n, "%s", table);
    for (uint32_t i = 0; i < plan->n_columns; i++) {
        char form[FORM_NAME_BYTES] = "";

        if (forms != NULL) {
            form_name(forms[i], form);
        }
        at +=
            (size_t)snprintf(text + at, n - at, "\n%s\t%s%s%s", plan->columns[i].name,
                             plan->columns[i].value, form[0] != '\0' ? "\t" : "", form);
    }
    return text;
}

/* Cuts copy into its lines; false: it is no destination's. */
static bool read_columns(char *copy, struct column_plan *list, uint32_t *n)
{
    char *rest, *line;

    *n = 0;
    (void)strtok_r(copy, "\n", &rest);
    while ((line = strtok_r(NULL, "\n", &rest)) != NULL) {
        char *tab = strchr(line, '\t'), *second;
        struct form form = {0};

        if (tab == NULL || *n == COLUMNS_MAX) {
            return false;
        }
        *tab = '\0';
        second = strchr(tab + 1, '\t');
        if (second != NULL) {
            *second = '\0';
            if (!form_read(second + 1, &form)) {
                return false;
            }
        }
        list[(*n)++] = (struct column_plan){line, tab + 1, form};
    }
    return true;
}

/* The same without forms. */
static char *base_of(const char *text)
{
    char *out = mem_strndup(text, strlen(text)), *to = out;
    unsigned tabs = 0;

    for (const char *p = text; *p != '\0'; p++) {
        tabs = *p == '\n' ? 0 : tabs + (*p == '\t');
        if (tabs < 2) {
            *to++ = *p;
        }
    }
    *to = '\0';
    return out;
}

struct destination *destination_of(struct str text, struct err *e)
{
    struct destination *t = mem_zalloc(sizeof *t);
    struct column_plan *list = mem_alloc(COLUMNS_MAX * sizeof *list);
    char *copy = mem_strndup(text.p, text.n);
    uint32_t n;
    bool ok = read_columns(copy, list, &n) ||
              err_set(e, "more than %d columns, or a name with a tab", COLUMNS_MAX);

    t->refs = 1;
    t->text = mem_strndup(text.p, text.n);
    t->base = base_of(t->text);
    if (ok && n > 0) {
        t->columns = columns_new(list, n, e);
        ok = t->columns != NULL;
    }
    free(copy);
    free(list);
    copy = mem_strndup(text.p, text.n);
    copy[strcspn(copy, "\n")] = '\0';
    t->table = mem_alloc(names_bound(strlen(copy)) + 16);
    names_quote_table(copy, t->table);
    free(copy);
    if (!ok) {
        destination_unref(t);
        return NULL;
    }
    return t;
}

struct destination *destination_new(const struct clickhouse_plan *plan,
                                    const struct form *forms, struct err *e)
{
    char *text = text_of(plan, forms);
    struct destination *t = destination_of(str_of(text), e);

    free(text);
    return t;
}

struct destination *destination_planned(const struct batch *b,
                                        const struct destination *now)
{
    struct err e;

    /* Without forms: the table was not known yet, so the batch was not sent in this
     * form. */
    return b->destination == NULL || strcmp(b->destination, now->text) == 0 ||
                   strcmp(b->destination, now->base) == 0
               ? NULL
               : destination_of(str_of(b->destination), &e);
}

void destination_note(const struct destination *t, struct batch *b)
{
    if (b->destination != NULL && strcmp(b->destination, t->text) != 0) {
        batch_destination(b, t->text);
    }
}

struct destination *destination_ref(struct destination *t)
{
    t->refs++;
    return t;
}

void destination_unref(struct destination *t)
{
    if (t != NULL && --t->refs == 0) {
        columns_free(t->columns);
        free(t->table);
        free(t->base);
        free(t->text);
        free(t);
    }
}
