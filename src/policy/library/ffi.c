#include "policy/library/ffi.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/arena.h"
#include "base/attr.h"
#include "base/mem.h"
#include "decode/edit.h"
#include "decode/number.h"
#include "decode/path.h"
#include "decode/quote.h"
#include "plan/auth.h"
#include "policy/internal.h"
#include "policy/library/internal.h"
#include "signature/jwt.h"

enum { CLAIM_UNNAMED = 9 };

static struct event *event_of(struct sluice_event *ev)
{
    return (struct event *)(void *)ev;
}

/* Where a text goes when the request's arena is used up: it is copied or hashed
 * before the next one is asked for. As large as the largest such text. */
static char *spill(struct sluice_context *c, size_t n)
{
    struct policy_state *s = OUTER(c, struct policy_state, context);

    if (n > s->spill_room) {
        s->spill_room = n;
        s->spill = mem_realloc(s->spill, n);
    }
    return s->spill;
}

/* Text of a string's slice; escapes are undone in the request's arena. */
static void give_text(struct sluice_context *c, struct str raw, bool escaped,
                      struct sluice_value *out)
{
    out->text = raw.p;
    out->len = (uint32_t)raw.n;
    if (escaped) {
        char *text = arena_alloc(c->batch->arena, raw.n + 1);

        text = text == NULL ? spill(c, raw.n + 1) : text;
        out->text = text;
        out->len = (uint32_t)scan_unescape(raw.p, raw.n, text);
    }
}

void ffi_give(struct sluice_context *c, enum slot_kind kind, struct str json,
              struct sluice_value *out)
{
    out->kind = kind;
    out->num = 0;
    if (kind == SLOT_STRING || kind == SLOT_ESCAPED) {
        give_text(c, (struct str){json.p + 1, json.n - 2}, kind == SLOT_ESCAPED, out);
        return;
    }
    out->text = json.p;
    out->len = (uint32_t)json.n;
    if (kind == SLOT_NUMBER) {
        out->num = number_value(json.p, json.n);
    }
}

int sluice_text(struct sluice_context *c, struct sluice_event *view, uint32_t i,
                struct sluice_value *out)
{
    const struct slot *x = &event_of(view)->slots[i];

    out->kind = x->tag & 15;
    give_text(c, (struct str){c->body + x->off, x->tag >> 4}, out->kind == SLOT_ESCAPED,
              out);
    return 1;
}

static bool is_last_key(const struct sluice_context *c, const char *key, size_t n)
{
    return c->key_epoch == c->epoch && c->key_len == n + 2 &&
           memcmp(c->key + 1, key, n) == 0;
}

/* The key as JSON text in the arena. */
static enum ffi_refusal key_text(struct sluice_context *c, const char *key, size_t n,
                                 struct str *out)
{
    char *text = arena_alloc(c->batch->arena, quote_bound(n));

    if (text == NULL) {
        return FFI_NO_ROOM;
    }
    c->key = text;
    c->key_len = (uint32_t)quote_write((struct str){key, n}, text);
    /* Only a key without escapes is found again by its bytes. */
    c->key_epoch = c->key_len == n + 2 ? c->epoch : 0;
    *out = (struct str){text, c->key_len};
    return c->key_len == 0 ? FFI_NOT_UTF8 : 0;
}

/* json lies in the arena. */
static int set(struct sluice_context *c, struct sluice_event *view, const char *key,
               size_t n, struct str json, enum edit_how how)
{
    struct event *ev = event_of(view);
    struct str name = {c->key, c->key_len};

    if (UNLIKELY(!is_last_key(c, key, n))) {
        enum ffi_refusal why;

        if (n > PATH_BYTES_MAX) {
            return FFI_KEY_LONG;
        }
        if (!path_is_plain((struct str){key, n})) {
            return ffi_set_path(c, ev, (struct str){key, n}, json);
        }
        why = key_text(c, key, n, &name);
        if (why != 0) {
            return (int)why;
        }
    }
    if (edit_put(c->batch, ev, name, json, how)) {
        return 0;
    }
    return ev->n_edits == EVENT_EDITS_MAX ? FFI_TOO_MANY : FFI_NO_ROOM;
}

static struct str in_arena(struct sluice_context *c, const char *p, size_t n)
{
    return arena_copy(c->batch->arena, (struct str){p, n});
}

int sluice_set_text(struct sluice_context *c, struct sluice_event *view,
                    const char *key, size_t n, const char *p, size_t len)
{
    char *json;
    size_t k;

    if (!sluice_spend(c, (double)len)) {
        return FFI_LATE;
    }
    json = arena_alloc(c->batch->arena, quote_bound(len));
    if (json == NULL) {
        return FFI_NO_ROOM;
    }
    k = quote_write((struct str){p, len}, json);
    return k == 0 ? FFI_NOT_UTF8
                  : set(c, view, key, n, (struct str){json, k}, EDIT_SET);
}

int sluice_set_number(struct sluice_context *c, struct sluice_event *view,
                      const char *key, size_t n, double v)
{
    if (!isfinite(v)) {
        return FFI_NOT_FINITE;
    }
    if (c->digits_epoch != c->epoch || c->number != v) {
        char text[NUMBER_BYTES];
        struct str s = in_arena(c, text, number_write(v, text));

        if (s.p == NULL) {
            return FFI_NO_ROOM;
        }
        c->number = v;
        c->digits = s.p;
        c->digits_len = (uint32_t)s.n;
        c->digits_epoch = c->epoch;
    }
    return set(c, view, key, n, (struct str){c->digits, c->digits_len}, EDIT_SET);
}

int sluice_set_json(struct sluice_context *c, struct sluice_event *view,
                    const char *key, size_t n, const char *p, size_t len)
{
    struct str s = in_arena(c, p, len);

    return s.p == NULL ? FFI_NO_ROOM : set(c, view, key, n, s, EDIT_SET);
}

int sluice_remove(struct sluice_context *c, struct sluice_event *view, const char *key,
                  size_t n)
{
    return set(c, view, key, n, (struct str){NULL, 0}, EDIT_REMOVE);
}

/* none: the result when the request's memory is full. */
static const char *keep(struct sluice_context *c, const char *p, size_t n,
                        const char *none)
{
    struct str s = arena_copy(c->batch->arena, (struct str){p, n});

    return s.p == NULL ? none : s.p;
}

void sluice_reject(struct sluice_context *c, struct sluice_event *view,
                   const char *code, size_t n, const char *message, size_t len)
{
    struct event *ev = event_of(view);

    ev->fate = EVENT_REJECT;
    ev->flags |= EVENT_HOOK_CODE;
    ev->code = keep(c, code, n, "rejected");
    ev->field = NULL;
    ev->message = len == 0 ? NULL : keep(c, message, len, NULL);
}

void sluice_drop(struct sluice_context *c, struct sluice_event *view)
{
    (void)c;
    event_of(view)->fate = EVENT_DROP;
}

int sluice_to(struct sluice_context *c, struct sluice_event *view, const char *stream,
              size_t n)
{
    struct event *ev = event_of(view);

    for (uint32_t i = 0; i < c->plan->n_streams; i++) {
        if (str_eq(str_of(c->plan->streams[i].name), (struct str){stream, n})) {
            ev->to |= 1ull << i;
            ev->flags |= EVENT_ROUTED;
            return 1;
        }
    }
    return 0;
}

void sluice_failed(struct sluice_context *c, struct sluice_event *view,
                   const char *message, size_t len)
{
    struct event *ev = event_of(view);
    struct policy_state *s = OUTER(c, struct policy_state, context);

    c->n_raised++;
    hooks_raised(s, (struct str){message, len});
    state_next_event(s);
    /* As it came: half of a hook's edits is not wanted in a stream, and a dead letter's
     * replay runs the hook again. */
    edits_revert(c->batch, ev);
    if (c->route->on_error == ON_ERROR_ACCEPT) {
        ev->to = 0;
        ev->flags &= ~(uint32_t)(EVENT_ROUTED | EVENT_RETRY);
        return;
    }
    ev->fate = c->route->on_error == ON_ERROR_REJECT ? EVENT_REJECT : EVENT_DEAD;
    ev->flags &= ~(uint32_t)EVENT_HOOK_CODE;
    ev->code = "policy_error";
    ev->field = NULL;
    ev->message = ev->fate == EVENT_REJECT
                      ? "the policy failed on this event"
                      : keep(c, message, len, "the policy failed on this event");
    /* The same event may pass once the policy is mended. */
    ev->flags |= EVENT_RETRY;
}

void sluice_refuse(struct sluice_context *c, uint32_t status, const char *code,
                   size_t n, const char *message, size_t len)
{
    c->refused = status;
    (void)snprintf(c->code, sizeof c->code, "%.*s", (int)n, code);
    (void)snprintf(c->message, sizeof c->message, "%.*s", (int)len, message);
}

void sluice_location(struct sluice_context *c, const char *url, size_t n)
{
    struct str kept = arena_copy(c->batch->arena, (struct str){url, n});

    c->location = kept.p;
    c->location_len = kept.n;
}

void sluice_request_part(struct sluice_context *c, int part, struct sluice_value *out)
{
    const struct policy_request *q = c->request;
    struct str s = part == 0   ? q->method
                   : part == 1 ? q->path
                   : part == 2 ? q->query
                               : q->peer;

    out->kind = SLOT_STRING;
    out->text = s.p == NULL ? "" : s.p;
    out->len = (uint32_t)s.n;
}

int sluice_request_key(struct sluice_context *c, int32_t *table, int32_t *row)
{
    const struct policy_request *q = c->request;

    *table = (int32_t)q->key_table - 1;
    *row = q->key_row;
    return q->key_table != 0;
}

static bool is_named(const struct sluice_context *c, struct str name)
{
    const struct auth_secrets *p = c->plan->secrets;

    for (uint32_t i = 0; i < p->n_jwts; i++) {
        for (unsigned k = 0; k < p->jwts[i].n_claims; k++) {
            if (str_eq(p->jwts[i].claims[k], name)) {
                return true;
            }
        }
    }
    return false;
}

int sluice_request_claim(struct sluice_context *c, const char *name, size_t n,
                         struct sluice_value *out)
{
    const struct policy_request *q = c->request;
    struct str text = {NULL, 0};

    if (!is_named(c, (struct str){name, n})) {
        return CLAIM_UNNAMED;
    }
    switch (q->jwt == NULL
                ? JWT_NOTHING
                : jwt_claim(q->jwt, q->token, (struct str){name, n}, &text)) {
    case JWT_TEXT:
        out->text = text.p;
        out->len = (uint32_t)text.n;
        return SLOT_STRING;
    case JWT_NUMBER:
        out->num = number_value(text.p, text.n);
        return SLOT_NUMBER;
    case JWT_TRUE:
        return SLOT_TRUE;
    case JWT_FALSE:
        return SLOT_FALSE;
    case JWT_NOTHING:
        break;
    }
    return 0;
}

int sluice_request_named(struct sluice_context *c, int part, const char *name, size_t n,
                         struct sluice_value *out)
{
    static const enum request_part parts[] = {
        REQUEST_PARAM,          REQUEST_ARG, REQUEST_HEADER, REQUEST_BASIC_USER,
        REQUEST_BASIC_PASSWORD, REQUEST_TLS};
    struct policy_state *s = OUTER(c, struct policy_state, context);
    struct str raw =
        request_raw(c->request, c->route->path, parts[part], (struct str){name, n});
    size_t len;

    if (raw.p == NULL) {
        return 0;
    }
    out->kind = SLOT_STRING;
    if (parts[part] == REQUEST_HEADER || parts[part] == REQUEST_TLS) {
        out->text = raw.p;
        out->len = (uint32_t)raw.n;
        return 1;
    }
    /* Bounded by the size of a head; kept for the next. */
    if (raw.n > s->part_room) {
        s->part_room = raw.n;
        s->part = mem_realloc(s->part, raw.n);
    }
    if (!request_decode(parts[part], raw, s->part, &len)) {
        return 0;
    }
    out->text = len == 0 ? "" : s->part;
    out->len = (uint32_t)len;
    return 1;
}
