/* How many of a run of events a sink has, has not, or waits for. */
#include "cli/find/settled.h"

/* The shard was gone when the sink met the stream, the last time. */
static bool was_gone(const struct settled *s, uint32_t epoch, uint32_t worker)
{
    return epoch < s->met_last && settled_in(&s->read, epoch, worker, 0, 1) == 0;
}

/* Events that are all in doubt, or none. forgotten: the journal says nothing of their
 * shard. */
static void count_alike(const struct settled *s, const struct settled_run *r,
                        bool forgotten, bool doubtful, struct settled_counts *c)
{
    const uint64_t taken = settled_in(&s->taken, r->epoch, r->worker, r->first, r->end);
    uint64_t rest = r->end - r->first - taken, k;

    for (int how = 0; how < SETTLED_HOWS; how++) {
        k = settled_in(&s->apart[how], r->epoch, r->worker, r->first, r->end);
        c->apart[how] += k;
        rest -= k;
    }
    k = settled_in(&s->unsure, r->epoch, r->worker, r->first, r->end);
    c->settled += k;
    rest -= k;
    c->confirmed += taken;
    if (forgotten && was_gone(s, r->epoch, r->worker)) {
        *(r->epoch < s->met && !s->former ? &c->apart[SETTLED_BEFORE] : &c->settled) +=
            rest;
    } else if (doubtful) {
        c->settled += rest;
    } else {
        c->confirmed += rest;
    }
}

/* Events that the sink is done with. */
static void count_done(const struct settled *s, const struct settled_run *r,
                       bool forgotten, int64_t wall_ms, struct settled_counts *c)
{
    const uint64_t doubt =
        doubt_end(&s->doubt, s->stream, r->epoch, r->worker, wall_ms);

    if (doubt > r->first && doubt < r->end) {
        count_alike(s, &(struct settled_run){r->epoch, r->worker, r->first, doubt, 0},
                    forgotten, true, c);
        count_alike(s, &(struct settled_run){r->epoch, r->worker, doubt, r->end, 0},
                    forgotten, false, c);
    } else {
        count_alike(s, r, forgotten, doubt > r->first, c);
    }
}

/* How many of these, the first ones, the sink still gets: not those that came once the stream
 * led elsewhere. */
static uint64_t owed_of(const struct settled *s, uint32_t epoch, uint32_t worker,
                        uint64_t first, uint64_t end)
{
    return s->ends_epoch == 0 || epoch < s->ends_epoch ? end - first
           : epoch > s->ends_epoch                     ? 0
                                   : settled_in(&s->ends, epoch, worker, first, end);
}

/* Events that the sink is not done with. Those that came while the stream led elsewhere it
 * does not get. */
static void count_rest(const struct settled *s, uint32_t epoch, uint32_t worker,
                       uint64_t first, uint64_t end, struct settled_counts *c)
{
    const uint64_t n = end > first ? end - first : 0,
                   owed = n == 0 ? 0 : owed_of(s, epoch, worker, first, end);
    /* It came while the stream led elsewhere, and was gone when that ended. */
    const uint64_t before =
        s->ends_epoch != 0 || n == 0
            ? 0
            : settled_in(&s->apart[SETTLED_BEFORE], epoch, worker, first, end);

    c->pending += owed - before;
    c->apart[SETTLED_BEFORE] += n - owed + before;
}

/* Of a shard of which the journal says nothing, or only that a file has other events. What
 * came before the sink began is counted with what it is done with. */
static void count_unmet(const struct settled *s, const struct settled_run *r,
                        int64_t wall_ms, bool gone, struct settled_counts *c)
{
    const uint64_t owed = owed_of(s, r->epoch, r->worker, r->first, r->end);
    const struct settled_run its = {r->epoch, r->worker, r->first, r->first + owed, 0};

    if (!gone) {
        count_rest(s, r->epoch, r->worker, r->first, r->end, c);
        return;
    }
    if (owed > 0) {
        count_done(s, &its, true, wall_ms, c);
    }
    c->apart[SETTLED_BEFORE] += r->end - its.end;
}

/* Of a shard that it is done with in part. left: it was gone at a start, which has told what
 * was lost, and the journal has only a file of it. */
static void count_between(const struct settled *s, const struct settled_run *r,
                          int64_t wall_ms, bool left, struct settled_counts *c)
{
    if (r->first < r->end && left) {
        count_unmet(s, r, wall_ms, true, c);
    } else {
        count_rest(s, r->epoch, r->worker, r->first, r->end, c);
    }
}

/* Of a sink that was done with the stream: of what came after its last record it has had none but
 * that, and what a record that is gone may be of. Records of older events may be gone. */
static void count_left(const struct settled *s, const struct settled_run *r,
                       int64_t wall_ms, struct settled_counts *c)
{
    const uint64_t doubt =
        doubt_end(&s->doubt, s->stream, r->epoch, r->worker, wall_ms);
    struct settled_run its = *r;

    if (wall_ms > s->last_ms) {
        its.end =
            r->first + settled_in(&s->ends, r->epoch, r->worker, r->first, r->end);
        if (doubt > its.end) {
            its.end = doubt < r->end ? doubt : r->end;
        }
    }
    count_alike(s, &its, false, true, c);
    c->apart[SETTLED_BEFORE] += r->end - its.end;
    c->later += r->end - its.end;
}

void settled_count(const struct settled *s, uint32_t epoch, uint32_t worker,
                   uint64_t seq, uint32_t n, int64_t wall_ms, bool gone,
                   struct settled_counts *c)
{
    const struct cursor *at = ack_tracker_find(&s->acks, epoch, worker);
    const bool left = gone && settled_in(&s->begun, epoch, worker, 0, 1) == 0;
    struct settled_run r = {epoch, worker, seq, seq + n, 0};
    uint64_t next = seq;

    if (s->left) {
        count_left(s, &r, wall_ms, c);
        return;
    }
    if (at == NULL) {
        count_unmet(s, &r, wall_ms, gone, c);
        return;
    }
    for (uint32_t i = 0; i <= at->n_ahead; i++) {
        const uint64_t first = i == 0 ? 0 : at->ahead[i - 1].first,
                       end = i == 0 ? at->next : at->ahead[i - 1].end;

        r.first = first > seq ? first : seq;
        r.end = end < seq + n ? end : seq + n;
        if (r.first < r.end) {
            count_between(s, &(struct settled_run){epoch, worker, next, r.first, 0},
                          wall_ms, left, c);
            count_done(s, &r, false, wall_ms, c);
            next = r.end;
        }
    }
    count_between(s, &(struct settled_run){epoch, worker, next, seq + n, 0}, wall_ms,
                  left, c);
}
