#include "ingest/traffic.h"

#include <stdio.h>
#include <string.h>

#include "base/attr.h"

enum { LABEL_BYTES = 2600, OTHER_STATUS = 0 };

static const char *const words[] = {
    [METHOD_NONE] = "none",     [METHOD_POST] = "POST",       [METHOD_GET] = "GET",
    [METHOD_HEAD] = "HEAD",     [METHOD_PUT] = "PUT",         [METHOD_PATCH] = "PATCH",
    [METHOD_DELETE] = "DELETE", [METHOD_OPTIONS] = "OPTIONS", [METHOD_OTHER] = "other"};

enum method method_of(struct str word)
{
    for (int i = METHOD_POST; i < METHOD_OTHER; i++) {
        if (str_eq(word, str_of(words[i]))) {
            return (enum method)i;
        }
    }
    return word.n == 0 ? METHOD_NONE : METHOD_OTHER;
}

static stats_cell *add(struct traffic *t, uint8_t method, uint16_t status)
{
    char pair[LABEL_BYTES], labels[LABEL_BYTES + 64], number[12];
    struct traffic_cell *c = &t->cells[t->n++];
    struct stats_owner *before = stats_own(t->owner);

    (void)stats_label_pair(pair, sizeof pair, "route", t->route);
    (void)snprintf(number, sizeof number, "%u", status);
    (void)snprintf(labels, sizeof labels, "%s,method=\"%s\",status=\"%s\"", pair,
                   words[method], status == OTHER_STATUS ? "other" : number);
    *c = (struct traffic_cell){
        status, method,
        stats_counter("sluice_requests_total",
                      "Requests answered, by route, method and status.", labels)};
    (void)stats_own(before);
    return c->cell;
}

static stats_cell *find(const struct traffic *t, uint8_t method, uint16_t status)
{
    for (uint32_t i = 0; i < t->n; i++) {
        if (t->cells[i].status == status && t->cells[i].method == method) {
            return t->cells[i].cell;
        }
    }
    return NULL;
}

/* A policy may answer with many statuses. */
static NOINLINE stats_cell *find_or_add(struct traffic *t, uint8_t method,
                                        uint16_t status)
{
    stats_cell *c;

    if (t->n >= TRAFFIC_CELLS_MAX) {
        method = METHOD_OTHER;
        status = OTHER_STATUS;
    }
    c = find(t, method, status);
    return c == NULL ? add(t, method, status) : c;
}

void traffic_count(struct traffic *t, enum method method, int status)
{
    stats_cell *c = find(t, (uint8_t)method, (uint16_t)status);

    if (UNLIKELY(c == NULL)) {
        c = find_or_add(t, (uint8_t)method, (uint16_t)status);
    }
    stats_add(c, 1);
}

void traffic_init(struct traffic *t, const char *route, struct stats_owner *owner)
{
    /* There from the start, so that an alert on them has data. */
    static const uint16_t usual[] = {202, 400, 413, 422, 500, 503};
    const char *end = strchr(route, ' ');
    enum method method = end == NULL
                             ? METHOD_NONE
                             : method_of((struct str){route, (size_t)(end - route)});

    *t = (struct traffic){.route = route, .owner = owner};
    for (size_t i = 0; i < N_ELEMS(usual); i++) {
        (void)add(t, (uint8_t)method, usual[i]);
    }
}

static NOINLINE void make_times(struct traffic *t)
{
    char pair[LABEL_BYTES];
    struct stats_owner *before = stats_own(t->owner);

    (void)stats_label_pair(pair, sizeof pair, "route", t->route);
    t->body = stats_histogram("sluice_request_body_seconds",
                              "Time from a request's headers to the end of its body.",
                              pair, STATS_NS);
    t->first_byte = stats_histogram(
        "sluice_request_first_byte_seconds",
        "Time from the end of a request to the first byte of its answer.", pair,
        STATS_NS);
    t->seconds = stats_histogram("sluice_request_seconds",
                                 "Time from a request's headers to its answer.", pair,
                                 STATS_NS_FINE);
    (void)stats_own(before);
}

void traffic_answered(struct traffic *t, const struct request_mark *m, int status,
                      uint64_t now_ns, int64_t wall_ms)
{
    uint64_t began = m->began_ns == 0 ? now_ns : m->began_ns;
    uint64_t heard = m->whole_ns < began ? began : m->whole_ns;

    traffic_count(t, (enum method)m->method, status);
    if (UNLIKELY(t->seconds == NULL)) {
        make_times(t);
    }
    stats_record(t->seconds, now_ns - began);
    if (UNLIKELY(m->trace[0] != '\0')) {
        stats_exemplar(t->seconds, now_ns - began, m->trace, wall_ms);
    }
    stats_record(t->first_byte, now_ns < heard ? 0 : now_ns - heard);
    if (m->whole_ns != 0) {
        stats_record(t->body, heard - began);
    }
}
