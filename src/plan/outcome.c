#include "plan/outcome.h"

#include <string.h>

#include "base/attr.h"

static bool is_silent(const struct route *r)
{
    return r->answer != NULL && r->answer->body.p != NULL && r->answer->item.n == 0 &&
           r->partial;
}

bool outcome_keeps_refused(const struct route *r)
{
    return is_silent(r) && route_takes_many(r);
}

void outcome_keep_refused(const struct route *r, struct event_batch *b)
{
    uint32_t refused = 0, accepted = 0;

    if (LIKELY(!is_silent(r))) {
        return;
    }
    for (uint32_t i = 0; i < b->n; i++) {
        const struct event *ev = &b->events[i];

        if (ev->fate != EVENT_REJECT) {
            accepted++;
        } else if ((ev->flags & EVENT_RETRY) != 0) {
            return;
        } else {
            refused++;
        }
    }
    for (uint32_t i = 0; i < b->n && refused > 0 && accepted > 0; i++) {
        if (b->events[i].fate == EVENT_REJECT) {
            b->events[i].fate = EVENT_DEAD;
        }
    }
}

/* The route's own: of accepted events, or of refused ones as well. */
static void take_answer(const struct answer_plan *a, const struct event_batch *b,
                        struct outcome *o)
{
    const char *location = a->location == NULL ? NULL : b->location;

    if (o->status == 202 || a->item.n > 0 ||
        (a->same_refused && (a->location == NULL || location != NULL))) {
        o->answer = a;
        o->status = a->status;
        o->location = location;
        o->wait_ms = 0;
    } else {
        o->status = o->status == 422 ? a->refused : o->status;
        o->refused_body = a->refused_body;
    }
}

void outcome_of(const struct route *r, const struct event_batch *b, struct outcome *o)
{
    uint32_t failed = 0, limited = 0, retry = 0, unverified = 0;

    *o = (struct outcome){.status = 202, .store = true};
    for (uint32_t i = 0; i < b->n; i++) {
        const struct event *ev = &b->events[i];

        switch ((enum event_fate)ev->fate) {
        case EVENT_REJECT:
            o->rejected++;
            retry += (ev->flags & EVENT_RETRY) != 0;
            unverified += (ev->flags & EVENT_UNVERIFIED) != 0;
            failed += strcmp(ev->code, "policy_error") == 0;
            limited += strcmp(ev->code, "rate_limited") == 0;
            break;
        case EVENT_DROP:
            o->dropped++;
            o->repeats += (ev->flags & EVENT_REPEAT) != 0;
            o->accepted++;
            break;
        case EVENT_DEAD:
            o->dead++;
            o->accepted++;
            break;
        case EVENT_ACCEPT:
            o->accepted++;
            break;
        }
    }
    if (o->rejected > 0 && (!r->partial || is_silent(r))) {
        *o = (struct outcome){.status = 422, .rejected = o->rejected, .store = false};
    }
    if (o->rejected > 0 && o->accepted == 0) {
        o->status = failed == o->rejected ? 500 : limited == o->rejected ? 429 : 422;
        if (unverified == o->rejected) {
            o->status = 401;
            o->unverified = true;
        }
        if (is_silent(r) && retry > 0) {
            o->status = failed > 0 ? 500 : 429;
        }
        o->wait_ms = o->status == 429 ? b->wait_ms : 0;
    }
    if (UNLIKELY(r->answer != NULL)) {
        take_answer(r->answer, b, o);
    }
}

static bool gives_status(const struct event *ev, int status)
{
    return status == 500   ? strcmp(ev->code, "policy_error") == 0
           : status == 429 ? (ev->flags & EVENT_RETRY) != 0
                           : true;
}

const struct event *outcome_reason(const struct outcome *o, const struct event_batch *b)
{
    const struct event *first = NULL;

    for (uint32_t i = 0; i < b->n; i++) {
        const struct event *ev = &b->events[i];

        if (ev->fate != EVENT_REJECT) {
            continue;
        }
        if (gives_status(ev, o->status)) {
            return ev;
        }
        first = first == NULL ? ev : first;
    }
    return first;
}

int outcome_of_scan(enum scan_result r, const char **code)
{
    switch (r) {
    case SCAN_TOO_MANY:
        *code = "too_many_events";
        return 413;
    case SCAN_TOO_DEEP:
        *code = "too_deep";
        return 413;
    case SCAN_TOO_WIDE:
        *code = "too_many_keys";
        return 413;
    case SCAN_TOO_LONG:
        *code = "too_large";
        return 413;
    case SCAN_OK:
    case SCAN_INVALID:
        break;
    }
    *code = "invalid_json";
    return 400;
}
