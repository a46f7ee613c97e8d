#include "sink/breaker.h"

enum { MIN_REQUESTS = 3, FORCED_LOOK_MS = 1000 };
static const double FAILURE_RATIO = 0.6;

static void enter(struct breaker *b, enum breaker_state state, int64_t now_ms)
{
    b->state = state;
    b->generation++;
    b->counts = (struct breaker_counts){0};
    switch (state) {
    case BREAKER_CLOSED:
        b->until_ms = now_ms + b->plan->interval_ms;
        break;
    case BREAKER_OPEN:
        b->until_ms = now_ms + b->plan->timeout_ms;
        b->opened++;
        break;
    case BREAKER_HALF_OPEN:
        b->until_ms = 0;
        break;
    }
}

void breaker_init(struct breaker *b, const struct breaker_plan *plan,
                  breaker_trip_fn *trip, void *arg, int64_t now_ms)
{
    *b = (struct breaker){.plan = plan, .trip = trip, .arg = arg};
    enter(b, BREAKER_CLOSED, now_ms);
}

static void look(struct breaker *b, int64_t now_ms)
{
    if (b->forced || now_ms < b->until_ms) {
        return;
    }
    if (b->state == BREAKER_OPEN) {
        enter(b, BREAKER_HALF_OPEN, now_ms);
    } else if (b->state == BREAKER_CLOSED ||
               b->counts.consecutive_successes >= b->plan->max_requests) {
        enter(b, BREAKER_CLOSED,
              now_ms); /* half-open: a plan that lets fewer through */
    }
}

enum breaker_state breaker_state(struct breaker *b, int64_t now_ms)
{
    look(b, now_ms);
    return b->state;
}

bool breaker_may(struct breaker *b, int64_t now_ms)
{
    look(b, now_ms);
    return b->state == BREAKER_CLOSED || (b->state == BREAKER_HALF_OPEN &&
                                          b->counts.requests < b->plan->max_requests);
}

bool breaker_allow(struct breaker *b, int64_t now_ms, uint64_t *generation)
{
    if (!breaker_may(b, now_ms)) {
        return false;
    }
    b->counts.requests++;
    *generation = b->generation;
    return true;
}

bool breaker_trips(const struct breaker_counts *c)
{
    return c->requests >= MIN_REQUESTS && c->failures >= FAILURE_RATIO * c->requests;
}

static bool trips(const struct breaker *b)
{
    return b->trip != NULL ? b->trip(b->arg, &b->counts) : breaker_trips(&b->counts);
}

void breaker_done(struct breaker *b, int64_t now_ms, uint64_t generation, bool ok,
                  bool slow)
{
    struct breaker_counts *c = &b->counts;

    look(b, now_ms);
    if (generation != b->generation || b->forced) {
        return;
    }
    c->slow += slow;
    if (ok) {
        c->successes++;
        c->consecutive_successes++;
        c->consecutive_failures = 0;
        if (b->state == BREAKER_HALF_OPEN &&
            c->consecutive_successes >= b->plan->max_requests) {
            enter(b, BREAKER_CLOSED, now_ms);
        }
        return;
    }
    c->failures++;
    c->consecutive_failures++;
    c->consecutive_successes = 0;
    if (b->state == BREAKER_HALF_OPEN || (b->state == BREAKER_CLOSED && trips(b))) {
        enter(b, BREAKER_OPEN, now_ms);
    }
}

void breaker_forget(struct breaker *b, uint64_t generation)
{
    /* Otherwise cancelled requests would use up those that half-open lets through. */
    if (generation == b->generation && b->counts.requests > 0) {
        b->counts.requests--;
    }
}

int64_t breaker_wait_ms(struct breaker *b, int64_t now_ms)
{
    look(b, now_ms);
    if (b->forced) {
        return FORCED_LOOK_MS;
    }
    return b->state == BREAKER_OPEN ? b->until_ms - now_ms : 0;
}

void breaker_force(struct breaker *b, int64_t now_ms, bool open)
{
    b->forced = open;
    enter(b, open ? BREAKER_OPEN : BREAKER_CLOSED, now_ms);
}

void breaker_rest(struct breaker *b, int64_t now_ms, int64_t ms)
{
    if (!b->forced) {
        enter(b, BREAKER_OPEN, now_ms);
        b->until_ms = now_ms + ms;
    }
}

const char *breaker_state_name(enum breaker_state s)
{
    static const char *const names[] = {"closed", "half_open", "open"};

    return names[s];
}
