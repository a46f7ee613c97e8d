#include "ingest/answer.h"

#include <stdbool.h>
#include <string.h>

#include "base/attr.h"
#include "base/text.h"
#include "plan/refused_body.h"
#include "plan/summary.h"

/* A cursor over the caller's memory; `end` is never passed. */
struct text {
    char *at, *end;
};

static void put(struct text *t, const char *p, size_t n)
{
    size_t room = (size_t)(t->end - t->at);

    if (n > room) {
        n = room;
    }
    memcpy(t->at, p, n);
    t->at += n;
}

static void put_z(struct text *t, const char *z)
{
    put(t, z, strlen(z));
}

static void put_u64(struct text *t, uint64_t v)
{
    char digits[20];
    size_t n = 0;

    do {
        digits[sizeof digits - ++n] = (char)('0' + v % 10);
        v /= 10;
    } while (v != 0);
    put(t, digits + sizeof digits - n, n);
}

/* At most max bytes of z, so that a long message can't fill the answer. */
static void put_quoted(struct text *t, const char *z, size_t max)
{
    struct str s = str_of(z);

    s.n = text_cut(s, max);
    put(t, "\"", 1);
    t->at += text_write(TEXT_JSON, s, t->at, (size_t)(t->end - t->at));
    put(t, "\"", 1);
}

enum { CODE_MAX = 64, FIELD_MAX = 256, MESSAGE_MAX = 512 };
/* Each source byte may become six (\u0000). */
enum { ERROR_BYTES = 6 * (CODE_MAX + FIELD_MAX + MESSAGE_MAX) + 128 };

/* The route's own text, with values of the event. */
static NOINLINE struct str own_body(const struct event_batch *b,
                                    const struct answer_plan *a)
{
    if (a->fill.n > 0) {
        return b->filled == NULL ? (struct str){"", 0}
                                 : (struct str){b->filled, b->filled_len};
    }
    return a->body;
}

static NOINLINE size_t own_bound(const struct event_batch *b, const struct outcome *o)
{
    return o->answer->summary.n > 0 ? summary_bound(o->answer, b, o)
                                    : own_body(b, o->answer).n;
}

static NOINLINE size_t put_own(const struct event_batch *b, const struct outcome *o,
                               char *out)
{
    struct str own;

    if (o->answer->summary.n > 0) {
        return summary_write(o->answer, b, o, out);
    }
    own = own_body(b, o->answer);
    memcpy(out, own.p, own.n);
    return own.n;
}

/* Nothing of b is stored, and the route has a text for that. */
static NOINLINE size_t put_refused(const struct event_batch *b, const struct outcome *o,
                                   char *out)
{
    const struct event *ev = outcome_reason(o, b);

    return refused_body_write(o->refused_body,
                              &(struct refused_reason){o->status,
                                                       ev == NULL ? "" : ev->code,
                                                       ev == NULL ? NULL : ev->message},
                              out);
}

size_t answer_bound(const struct event_batch *b, const struct outcome *o)
{
    size_t n = o->rejected < ANSWER_ERRORS_MAX ? o->rejected : ANSWER_ERRORS_MAX;

    if (UNLIKELY(o->answer != NULL && o->answer->body.p != NULL)) {
        return own_bound(b, o);
    }
    if (UNLIKELY(o->refused_body != NULL)) {
        return put_refused(b, o, NULL);
    }
    return ANSWER_SMALL + n * (size_t)ERROR_BYTES;
}

static void put_event_error(struct text *t, const struct event *ev)
{
    put_z(t, "{\"index\":");
    put_u64(t, ev->index);
    put_z(t, ",\"code\":");
    put_quoted(t, ev->code, CODE_MAX);
    if (ev->error_at != 0 && (ev->flags & EVENT_MOVED) == 0) {
        put_z(t, ",\"offset\":");
        put_u64(t, ev->error_at - 1);
    }
    if (ev->field != NULL) {
        put_z(t, ",\"field\":");
        put_quoted(t, ev->field, FIELD_MAX);
    }
    if (ev->message != NULL) {
        put_z(t, ",\"message\":");
        put_quoted(t, ev->message, MESSAGE_MAX);
    }
    put_z(t, ev->flags & EVENT_RETRY ? ",\"retry\":true}" : ",\"retry\":false}");
}

size_t answer_events(const struct event_batch *b, const struct outcome *o, char *out)
{
    struct text t;
    uint32_t listed = 0;

    if (UNLIKELY(o->answer != NULL && o->answer->body.p != NULL)) {
        return put_own(b, o, out);
    }
    if (UNLIKELY(o->refused_body != NULL)) {
        return put_refused(b, o, out);
    }
    t = (struct text){out, out + answer_bound(b, o)};
    put_z(&t, o->status < 300 ? "{\"status\":\"accepted\",\"accepted\":"
                              : "{\"status\":\"rejected\",\"accepted\":");
    put_u64(&t, o->accepted);
    if (o->rejected > 0) {
        put_z(&t, ",\"rejected\":");
        put_u64(&t, o->rejected);
        put_z(&t, ",\"errors\":[");
        for (uint32_t i = 0; i < b->n && listed < ANSWER_ERRORS_MAX; i++) {
            if (b->events[i].fate == EVENT_REJECT) {
                if (listed++ > 0) {
                    put(&t, ",", 1);
                }
                put_event_error(&t, &b->events[i]);
            }
        }
        put(&t, "]", 1);
        if (o->rejected > listed) {
            put_z(&t, ",\"errors_truncated\":true");
        }
    }
    put(&t, "}", 1);
    return (size_t)(t.at - out);
}

size_t answer_refusal(const struct refused_body *own, int status,
                      const struct answer_error *e, char out[ANSWER_REFUSAL_BYTES])
{
    if (LIKELY(own == NULL)) {
        return answer_error(e, out, ANSWER_ERROR_BYTES);
    }
    return refused_body_write(
        own,
        &(struct refused_reason){status, e->code,
                                 e->detail == NULL ? e->error : e->detail},
        out);
}

size_t answer_error(const struct answer_error *e, char *out, size_t out_bytes)
{
    struct text t = {out, out + out_bytes};
    /* The room that the fixed parts leave, at six bytes for each byte of text. */
    size_t detail_max = (out_bytes - 160) / 6;

    put_z(&t, "{\"error\":");
    put_quoted(&t, e->error, 64);
    put_z(&t, ",\"code\":");
    put_quoted(&t, e->code, CODE_MAX);
    if (e->offset >= 0) {
        put_z(&t, ",\"offset\":");
        put_u64(&t, (uint64_t)e->offset);
    }
    if (e->limit >= 0) {
        put_z(&t, ",\"limit\":");
        put_u64(&t, (uint64_t)e->limit);
    }
    if (e->detail != NULL) {
        put_z(&t, ",\"detail\":");
        put_quoted(&t, e->detail, detail_max);
    }
    put(&t, "}", 1);
    return (size_t)(t.at - out);
}
