/*
 * hooked - a policy with one hook, and bodies to run it over, as a worker does:
 * decoded, checked, decided. For the bench and the tests of hooks.
 *
 *   hooked_open -> hooked_run* -> hooked_close
 */
#pragma once

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/clock.h"
#include "base/err.h"
#include "base/mem.h"
#include "policy/load/load.h"
#include "policy/run/decide.h"
#include "policy/run/run.h"

enum { HOOKED_EVENTS = 200, HOOKED_BODIES = 50, HOOKED_BODY_MAX = 128 << 10 };

struct hooked {
    struct policy *policy;
    struct policy_state *state;
    struct event_batch batch;
    struct arena arena;
    struct policy_request req;
    char *bodies[HOOKED_BODIES];
    size_t sizes[HOOKED_BODIES];
    uint64_t checked_ns; /* when the checks were over */
    uint32_t raised;     /* by the last run */
};

static inline void hooked_passed(void *arg, enum decide_stage stage)
{
    if (stage == DECIDE_CHECK) {
        ((struct hooked *)arg)->checked_ns = clock_mono_ns();
    }
}

/* Five texts an event; distinct: no two alike. */
static inline size_t hooked_event(char *out, unsigned n, bool distinct)
{
    static const char *const types[] = {"click", "impression", "install", "purchase"};
    unsigned k = distinct ? n : 0;

    return (size_t)sprintf(
        out,
        "{\"event_id\":\"event-%08u\",\"event_type\":\"%s\",\"user_id\":"
        "\"user-%08u\",\"timestamp\":%lu,\"value\":%u.5,\"campaign\":"
        "\"campaign-%06u\",\"page\":\"/product/%08u\",\"session\":\"s-%08u\"}",
        k, types[n % 4], k, 1763900000000ul + n, n % 100, k, k, k);
}

static inline void hooked_fill(struct hooked *h, bool distinct)
{
    unsigned number = 0;

    for (int i = 0; i < HOOKED_BODIES; i++) {
        char *p = mem_zalloc(HOOKED_BODY_MAX);
        size_t n = 0;

        p[n++] = '[';
        for (int k = 0; k < HOOKED_EVENTS; k++) {
            n += hooked_event(p + n, number++, distinct);
            p[n++] = k + 1 < HOOKED_EVENTS ? ',' : ']';
        }
        h->bodies[i] = p;
        h->sizes[i] = n;
    }
}

/* hook: a Lua function of ev and req as text; NULL: none. Exits on a mistake. */
static inline void hooked_open(struct hooked *h, const char *hook, bool distinct)
{
    char text[8192];
    struct policy_report report;
    struct err e;

    *h = (struct hooked){.req = {.time_ms = 1763900000000.,
                                 .method = STR("POST"),
                                 .path = STR("/e"),
                                 .query = STR(""),
                                 .peer = STR("127.0.0.1")}};
    (void)snprintf(
        text, sizeof text,
        "null \"n\" {}\nstream \"s\" { sinks = { \"n\" } }\n"
        "local event = schema {\n"
        "  event_id = str { required = true, max = 64 },\n"
        "  event_type = enum { \"click\", \"impression\", \"install\",\n"
        "    \"purchase\", required = true },\n"
        "  user_id = str { required = true, min = 3, max = 128 },\n"
        "  timestamp = time { required = true, max_skew = \"5m\" },\n"
        "  value = num { min = 0 }, campaign = str {}, page = str {},\n"
        "  session = str {} }\n"
        "route \"POST /e\" { body = \"batch\", schema = event, stream = \"s\"%s%s }\n",
        hook == NULL ? "" : ",\n  on_event = ", hook == NULL ? "" : hook);
    h->policy = policy_load_text("hooked.lua", str_of(text), &report);
    if (h->policy == NULL) {
        (void)fputs(report.text, stderr);
        exit(1);
    }
    policy_report_fini(&report);
    h->state = policy_state_new(h->policy, &e);
    if (h->state == NULL) {
        (void)fprintf(stderr, "%s\n", e.text);
        exit(1);
    }
    arena_init(&h->arena, 64 << 20);
    event_batch_init(&h->batch, &h->arena);
    hooked_fill(h, distinct);
}

/* A request of one event, the batch's first; nanoseconds of its hook. */
static inline uint64_t hooked_one(struct hooked *h)
{
    char one[1024] = "";
    size_t n = hooked_event(one, 3, true);
    const struct decide_meter meter = {hooked_passed, h};
    struct refused no;

    if (!decide_body(h->state, &policy_plan(h->policy)->routes[0], SCAN_EVENT, &h->req,
                     (struct str){one, n}, &h->batch, &meter, &h->raised, &no)) {
        exit(1);
    }
    return clock_mono_ns() - h->checked_ns;
}

/* Body i; nanoseconds from the checks' end to the last verdict. */
static inline uint64_t hooked_run(struct hooked *h, unsigned i)
{
    const struct decide_meter meter = {hooked_passed, h};
    const struct route *route = &policy_plan(h->policy)->routes[0];
    struct str body = {h->bodies[i % HOOKED_BODIES], h->sizes[i % HOOKED_BODIES]};
    struct refused no;

    if (!decide_body(h->state, route, SCAN_BATCH, &h->req, body, &h->batch, &meter,
                     &h->raised, &no)) {
        (void)fprintf(stderr, "a body was refused: %d\n", no.status);
        exit(1);
    }
    return clock_mono_ns() - h->checked_ns;
}

static inline void hooked_close(struct hooked *h)
{
    event_batch_fini(&h->batch);
    arena_fini(&h->arena);
    policy_state_free(h->state);
    policy_unref(h->policy);
    for (int i = 0; i < HOOKED_BODIES; i++) {
        free(h->bodies[i]);
    }
}
