#include "ingest/tapping.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "decode/edit.h"
#include "decode/number.h"
#include "decode/walk.h"
#include "ingest/internal.h"
#include "ingest/refusal_record.h"
#include "ingest/stored_event.h"
#include "ingest/tap.h"

/* Bytes of the parts, as they are; each may become six. */
enum {
    CODE_MAX = 64,
    FIELD_MAX = 256,
    REASON_MAX = 512,
    RAW_MAX = 2048,
    STREAMS_SHOWN = 8,
    TEXT_AT = TAP_LINE_MAX - TAP_EVENT_MAX /* in a line's room: a text on its way */
};

/* What one line tells. */
struct told {
    const char *route, *decision;
    int status;
    const char *code, *field, *reason; /* NULL: none */
    uint64_t streams;                  /* of plan, and the dead letters' */
    int64_t index;                     /* -1: none */
    struct str event;                  /* JSON; n 0: none */
    struct str raw;                    /* any bytes; n 0: none */
    uint64_t bytes;                    /* of an event that is too large; 0: none */
};

struct line {
    char *p;
    size_t n;
};

static void put(struct line *l, struct str s)
{
    memcpy(l->p + l->n, s.p, s.n);
    l->n += s.n;
}

static void put_number(struct line *l, struct str name, double v)
{
    put(l, name);
    l->n += number_write(v, l->p + l->n);
}

/* Nothing of one that is NULL. */
static void put_text(struct line *l, struct str name, const char *z, size_t max)
{
    struct str s = {z, z == NULL ? 0 : strnlen(z, 4 * REASON_MAX)};

    if (z == NULL) {
        return;
    }
    s.n = text_cut(s, max);
    put(l, name);
    put(l, STR("\""));
    l->n += text_write(TEXT_JSON, s, l->p + l->n, text_bound(s.n));
    put(l, STR("\""));
}

static void put_streams(struct line *l, const struct binding *b, uint64_t streams)
{
    struct str begin = STR(",\"streams\":[\"");

    for (int n = 0; streams != 0 && n < STREAMS_SHOWN; streams &= streams - 1, n++) {
        int s = __builtin_ctzll(streams);
        const char *name = s == b->dead ? "dead" : b->plan->streams[s].name;

        put(l, begin);
        l->n += text_write(TEXT_JSON, str_of(name), l->p + l->n, TAP_NAME_MAX);
        put(l, STR("\""));
        begin = STR(",\"");
        if ((streams & (streams - 1)) == 0 || n + 1 == STREAMS_SHOWN) {
            put(l, STR("]"));
        }
    }
}

static void write_line(struct ingest *in, struct tap *t, const struct binding *b,
                       const struct told *x)
{
    struct line l = {tap_line(t, in->conf.worker), 0};

    put_number(&l, STR("{\"time\":"), in->wall_ms);
    put_text(&l, STR(",\"route\":"), x->route, TAP_NAME_MAX);
    put_text(&l, STR(",\"decision\":"), x->decision, CODE_MAX);
    put_number(&l, STR(",\"status\":"), x->status);
    put_text(&l, STR(",\"code\":"), x->code, CODE_MAX);
    put_text(&l, STR(",\"field\":"), x->field, FIELD_MAX);
    put_text(&l, STR(",\"reason\":"), x->reason, REASON_MAX);
    put_number(&l, STR(",\"generation\":"), (double)b->plan->generation);
    put_streams(&l, b, x->streams);
    if (x->index >= 0) {
        put_number(&l, STR(",\"index\":"), (double)x->index);
    }
    if (x->bytes > 0) {
        put_number(&l, STR(",\"bytes\":"), (double)x->bytes);
    }
    if (x->raw.n > 0) {
        struct str raw = {x->raw.p, text_cut(x->raw, RAW_MAX)};

        put(&l, STR(",\"raw\":\""));
        l.n += text_write(TEXT_JSON, raw, l.p + l.n, text_bound(raw.n));
        put(&l, raw.n < x->raw.n ? STR("\",\"cut\":true") : STR("\""));
    }
    if (x->event.n > 0) {
        put(&l, STR(",\"event\":"));
        memmove(l.p + l.n, x->event.p, x->event.n); /* it may lie further on */
        l.n += x->event.n;
    }
    put(&l, STR("}\n"));
    tap_write(t, in->conf.worker, l.n);
}

/* ---- one event ---- */

/* As it is stored; n 0: it is too large. */
static struct str text_of(struct ingest *in, struct tap *t, const struct event *ev)
{
    char *out = tap_line(t, in->conf.worker) + TEXT_AT;

    if (edit_bound(&in->batch, ev) > TAP_EVENT_MAX) {
        return (struct str){NULL, 0};
    }
    return (struct str){out, edit_splice(&in->batch, ev, out)};
}

/* 1.0, 1e0 and 1 are the same number. Two integers are compared as they stand, because a
 * double does not tell large ones apart. */
static bool same_number(struct str number, struct str value)
{
    static const char digits[] = "-0123456789";
    char a[64], b[64], *end;
    double x, y;

    if (number.n >= sizeof a || value.n >= sizeof b || value.n == 0 ||
        value.p[value.n - 1] <= ' ') {
        return false;
    }
    memcpy(a, number.p, number.n);
    memcpy(b, value.p, value.n);
    a[number.n] = b[value.n] = '\0';
    if (strchr(digits, b[0]) == NULL ||
        (strspn(a, digits) == number.n && strspn(b, digits) == value.n)) {
        return false;
    }
    if (strspn(b, "+-.0123456789eE") != value.n) {
        return false; /* strtod also reads 0x64 */
    }
    x = strtod(a, NULL);
    y = strtod(b, &end);
    return *end == '\0' && x == y;
}

/* Whether a field has the value: JSON as it stands, a number of that size, or the
 * characters of a text, of which each may be escaped. */
static bool has_value(const struct tap_filter *f, struct str object)
{
    char plain[6 * TAP_NAME_MAX];
    struct str value = str_of(f->value);
    struct member m;

    if (object.n < 2 || object.p[0] != '{' || !walk_find(object, str_of(f->path), &m)) {
        return false;
    }
    if (str_eq(m.value, value) ||
        (m.kind == SLOT_NUMBER && same_number(m.value, value))) {
        return true;
    }
    if ((m.kind != SLOT_STRING && m.kind != SLOT_ESCAPED) || m.value.n < 2 ||
        m.value.n - 2 > sizeof plain) {
        return false;
    }
    return str_eq(
        (struct str){plain, scan_unescape(m.value.p + 1, m.value.n - 2, plain)}, value);
}

/* The decision about ev, whose request came out as o says. */
static void decide(struct told *x, const struct event *ev, const struct outcome *o,
                   const char *unstored)
{
    if (ev->fate == EVENT_REJECT) {
        x->decision = "rejected";
    } else if (!o->store || unstored != NULL) {
        x->decision = "refused";
        x->code = unstored != NULL ? unstored : "batch_refused";
    } else if (ev->fate == EVENT_DEAD) {
        x->decision = "dead";
    } else if (ev->fate == EVENT_DROP) {
        x->decision = (ev->flags & EVENT_REPEAT) != 0 ? "duplicate" : "dropped";
    } else {
        x->decision = "stored";
    }
    if (ev->fate == EVENT_REJECT || ev->fate == EVENT_DEAD) {
        x->code = ev->code == NULL ? "policy_error" : ev->code;
        x->field = ev->field;
        x->reason = ev->message;
    }
}

static bool is_refusal(const struct event *ev, const struct outcome *o,
                       const char *unstored)
{
    return ev->fate == EVENT_REJECT || ev->fate == EVENT_DEAD || !o->store ||
           unstored != NULL;
}

/* The streams of b that the filter names; bits as in stored_event_streams. */
static uint64_t streams_of(const struct tap_filter *f, const struct binding *b)
{
    uint64_t named = 0;

    for (uint32_t s = 0; s < b->plan->n_streams; s++) {
        named |= (uint64_t)(strcmp(f->stream, b->plan->streams[s].name) == 0) << s;
    }
    if (b->dead >= 0) {
        named |= (uint64_t)(strcmp(f->stream, "dead") == 0) << b->dead;
    }
    return named;
}

/* A text that no schema or hook has passed is shown only to who asks for it so. */
static void show_text(struct ingest *in, struct tap *t, const struct request_state *p,
                      const struct event *ev, bool passed, struct str text,
                      struct told *x)
{
    const struct refusal_record none = {.max = 0};

    if (passed && text.n == 0) {
        x->bytes = ev->len;
    } else if (passed) {
        x->event = text;
    } else if (tap_filter(t)->raw && p->shape != SCAN_QUERY) { /* it may hold a key */
        x->raw = refusal_record_of(&none, &in->batch, ev, true).raw;
    }
}

/* ev passes all but the filter's field. */
static void tell_event(struct ingest *in, struct tap *t, const struct request_state *p,
                       const struct event *ev, const struct outcome *o,
                       const char *unstored)
{
    const struct tap_filter *f = tap_filter(t);
    /* One whose hook failed has none of the hook's edits. */
    bool passed = ev->fate != EVENT_REJECT && ev->fate != EVENT_DEAD;
    struct str text = {NULL, 0};
    struct told x = {.route = account_name(p->account),
                     .status = o->status,
                     .index = ev->index,
                     .streams = stored_event_streams(p->route, ev, p->binding->dead)};

    if (passed || f->path[0] != '\0') {
        text = ev->error_at != 0 ? text : text_of(in, t, ev);
    }
    if (f->path[0] != '\0' && text.n == 0 && ev->error_at == 0) {
        tap_drop(t, in->conf.worker,
                 1); /* too large to tell whether it has the value */
        return;
    }
    if (f->path[0] != '\0' && !has_value(f, text)) {
        return;
    }
    decide(&x, ev, o, unstored);
    if (unstored != NULL || !o->store) {
        x.streams = 0;
    }
    show_text(in, t, p, ev, passed, text, &x);
    write_line(in, t, p->binding, &x);
}

static bool is_of_route(const struct tap_filter *f, const struct account *a)
{
    return f->route[0] == '\0' || strcmp(f->route, account_name(a)) == 0;
}

/* At full load nearly all of these events are not told: what is done for each of them is what
 * a tap costs. */
static void tell_events(struct ingest *in, struct tap *t, const struct request_state *p,
                        const struct outcome *o, const char *unstored)
{
    const struct tap_filter *f = tap_filter(t);
    bool leaps = f->share < 1 && !f->refused && f->stream[0] == '\0';
    uint64_t streams = f->stream[0] == '\0' ? 0 : streams_of(f, p->binding);
    uint32_t n = in->batch.n, worker = in->conf.worker;

    for (uint32_t i = 0; (i += leaps ? tap_passes_over(t, worker, n - i) : 0) < n;
         i++) {
        const struct event *ev = &in->batch.events[i];

        if (!f->refused && tap_is_spent(t, worker, in->mono_ms)) {
            tap_drop(t, worker, n - i); /* this turn */
            break;
        }
        if ((f->refused && !is_refusal(ev, o, unstored)) ||
            (f->stream[0] != '\0' &&
             (stored_event_streams(p->route, ev, p->binding->dead) & streams) == 0) ||
            (f->share < 1 && !tap_samples(t, worker)) ||
            !tap_may_look(t, worker, in->mono_ms)) {
            continue;
        }
        tell_event(in, t, p, ev, o, unstored);
    }
}

void tapping_events(struct ingest *in, const struct request_state *p,
                    const struct outcome *o, const char *unstored)
{
    for (uint32_t k = 0; k < in->n_taps; k++) {
        struct tap *t = in->taps[k];
        const struct tap_filter *f = tap_filter(t);

        if (!is_of_route(f, p->account) ||
            (f->refused && o->store && unstored == NULL &&
             o->rejected + o->dead == 0)) {
            continue;
        }
        tell_events(in, t, p, o, unstored);
    }
}

void tapping_refusal(struct ingest *in, const struct tapped_refusal *no)
{
    for (uint32_t k = 0; k < in->n_taps; k++) {
        struct tap *t = in->taps[k];
        const struct tap_filter *f = tap_filter(t);
        struct told x = {.route = account_name(no->account),
                         .decision = "refused",
                         .status = no->status,
                         .code = no->code,
                         .reason = no->detail,
                         .index = -1};

        /* It has no stream, and no field. */
        if (!is_of_route(f, no->account) || f->stream[0] != '\0' ||
            f->path[0] != '\0' || (f->share < 1 && !tap_samples(t, in->conf.worker)) ||
            !tap_may_look(t, in->conf.worker, in->mono_ms)) {
            continue;
        }
        x.raw = f->raw ? no->raw : x.raw;
        write_line(in, t, in->current, &x);
    }
}

/* ---- taps come and go ---- */

void ingest_tap(struct ingest *in, struct tap *t)
{
    in->taps[in->n_taps++] = t;
    tap_join(t);
}

void ingest_untap(struct ingest *in, struct tap *t)
{
    for (uint32_t i = 0; i < in->n_taps; i++) {
        if (in->taps[i] == t) {
            in->taps[i] = in->taps[--in->n_taps];
            break;
        }
    }
    tap_leave(t);
}
