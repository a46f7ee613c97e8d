#include "ingest/sampling.h"

#include <stdio.h>
#include <string.h>

#include "base/text.h"
#include "ingest/internal.h"
#include "policy/run/run.h"
#include "shared/samples.h"

/* Few of all that are due become samples. */
static bool has_room(struct ingest *in)
{
    if (in->mono_ms - in->samples_since_ms >= 1000) {
        in->samples_since_ms = in->mono_ms;
        in->n_samples = 0;
    }
    return in->n_samples++ < SAMPLES_A_SECOND;
}

/* Whether the last refusal of a is due as a sample. */
static bool is_due(struct ingest *in, struct account *a)
{
    return UNLIKELY(account_sample_due(a, in->mono_ms, SAMPLE_PAUSE_MS)) &&
           in->conf.samples != NULL && has_room(in);
}

static void begin(const struct ingest *in, const struct binding *b,
                  const struct account *a, const struct http_view *v, struct sample *x)
{
    *x = (struct sample){.at_ms = (int64_t)in->wall_ms, .index = -1};
    x->generation = b == NULL ? 0 : b->plan->generation;
    (void)text_z(TEXT_PLAIN, str_of(account_name(a)), x->route, sizeof x->route);
    if (v != NULL) {
        (void)text_z(TEXT_PLAIN, v->path, x->path, sizeof x->path);
    }
}

static void set_text(char *to, size_t bytes, const char *text)
{
    (void)text_z(TEXT_PLAIN, str_of(text == NULL ? "" : text), to, bytes);
}

/* For the operator with the error of the hook that raised, which no client is told. */
static void set_message(struct sample *x, const struct binding *b, const char *text)
{
    const char *why = b == NULL ? "" : policy_raised(b->state);
    char all[SAMPLE_MESSAGE];

    if (strcmp(x->code, "policy_error") == 0 && why[0] != '\0') {
        (void)snprintf(all, sizeof all, "%s: %s", text, why);
        text = all;
    }
    set_text(x->message, sizeof x->message, text);
}

static void sample_event(struct ingest *in, const struct request_state *p,
                         const struct http_view *v, const struct event *ev, int status,
                         const char *message)
{
    bool many = scan_takes_many(p->shape);
    struct str raw = v->body;
    struct sample x;

    begin(in, p->binding, p->account, v, &x);
    x.status = status;
    set_text(x.code, sizeof x.code, ev->code);
    set_message(&x, p->binding, message == NULL ? "" : message);
    set_text(x.field, sizeof x.field, ev->field);
    if (many) {
        raw = (struct str){in->batch.body + ev->off, ev->len};
        x.index = (int32_t)ev->index;
    }
    /* A query may hold a key. */
    if (p->shape != SCAN_QUERY) {
        x.bytes = raw.n;
        (void)text_z(TEXT_PLAIN, raw, x.raw, sizeof x.raw);
    }
    (void)samples_put(in->conf.samples, &x);
}

static void count(const struct request_state *p, const struct event *ev, int status)
{
    const char *code = ev->code;

    if ((ev->flags & EVENT_HOOK_CODE) != 0) {
        code = account_hook_code(p->account, code, &status, p->binding->policy);
    }
    account_rejected(p->account, code, status);
}

void sampling_events(struct ingest *in, const struct request_state *p,
                     const struct http_view *v, const struct outcome *o)
{
    for (uint32_t i = 0; i < in->batch.n; i++) {
        const struct event *ev = &in->batch.events[i];

        if (ev->fate == EVENT_REJECT) {
            count(p, ev, o->status);
            if (UNLIKELY(is_due(in, p->account))) {
                sample_event(in, p, v, ev, o->status, ev->message);
            }
        }
    }
}

void sampling_raised(struct ingest *in, const struct request_state *p,
                     const struct http_view *v)
{
    const struct event *ev = in->batch.events, *end = ev + in->batch.n;

    if (p->route->on_error == ON_ERROR_REJECT || in->conf.samples == NULL ||
        !account_raised_due(p->account, in->mono_ms, SAMPLE_PAUSE_MS) ||
        !has_room(in)) {
        return;
    }
    while (ev < end && (ev->code == NULL || strcmp(ev->code, "policy_error") != 0)) {
        ev++;
    }
    if (ev < end) { /* otherwise on_error = "accept", which leaves no trace */
        sample_event(in, p, v, ev, 0, "the policy failed on this event");
    } else {
        struct sample x;

        begin(in, p->binding, p->account, v, &x);
        set_text(x.code, sizeof x.code, "policy_error");
        set_message(&x, p->binding, "the policy failed on an event, which was stored");
        (void)samples_put(in->conf.samples, &x);
    }
}

void sampling_whole(struct ingest *in, const struct binding *b, struct account *a,
                    const struct http_view *v, int status, const struct answer_error *e,
                    bool secret)
{
    struct sample x;

    if (LIKELY(!is_due(in, a))) {
        return;
    }
    begin(in, b, a, v, &x);
    x.status = status;
    set_text(x.code, sizeof x.code, e->code);
    set_message(&x, b,
                e->detail != NULL  ? e->detail
                : e->error != NULL ? e->error
                                   : "");
    if (!secret && v != NULL && v->body.n > 0) {
        x.bytes = v->body.n;
        (void)text_z(TEXT_PLAIN, v->body, x.raw, sizeof x.raw);
    }
    (void)samples_put(in->conf.samples, &x);
}
