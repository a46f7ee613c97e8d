#include "server/admin/totals.h"

#include <cjson/cJSON.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/attr.h"
#include "base/mem.h"
#include "stats/stats.h"

enum { LISTED_MAX = 500 };

static const char *const words[] = {"stored",    "rejected", "dropped",
                                    "duplicate", "dead",     "refused"};

struct sums {
    uint64_t received, ends[N_ELEMS(words)];
};

static void see_events(void *arg, const struct stats_series *x)
{
    struct sums *sums = arg;

    if (strcmp(x->name, "sluice_received_events_total") == 0) {
        sums->received += x->value;
    } else if (strcmp(x->name, "sluice_events_total") == 0) {
        for (size_t i = 0; i < N_ELEMS(words); i++) {
            char result[32];

            /* Not in a route's name: there a quotation mark has a backslash. */
            (void)snprintf(result, sizeof result, ",result=\"%s\"", words[i]);
            if (strstr(x->labels, result) != NULL) {
                sums->ends[i] += x->value;
            }
        }
    }
}

cJSON *totals_events(void)
{
    cJSON *o = cJSON_CreateObject();
    struct sums sums = {0};

    stats_each(see_events, &sums);
    (void)cJSON_AddNumberToObject(o, "received", (double)sums.received);
    for (size_t i = 0; i < N_ELEMS(words); i++) {
        (void)cJSON_AddNumberToObject(o, words[i], (double)sums.ends[i]);
    }
    return o;
}

/* ---- refusals ---- */

struct refusal {
    const char *labels;
    uint64_t n;
};

struct refusal_list {
    struct refusal *list;
    size_t n, room;
};

static void see_refusal(void *arg, const struct stats_series *x)
{
    struct refusal_list *l = arg;

    if (strcmp(x->name, "sluice_refusals_total") != 0 || x->value == 0) {
        return;
    }
    if (l->n == l->room) {
        l->room = 2 * l->room + 16;
        l->list = mem_realloc(l->list, l->room * sizeof *l->list);
    }
    l->list[l->n++] = (struct refusal){x->labels, x->value};
}

static int by_labels(const void *a, const void *b)
{
    return strcmp(((const struct refusal *)a)->labels,
                  ((const struct refusal *)b)->labels);
}

static int by_number(const void *a, const void *b)
{
    uint64_t x = ((const struct refusal *)a)->n, y = ((const struct refusal *)b)->n;

    return x < y ? 1 : x > y ? -1 : by_labels(a, b);
}

/* Workers have a series each. */
static void join_workers(struct refusal_list *l)
{
    size_t n = 0;

    if (l->n == 0) {
        return;
    }
    qsort(l->list, l->n, sizeof *l->list, by_labels);
    for (size_t i = 1; i < l->n; i++) {
        if (by_labels(&l->list[n], &l->list[i]) == 0) {
            l->list[n].n += l->list[i].n;
        } else {
            l->list[++n] = l->list[i];
        }
    }
    l->n = n + 1;
    qsort(l->list, l->n, sizeof *l->list, by_number);
}

/* The value of name="..." at *at without its escapes; *at is behind it then. */
static void take_label(const char **at, const char *name, char *out, size_t bytes)
{
    size_t n = strlen(name), k = 0;
    const char *p = *at;

    if (strncmp(p, name, n) == 0) {
        for (p += n; *p != '\0' && *p != '"'; p++) {
            char c = *p;

            if (c == '\\' && p[1] != '\0') {
                c = *++p == 'n' ? '\n' : *p;
            }
            if (k + 1 < bytes) {
                out[k++] = c;
            }
        }
        p += *p == '"';
        p += *p == ',';
        *at = p;
    }
    out[k] = '\0';
}

static cJSON *refusal_json(const struct refusal *x)
{
    cJSON *o = cJSON_CreateObject();
    const char *at = x->labels;
    char route[1200], code[256], status[16];

    take_label(&at, "route=\"", route, sizeof route);
    take_label(&at, "code=\"", code, sizeof code);
    take_label(&at, "status=\"", status, sizeof status);
    (void)cJSON_AddStringToObject(o, "route", route);
    (void)cJSON_AddStringToObject(o, "code", code);
    (void)cJSON_AddNumberToObject(o, "status", strtod(status, NULL));
    (void)cJSON_AddNumberToObject(o, "events", (double)x->n);
    return o;
}

cJSON *totals_refusals(void)
{
    cJSON *list = cJSON_CreateArray();
    struct refusal_list l = {0};

    stats_each(see_refusal, &l);
    join_workers(&l);
    for (size_t i = 0; i < l.n && i < LISTED_MAX; i++) {
        (void)cJSON_AddItemToArray(list, refusal_json(&l.list[i]));
    }
    free(l.list);
    return list;
}
