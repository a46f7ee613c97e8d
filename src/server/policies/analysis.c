#include "server/policies/analysis.h"

#include <math.h>
#include <stdio.h>

#include "server/policies/permutation.h"

enum {
    FIRST_TEST = 20, /* requests of the canary */
    TIMED_MIN = 200, /* of either side, before its times say anything */
    GROWTH_PART = 2  /* the next test comes after half as many again */
};

/* Less is no reason to go back, however sure it is. */
static const double POINTS = 0.02, VERY_SLOW_POINTS = 0.01;
/* A scheduler's pause is no policy's fault. */
static const double P50_MORE_MS = 0.02, P99_MORE_MS = 0.5, TIMES = 2;

enum question { REFUSED, FAILED, SLOW, VERY_SLOW };

static double rate(double n, double of)
{
    return of == 0 ? 0 : fmin(n / of, 1);
}

double analysis_refusal_rate(const struct rollout_side *s)
{
    return rate((double)s->refused, (double)s->events);
}

double analysis_error_rate(const struct rollout_side *s)
{
    return rate((double)s->failed, (double)s->events);
}

void analysis_begin(struct analysis *j)
{
    j->next = FIRST_TEST;
}

bool analysis_slow(const struct rollout_side *old, double *slow_ms,
                   double *very_slow_ms)
{
    *slow_ms = TIMES * old->p50_ms + P50_MORE_MS;
    *very_slow_ms = TIMES * old->p99_ms + P99_MORE_MS;
    return old->requests >= TIMED_MIN;
}

static struct permutation_unit ask(const struct analysis_unit *u, enum question q)
{
    switch (q) {
    case REFUSED:
        return (struct permutation_unit){(double)u->events, (double)u->refused};
    case FAILED:
        return (struct permutation_unit){(double)u->events, (double)u->failed};
    case SLOW:
        return (struct permutation_unit){(double)u->timed, (double)u->slow};
    case VERY_SLOW:
        break;
    }
    return (struct permutation_unit){(double)u->timed, (double)u->very_slow};
}

/* The units that have something to say, after the n that are there. */
static uint32_t gather(const struct rollout_side *s, enum question q,
                       struct permutation_unit *units, uint32_t n,
                       struct permutation_unit *sum)
{
    for (uint32_t i = 0; i < s->n_units; i++) {
        struct permutation_unit u = ask(&s->units[i], q);

        if (u.events > 0) {
            units[n++] = u;
            sum->events += u.events;
            sum->hits += u.hits;
        }
    }
    return n;
}

static bool up(const struct rollout_side *old, const struct rollout_side *new_,
               enum question q, double points)
{
    struct permutation_unit units[2 * ANALYSIS_SIDE_UNITS];
    struct permutation_unit was = {0, 0}, is = {0, 0};
    uint32_t n_new = gather(new_, q, units, 0, &is);
    uint32_t n = gather(old, q, units, n_new, &was);

    return rate(is.hits, is.events) - rate(was.hits, was.events) > points &&
           permutation_worse(units, n, n_new);
}

static bool slower(double was_ms, double is_ms, double more_ms)
{
    return is_ms > TIMES * was_ms && is_ms - was_ms > more_ms;
}

static bool test(const struct rollout_side *old, const struct rollout_side *new_,
                 char *why, size_t why_bytes)
{
    if (up(old, new_, REFUSED, POINTS)) {
        (void)snprintf(why, why_bytes,
                       "it refuses %.1f %% of %lu events, the live one %.1f %%",
                       100 * analysis_refusal_rate(new_), (unsigned long)new_->events,
                       100 * analysis_refusal_rate(old));
        return true;
    }
    if (up(old, new_, FAILED, POINTS)) {
        (void)snprintf(why, why_bytes,
                       "its hooks fail on %.1f %% of %lu events, the live one's "
                       "on %.1f %%",
                       100 * analysis_error_rate(new_), (unsigned long)new_->events,
                       100 * analysis_error_rate(old));
        return true;
    }
    if (slower(old->p50_ms, new_->p50_ms, P50_MORE_MS) && up(old, new_, SLOW, POINTS)) {
        (void)snprintf(why, why_bytes,
                       "it takes %.3f ms a request (median), the live one %.3f",
                       new_->p50_ms, old->p50_ms);
        return true;
    }
    if (slower(old->p99_ms, new_->p99_ms, P99_MORE_MS) &&
        up(old, new_, VERY_SLOW, VERY_SLOW_POINTS)) {
        (void)snprintf(why, why_bytes,
                       "it takes %.3f ms a request (p99), the live one %.3f",
                       new_->p99_ms, old->p99_ms);
        return true;
    }
    return false;
}

bool analysis_against(struct analysis *j, const struct rollout_side *old,
                      const struct rollout_side *new_, bool last, char *why,
                      size_t why_bytes)
{
    if (new_->requests < j->next && !last) {
        return false;
    }
    j->next = new_->requests + new_->requests / GROWTH_PART + 1;
    return test(old, new_, why, why_bytes);
}

static uint32_t active(const struct rollout_side *s)
{
    uint32_t n = 0;

    for (uint32_t i = 0; i < s->n_units; i++) {
        n += s->units[i].requests > 0;
    }
    return n;
}

bool analysis_enough(const struct rollout_side *old, const struct rollout_side *new_,
                     uint64_t min_requests, const char *unit, char *why,
                     size_t why_bytes)
{
    uint32_t n_old = active(old), n_new = active(new_);

    if (new_->requests < min_requests) {
        (void)snprintf(why, why_bytes,
                       "not enough traffic: it saw %lu request%s, min_requests "
                       "is %lu",
                       (unsigned long)new_->requests, new_->requests == 1 ? "" : "s",
                       (unsigned long)min_requests);
        return false;
    }
    if (!permutation_can_tell(n_old + n_new, n_new)) {
        (void)snprintf(why, why_bytes,
                       "not enough traffic: %u of %u units (one unit: a %s) are "
                       "too few to tell it from chance",
                       n_new, n_old + n_new, unit);
        return false;
    }
    return true;
}
