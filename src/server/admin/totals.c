#include "server/admin/totals.h"

#include <cjson/cJSON.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/attr.h"
#include "base/mem.h"
#include "base/str.h"
#include "stats/stats.h"

enum { LISTED_MAX = 500 };

static const char *const words[] = {"stored",    "rejected", "dropped",
                                    "duplicate", "dead",     "refused"};

struct refusal {
    const char *labels;
    uint64_t n, hash;
};

struct refusal_list {
    struct refusal *list;
    size_t n, room;
};

/* Counters of what went wrong, and their words in /status. */
static const struct {
    const char *name, *word;
} faults[] = {{"sluice_policy_errors_total", "hook_errors"},
              {"sluice_store_failures_total", "store_failures"},
              {"sluice_spool_damaged_blocks_total", "damaged_blocks"},
              {"sluice_spool_damaged_events_total", "damaged_events"}};

struct totals {
    uint64_t received, ends[N_ELEMS(words)], faults[N_ELEMS(faults)];
    struct refusal_list certificates;            /* n: seconds until they expire */
    struct refusal_list lifetimes, failing;      /* n: of theirs; 1 */
    struct refusal_list refusals, bytes, stored; /* the last two: of streams */
    struct refusal_list raised;                  /* errors of hooks */
};

static void add(struct refusal_list *l, const struct stats_series *x)
{
    if (x->total) { /* of series that are long gone only sums are known */
        return;
    }
    if (l->n == l->room) {
        l->room = 2 * l->room + 16;
        l->list = mem_realloc(l->list, l->room * sizeof *l->list);
    }
    l->list[l->n++] = (struct refusal){mem_strdup(x->labels), x->value,
                                       str_hash(STR_HASH, str_of(x->labels))};
}

static void see_result(struct totals *t, const struct stats_series *x)
{
    static const char label[] = ",result=\"";
    /* Not in a route's name: there a quotation mark has a backslash. */
    const char *result = strstr(x->labels, label);

    if (result == NULL) {
        return;
    }
    result += sizeof label - 1;
    for (size_t i = 0; i < N_ELEMS(words); i++) {
        size_t n = strlen(words[i]);

        if (strncmp(result, words[i], n) == 0 && result[n] == '"') {
            t->ends[i] += x->value;
            return;
        }
    }
}

static void see(void *arg, const struct stats_series *x)
{
    struct totals *t = arg;

    if (strcmp(x->name, "sluice_tls_certificate_expiry_seconds") == 0) {
        add(&t->certificates, x);
        return;
    }
    if (strcmp(x->name, "sluice_tls_certificate_lifetime_seconds") == 0) {
        add(&t->lifetimes, x);
        return;
    }
    if (x->value == 0) {
        return;
    }
    for (size_t i = 0; i < N_ELEMS(faults); i++) {
        if (strcmp(x->name, faults[i].name) == 0) {
            t->faults[i] += x->value;
        }
    }
    if (strcmp(x->name, "sluice_received_events_total") == 0) {
        t->received += x->value;
    } else if (strcmp(x->name, "sluice_events_total") == 0) {
        see_result(t, x);
    } else if (strcmp(x->name, "sluice_refusals_total") == 0) {
        add(&t->refusals, x);
    } else if (strcmp(x->name, "sluice_tls_renewal_failing") == 0) {
        add(&t->failing, x);
    } else if (strcmp(x->name, "sluice_policy_errors_total") == 0) {
        add(&t->raised, x);
    } else if (strcmp(x->name, "sluice_spool_bytes") == 0) {
        add(&t->bytes, x);
    } else if (strcmp(x->name, "sluice_stored_events_total") == 0) {
        add(&t->stored, x);
    }
}

static int by_labels(const void *a, const void *b)
{
    return strcmp(((const struct refusal *)a)->labels,
                  ((const struct refusal *)b)->labels);
}

/* Their texts have long beginnings in common: one hash is compared before. */
static int by_hash(const void *a, const void *b)
{
    uint64_t x = ((const struct refusal *)a)->hash,
             y = ((const struct refusal *)b)->hash;

    return x < y ? -1 : x > y ? 1 : by_labels(a, b);
}

static int by_number(const void *a, const void *b)
{
    uint64_t x = ((const struct refusal *)a)->n, y = ((const struct refusal *)b)->n;

    return x < y ? 1 : x > y ? -1 : by_labels(a, b);
}

static void join_workers(struct refusal_list *l);

struct totals *totals_look(void)
{
    struct totals *t = mem_zalloc(sizeof *t);

    stats_each(see, t);
    join_workers(&t->refusals);
    join_workers(&t->raised);
    return t;
}

static void free_list(struct refusal_list *l)
{
    for (size_t i = 0; i < l->n; i++) {
        free((void *)(uintptr_t)l->list[i].labels);
    }
    free(l->list);
}

void totals_free(struct totals *t)
{
    if (t != NULL) {
        free_list(&t->refusals);
        free_list(&t->raised);
        free_list(&t->bytes);
        free_list(&t->stored);
        free_list(&t->certificates);
        free_list(&t->lifetimes);
        free_list(&t->failing);
        free(t);
    }
}

cJSON *totals_events(const struct totals *t)
{
    cJSON *o = cJSON_CreateObject();

    (void)cJSON_AddNumberToObject(o, "received", (double)t->received);
    for (size_t i = 0; i < N_ELEMS(words); i++) {
        (void)cJSON_AddNumberToObject(o, words[i], (double)t->ends[i]);
    }
    return o;
}

/* Of the series with these labels; 0: there is none. */
static uint64_t of_labels(const struct refusal_list *l, const char *labels)
{
    for (size_t i = 0; i < l->n; i++) {
        if (strcmp(l->list[i].labels, labels) == 0) {
            return l->list[i].n;
        }
    }
    return 0;
}

void totals_add_faults(const struct totals *t, cJSON *to)
{
    cJSON *o = cJSON_AddObjectToObject(to, "faults");
    cJSON *list = cJSON_AddArrayToObject(to, "certificates");

    for (size_t i = 0; i < N_ELEMS(faults); i++) {
        (void)cJSON_AddNumberToObject(o, faults[i].word, (double)t->faults[i]);
    }
    for (size_t i = 0; i < t->certificates.n; i++) {
        const char *at = t->certificates.list[i].labels;
        cJSON *one = cJSON_CreateObject();
        char listener[256];

        totals_label(&at, "listener=\"", listener, sizeof listener);
        (void)cJSON_AddStringToObject(one, "listener", listener);
        (void)cJSON_AddNumberToObject(one, "expires_seconds",
                                      (double)t->certificates.list[i].n);
        (void)cJSON_AddNumberToObject(
            one, "lifetime_seconds",
            (double)of_labels(&t->lifetimes, t->certificates.list[i].labels));
        (void)cJSON_AddBoolToObject(
            one, "renewal_failing",
            of_labels(&t->failing, t->certificates.list[i].labels) != 0);
        (void)cJSON_AddItemToArray(list, one);
    }
}

uint64_t totals_of_stream(const struct totals *t, const char *name, const char *stream)
{
    const struct refusal_list *l =
        strcmp(name, "sluice_spool_bytes") == 0 ? &t->bytes : &t->stored;
    char label[160];
    uint64_t n = 0;

    (void)stats_label_pair(label, sizeof label, "stream", stream);
    for (size_t i = 0; i < l->n; i++) {
        n += strcmp(l->list[i].labels, label) == 0 ? l->list[i].n : 0;
    }
    return n;
}

/* ---- refusals ---- */

/* Workers have a series each. */
static void join_workers(struct refusal_list *l)
{
    size_t n = 0;

    if (l->n == 0) {
        return;
    }
    qsort(l->list, l->n, sizeof *l->list, by_hash);
    for (size_t i = 1; i < l->n; i++) {
        if (by_hash(&l->list[n], &l->list[i]) == 0) {
            l->list[n].n += l->list[i].n;
            free((void *)(uintptr_t)l->list[i].labels);
        } else {
            l->list[++n] = l->list[i];
        }
    }
    l->n = n + 1;
    qsort(l->list, l->n, sizeof *l->list, by_number);
}

void totals_label(const char **at, const char *name, char *out, size_t bytes)
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

    totals_label(&at, "route=\"", route, sizeof route);
    totals_label(&at, "code=\"", code, sizeof code);
    totals_label(&at, "status=\"", status, sizeof status);
    (void)cJSON_AddStringToObject(o, "route", route);
    (void)cJSON_AddStringToObject(o, "code", code);
    (void)cJSON_AddNumberToObject(o, "status", strtod(status, NULL));
    (void)cJSON_AddNumberToObject(o, "events", (double)x->n);
    return o;
}

void totals_add_refusals(const struct totals *t, cJSON *to)
{
    cJSON *list = cJSON_AddArrayToObject(to, "refusals");
    size_t n = t->refusals.n < LISTED_MAX ? t->refusals.n : LISTED_MAX;
    uint64_t more = 0;

    for (size_t i = 0; i < n; i++) {
        (void)cJSON_AddItemToArray(list, refusal_json(&t->refusals.list[i]));
    }
    for (size_t i = n; i < t->refusals.n; i++) {
        more += t->refusals.list[i].n;
    }
    (void)cJSON_AddNumberToObject(to, "refusals_more", (double)(t->refusals.n - n));
    (void)cJSON_AddNumberToObject(to, "refusals_more_events", (double)more);
}

void totals_add_raised(const struct totals *t, cJSON *to)
{
    cJSON *list = cJSON_AddArrayToObject(to, "hook_errors");
    size_t n = t->raised.n < LISTED_MAX ? t->raised.n : LISTED_MAX;

    for (size_t i = 0; i < n; i++) {
        const char *at = t->raised.list[i].labels;
        cJSON *o = cJSON_CreateObject();
        char route[1200], hook[32];

        totals_label(&at, "route=\"", route, sizeof route);
        totals_label(&at, "hook=\"", hook, sizeof hook);
        (void)cJSON_AddStringToObject(o, "route", route);
        (void)cJSON_AddStringToObject(o, "hook", hook);
        (void)cJSON_AddNumberToObject(o, "errors", (double)t->raised.list[i].n);
        (void)cJSON_AddItemToArray(list, o);
    }
}
