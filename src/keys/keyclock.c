#include "keys/keyclock.h"

enum { DAY_MS = 86400000, UNEVEN_MS = 600000 };

void keyclock_init(struct keyclock *c, int64_t last_ms, int64_t wall_ms,
                   int64_t mono_ms)
{
    *c = (struct keyclock){.now_ms = last_ms == 0 ? wall_ms : last_ms,
                           .mono_ms = mono_ms};
}

static int64_t at_most_a_day(int64_t ms)
{
    return ms < DAY_MS ? ms : DAY_MS;
}

/* Whether a lead that is too large is believed by now. */
static bool is_proven(struct keyclock *c, int64_t lead, int64_t mono_ms,
                      int64_t proof_ms)
{
    int64_t drift = lead - c->lead_ms;

    if (!c->ahead || drift > UNEVEN_MS || drift < -UNEVEN_MS) {
        c->ahead = true;
        c->lead_ms = lead;
        c->since_ms = mono_ms;
    }
    return mono_ms - c->since_ms >= proof_ms;
}

int64_t keyclock_now(struct keyclock *c, int64_t wall_ms, int64_t mono_ms,
                     int64_t window_ms)
{
    int64_t lead;

    c->now_ms += mono_ms - c->mono_ms;
    c->mono_ms = mono_ms;
    lead = wall_ms - c->now_ms;
    if (lead <= at_most_a_day(window_ms / 8) ||
        is_proven(c, lead, mono_ms, at_most_a_day(window_ms))) {
        c->now_ms = wall_ms;
        c->ahead = false;
    }
    return c->now_ms;
}
