#include "server/admin/hour.h"

#include <string.h>

static uint64_t sum_of(const uint32_t *list, int n)
{
    uint64_t sum = 0;

    for (int i = 0; i < n; i++) {
        sum += list[i];
    }
    return sum;
}

/* The places of the times since the last look begin at 0. */
static void turn(uint32_t *ring, uint64_t n, uint64_t from, uint64_t now)
{
    uint64_t steps = now - from < n ? now - from : n;

    for (uint64_t i = 0; i < steps; i++) {
        ring[(now - i) % n] = 0;
    }
}

void hour_take(struct hour *h, uint64_t from_s, uint64_t now_s, bool fresh)
{
    turn(h->minutes, HOUR_MINUTES, from_s / 60, now_s / 60);
    turn(h->moments, HOUR_MOMENTS, from_s / HOUR_MOMENT_S, now_s / HOUR_MOMENT_S);
    if (fresh) {
        memset(h->moments, 0, sizeof h->moments);
    }
    h->more = (uint32_t)(h->sum > h->seen ? h->sum - h->seen : 0);
    h->minutes[now_s / 60 % HOUR_MINUTES] += h->more;
    h->moments[now_s / HOUR_MOMENT_S % HOUR_MOMENTS] += fresh ? 0 : h->more;
    h->seen = h->sum;
    h->sum = 0;
}

void hour_add(struct hour *to, const struct hour *one)
{
    to->more += one->more;
    for (int i = 0; i < HOUR_MINUTES; i++) {
        to->minutes[i] += one->minutes[i];
    }
    for (int i = 0; i < HOUR_MOMENTS; i++) {
        to->moments[i] += one->moments[i];
    }
}

uint64_t hour_sum(const struct hour *h)
{
    return sum_of(h->minutes, HOUR_MINUTES);
}

uint64_t hour_recent(const struct hour *h)
{
    return sum_of(h->moments, HOUR_MOMENTS);
}

bool hour_is_over(const struct hour *h)
{
    return h->seen == 0 && hour_sum(h) == 0;
}
