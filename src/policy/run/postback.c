#include "policy/run/postback.h"

#include <string.h>

#include "base/base64.h"
#include "base/mem.h"
#include "policy/run/internal.h"
#include "signature/postback.h"

static const struct signature_fault bad_payload = {
    "bad_signature", "jws-string", "its payload is not one JSON object"};
static const struct signature_fault many = {
    "bad_postback", NULL, "stands beside others: a request is one postback"};
static const struct signature_fault no_memory = {"bad_signature", NULL,
                                                 "there is no memory to check it"};

static void refuse(struct event *ev, const struct signature_fault *why)
{
    ev->fate = EVENT_REJECT;
    ev->flags |= EVENT_UNVERIFIED;
    ev->code = why->code;
    ev->field = why->field;
    ev->message = why->message;
}

static struct verifier *verifier_of(struct policy_state *s, const struct route *route)
{
    struct verifier **v = &s->verifiers[route->index];

    if (*v == NULL) {
        *v = verifier_new(route->postback->pins, route->postback->n_pins);
    }
    return *v;
}

/* event with the payload as its last member, in s->made; *at is where the payload stands
 * in it. n 0: the payload is no base64url. */
static struct str with_payload(struct policy_state *s, struct str key, struct str event,
                               struct str payload, struct str *at)
{
    size_t bound = event.n + key.n + payload.n + 3 + SCAN_PAD, n;
    char *p;

    if (bound > s->made.n) {
        s->made.n = bound;
        s->made.p = mem_realloc(s->made.p, bound);
    }
    p = s->made.p;
    memcpy(p, event.p, event.n - 1); /* its last byte is the brace */
    p += event.n - 1;
    *p++ = ',';
    memcpy(p, key.p, key.n);
    p += key.n;
    *p++ = ':';
    if (!base64url_read(payload, p, &n)) {
        return (struct str){s->made.p, 0};
    }
    *at = (struct str){p, n};
    p += n;
    *p++ = '}';
    memset(p, 0, SCAN_PAD);
    return (struct str){s->made.p, (size_t)(p - s->made.p)};
}

/* Whether text is one object that gives no key twice. */
static bool is_object(struct event_batch *b, const struct scan_limits *limits,
                      struct str text)
{
    struct scan_error se;

    return scan_body(b, NULL, SCAN_EVENT, limits, text.p, text.n, &se) == SCAN_OK &&
           b->events[0].fate == EVENT_ACCEPT;
}

static void add_payload(struct policy_state *s, const struct route *route,
                        const struct scan_limits *limits, struct str body,
                        struct str payload, struct event_batch *b)
{
    const struct scan_keys *keys = route->schema == NULL ? NULL : route->schema->keys;
    struct str event = {body.p + b->events[0].off, b->events[0].len}, at = {NULL, 0};
    struct str made =
        with_payload(s, route->postback->payload_key, event, payload, &at);
    struct scan_error se;

    if (made.n > 0 && is_object(b, limits, at) &&
        scan_body(b, keys, SCAN_EVENT, limits, made.p, made.n, &se) == SCAN_OK) {
        return;
    }
    /* It was scanned before, and is again what it was. */
    if (scan_body(b, keys, SCAN_EVENT, limits, body.p, body.n, &se) == SCAN_OK) {
        refuse(&b->events[0], &bad_payload);
    }
}

void postback_verify(struct policy_state *s, const struct route *route,
                     const struct scan_limits *limits, struct event_batch *b)
{
    struct str body = {b->body, b->body_len}, payload = {NULL, 0}, event;
    struct verifier *v;
    struct signature_fault why;

    for (uint32_t i = 0; i < b->n && b->n > 1; i++) {
        if (b->events[i].fate == EVENT_ACCEPT) {
            refuse(&b->events[i], &many);
        }
    }
    if (b->n != 1 || b->events[0].fate != EVENT_ACCEPT) {
        return;
    }
    v = verifier_of(s, route);
    event = (struct str){body.p + b->events[0].off, b->events[0].len};
    if (v == NULL) {
        refuse(&b->events[0], &no_memory);
    } else if (!postback_check(route->postback, v, event, &payload, &why)) {
        refuse(&b->events[0], &why);
    } else if (payload.p != NULL) {
        add_payload(s, route, limits, body, payload, b);
    }
}
