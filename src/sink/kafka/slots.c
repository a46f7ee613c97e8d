/*
 * The slots of the batches in flight, counted by what each waits for, and the tries in
 * them that are late.
 */
#include "base/clock.h"
#include "sink/kafka/internal.h"

static bool is_late(const struct in_flight *c, uint64_t now_ns)
{
    return c->batch != NULL && !c->lacking && !c->parked && c->undecided > 0 &&
           now_ns - c->tries[0].began_ns > LATE_MS * 1000000ull;
}

struct in_flight_counts in_flight_count(const struct sink *s)
{
    struct in_flight_counts n = {0, 0, 0, 0};
    uint64_t now = clock_mono_ns();

    for (size_t i = 0; i < s->n_slots; i++) {
        const struct in_flight *c = &s->in_flight[i];
        bool late = is_late(c, now);

        n.lacking += c->lacking;
        n.late += late;
        n.live += c->batch != NULL && !c->lacking && !late;
        n.free += in_flight_is_free(c);
    }
    n.free += SLOTS - s->n_slots;
    return n;
}

void in_flight_tell_late(struct sink *s)
{
    uint64_t now = clock_mono_ns();

    while (s->n_slots > 0 && in_flight_is_free(&s->in_flight[s->n_slots - 1])) {
        s->n_slots--;
    }
    for (size_t i = 0; i < s->n_slots; i++) {
        if (is_late(&s->in_flight[i], now)) {
            in_flight_tell_taken(&s->in_flight[i]);
        }
    }
}

bool in_flight_waits(const struct cluster *c, uint64_t since_ns)
{
    const struct sink *s = c->sink;

    for (size_t i = 0; i < s->n_slots; i++) {
        const struct in_flight_attempt *t = &s->in_flight[i].tries[c->number];

        if (t->owed > 0 && t->began_ns < since_ns) {
            return true;
        }
    }
    return false;
}

bool in_flight_undecided(const struct sink *s, uint64_t since_ns)
{
    for (size_t i = 0; i < s->n_slots; i++) {
        const struct in_flight *c = &s->in_flight[i];

        if (c->batch != NULL && !c->parked && !c->lacking && c->undecided > 0 &&
            c->tries[0].began_ns < since_ns) {
            return true;
        }
    }
    return false;
}

uint32_t in_flight_late(struct cluster *c, uint64_t since_ns, judge_fn *judge)
{
    struct sink *s = c->sink;
    uint32_t n = 0;

    for (size_t i = 0; i < s->n_slots; i++) {
        struct in_flight_attempt *t = &s->in_flight[i].tries[c->number];

        if (t->owed > 0 && t->began_ns < since_ns) {
            n++;
            judge(c, t);
        }
    }
    return n;
}
