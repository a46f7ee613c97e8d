/*
 * breaker - leaves an endpoint alone that fails: closed, open, half-open, with the
 * semantics of Sony's gobreaker.
 *
 *   breaker_init -> (breaker_allow -> breaker_done)* ; breaker_force
 *
 * Pure: time is an argument. One thread.
 *
 *   closed     counts are cleared every interval; a failure asks trip
 *   open       nothing passes for timeout
 *   half-open  max_requests pass; as many successes close it, a failure opens it
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/attr.h"
#include "plan/plan.h"

enum breaker_state { BREAKER_CLOSED = 0, BREAKER_HALF_OPEN, BREAKER_OPEN };

struct breaker_counts {
    uint32_t requests, successes, failures;
    uint32_t consecutive_successes, consecutive_failures;
    uint32_t slow; /* answers that took longer than the plan's slow */
};

/* Asked after each failure of a closed breaker; true opens it. */
typedef bool breaker_trip_fn(void *arg, const struct breaker_counts *c);

struct breaker {
    const struct breaker_plan *plan;
    breaker_trip_fn *trip; /* NULL: breaker_trips */
    void *arg;
    enum breaker_state state;
    struct breaker_counts counts;
    uint64_t generation; /* answers of an older one don't count */
    int64_t until_ms;    /* closed: counts are cleared; open: tried again */
    bool forced;         /* open until it is closed by hand */
    uint64_t opened;     /* times */
};

/* The default: 3 requests and 60 % failures. */
bool breaker_trips(const struct breaker_counts *c);

void breaker_init(struct breaker *b, const struct breaker_plan *plan,
                  breaker_trip_fn *trip, void *arg, int64_t now_ms);

/* Whether a request may go now; then *generation goes to breaker_done. */
bool breaker_allow(struct breaker *b, int64_t now_ms, uint64_t *generation) MUST_USE;
bool breaker_may(struct breaker *b, int64_t now_ms); /* the same, and nothing goes */
void breaker_done(struct breaker *b, int64_t now_ms, uint64_t generation, bool ok,
                  bool slow);

/* A request that was allowed and then called off: it says nothing. */
void breaker_forget(struct breaker *b, uint64_t generation);

/* The state as of now: an open one whose time is up is half-open. */
enum breaker_state breaker_state(struct breaker *b, int64_t now_ms);

/* Milliseconds until a request may be tried; 0: now. Forced: a long time. */
int64_t breaker_wait_ms(struct breaker *b, int64_t now_ms);

void breaker_force(struct breaker *b, int64_t now_ms, bool open);

/* Opens it for ms, whatever the plan's timeout; one that was forced stays as it is. */
void breaker_rest(struct breaker *b, int64_t now_ms, int64_t ms);

const char *breaker_state_name(enum breaker_state s); /* "closed", ... */
