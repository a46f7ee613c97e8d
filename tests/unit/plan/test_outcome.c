/* The outcome of a request's fates. */
#include "plan/outcome.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static struct event events[4];
static struct event_batch batch = {.events = events, .wait_ms = 7};

/* One letter each: a accepted, d dropped, r repeat, x dead, n refused, l limited,
 * p by a hook that failed, s for its signature. */
static void make(const char *fates)
{
    batch.n = 0;
    for (; *fates != '\0'; fates++) {
        struct event *ev = &events[batch.n++];
        char c = *fates;

        *ev = (struct event){.fate = EVENT_ACCEPT};
        if (c == 'd' || c == 'r') {
            ev->fate = EVENT_DROP;
            ev->flags = c == 'r' ? EVENT_REPEAT : 0;
        } else if (c == 'x') {
            ev->fate = EVENT_DEAD;
        } else if (c != 'a') {
            ev->fate = EVENT_REJECT;
            ev->code = c == 'l' ? "rate_limited" : c == 'p' ? "policy_error" : "no";
            ev->flags = c == 'n' ? 0 : c == 's' ? EVENT_UNVERIFIED : EVENT_RETRY;
        }
    }
}

static struct outcome outcome(const struct route *r, const char *fates)
{
    struct outcome o;

    make(fates);
    outcome_of(r, &batch, &o);
    return o;
}

static const struct route partial = {.partial = true};
static const struct route whole = {.partial = false};

static void each_fate_is_counted_as_itself(void **state)
{
    struct outcome o = outcome(&partial, "adrn");

    (void)state;
    assert_int_equal(202, o.status);
    assert_true(o.store);
    assert_int_equal(3, o.accepted);
    assert_int_equal(2, o.dropped);
    assert_int_equal(1, o.repeats);
    assert_int_equal(1, o.rejected);
    assert_int_equal(0, o.dead);
    o = outcome(&partial, "xxn");
    assert_int_equal(2, o.accepted);
    assert_int_equal(2, o.dead);
    assert_int_equal(0, o.dropped);
    assert_int_equal(1, o.rejected);
}

static void the_status_says_why_all_are_refused(void **state)
{
    (void)state;
    assert_int_equal(202, outcome(&partial, "").status);
    assert_int_equal(422, outcome(&partial, "nn").status);
    assert_int_equal(500, outcome(&partial, "pp").status);
    assert_int_equal(429, outcome(&partial, "ll").status);
    assert_int_equal(422, outcome(&partial, "lp").status);
    assert_int_equal(422, outcome(&partial, "ln").status);
    assert_int_equal(202, outcome(&partial, "ppd").status);
    assert_true(outcome(&partial, "ll").wait_ms > 6);
    assert_true(outcome(&partial, "la").wait_ms < 1);
    assert_true(outcome(&partial, "pp").wait_ms < 1);
}

static void an_event_that_nobody_signed_gets_401(void **state)
{
    static const struct answer_plan own = {.status = 200, .refused = 410},
                                    same = {.status = 200, .same_refused = true};
    static const struct route to_own = {.partial = true, .answer = &own},
                              to_same = {.partial = true, .answer = &same};

    (void)state;
    assert_int_equal(401, outcome(&partial, "s").status);
    assert_int_equal(401, outcome(&whole, "s").status);
    assert_int_equal(401, outcome(&to_own, "s").status);
    assert_int_equal(200, outcome(&to_same, "s").status);
    assert_int_equal(422, outcome(&partial, "sn").status);
    assert_int_equal(202, outcome(&partial, "sa").status);
}

static void one_refused_event_refuses_a_whole_batch(void **state)
{
    struct outcome o = outcome(&whole, "aan");

    (void)state;
    assert_int_equal(422, o.status);
    assert_false(o.store);
    assert_int_equal(0, o.accepted);
    assert_int_equal(1, o.rejected);
    assert_true(outcome(&whole, "aad").store);
    assert_int_equal(429, outcome(&whole, "al").status);
}

static void a_scan_that_refuses_has_its_status_and_code(void **state)
{
    const char *code;

    (void)state;
    assert_int_equal(400, outcome_of_scan(SCAN_INVALID, &code));
    assert_string_equal("invalid_json", code);
    assert_int_equal(413, outcome_of_scan(SCAN_TOO_MANY, &code));
    assert_string_equal("too_many_events", code);
    assert_int_equal(413, outcome_of_scan(SCAN_TOO_DEEP, &code));
    assert_string_equal("too_deep", code);
    assert_int_equal(413, outcome_of_scan(SCAN_TOO_WIDE, &code));
    assert_string_equal("too_many_keys", code);
    assert_int_equal(413, outcome_of_scan(SCAN_TOO_LONG, &code));
    assert_string_equal("too_large", code);
}

/* What became of the event is counted as ever; only the answer is the same. */
static void
refused_events_get_the_answer_of_accepted_ones_if_the_route_says_so(void **state)
{
    static const struct location_plan location = {.has_function = true};
    const struct answer_plan pixel = {
        .status = 200, .body = {"x", 1}, .refused = 422, .same_refused = true};
    const struct answer_plan redirect = {
        .status = 302, .refused = 410, .same_refused = true, .location = &location};
    const struct route to_pixel = {.partial = true, .answer = &pixel};
    const struct route to_url = {.partial = true, .answer = &redirect};
    struct outcome o;

    (void)state;
    for (const char *fates = "nlpa"; *fates != '\0'; fates++) {
        const char one[] = {*fates, '\0'};

        o = outcome(&to_pixel, one);
        assert_int_equal(200, o.status);
        assert_ptr_equal(&pixel, o.answer);
        assert_int_equal(*fates == 'a', o.accepted);
        assert_true(o.wait_ms == 0);
        batch.location = "https://shop.example/";
        o = outcome(&to_url, one);
        assert_int_equal(302, o.status);
        assert_string_equal("https://shop.example/", o.location);
        batch.location = NULL;
    }
    /* A redirect that leads nowhere is none. */
    o = outcome(&to_url, "n");
    assert_int_equal(410, o.status);
    assert_null(o.answer);
    assert_int_equal(429, outcome(&to_url, "l").status);
}

static void
refused_events_that_no_answer_tells_are_kept_of_every_body_with_many(void **state)
{
    static const struct answer_plan silent = {.status = 200, .body = STR("{}")};

    (void)state;
    for (int body = BODY_EVENT; body <= BODY_ANY; body++) {
        struct route r = {.body = (enum body_kind)body, .partial = true};
        bool many = body == BODY_BATCH || body == BODY_EVENTS || body == BODY_BULK ||
                    body == BODY_CLOUDEVENTS;

        assert_false(outcome_keeps_refused(&r));
        r.answer = &silent;
        assert_int_equal(many, outcome_keeps_refused(&r));
    }
}

/* A batch that may pass later is refused for the event that may, not for the first. */
static void the_reason_fits_the_status(void **state)
{
    const struct answer_plan fixed = {.status = 200, .refused = 400, .body = STR("ok")};
    const struct route silent = {.partial = true, .answer = &fixed};
    struct outcome o = outcome(&partial, "nln");

    (void)state;
    assert_int_equal(422, o.status);
    assert_ptr_equal(&events[0], outcome_reason(&o, &batch));
    assert_int_equal(429, (o = outcome(&silent, "nl")).status);
    assert_ptr_equal(&events[1], outcome_reason(&o, &batch));
    assert_int_equal(500, (o = outcome(&silent, "nlp")).status);
    assert_ptr_equal(&events[2], outcome_reason(&o, &batch));
    o = outcome(&partial, "aa");
    assert_null(outcome_reason(&o, &batch));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(
            refused_events_that_no_answer_tells_are_kept_of_every_body_with_many),
        cmocka_unit_test(
            refused_events_get_the_answer_of_accepted_ones_if_the_route_says_so),
        cmocka_unit_test(each_fate_is_counted_as_itself),
        cmocka_unit_test(the_status_says_why_all_are_refused),
        cmocka_unit_test(an_event_that_nobody_signed_gets_401),
        cmocka_unit_test(one_refused_event_refuses_a_whole_batch),
        cmocka_unit_test(a_scan_that_refuses_has_its_status_and_code),
        cmocka_unit_test(the_reason_fits_the_status)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
