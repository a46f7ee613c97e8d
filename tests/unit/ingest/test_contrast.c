/* Where two policies decide otherwise about the same event. */
#include "ingest/contrast.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include "base/arena.h"

static struct stream_plan ab[2] = {{.name = "a"}, {.name = "b"}};
static struct stream_plan ba[2] = {{.name = "b"}, {.name = "a"}};
static const struct plan plan_ab = {.streams = ab, .n_streams = 2};
static const struct plan plan_ba = {.streams = ba, .n_streams = 2};
static const struct route first = {.stream = 0}, second = {.stream = 1};
static const struct outcome stored = {.store = true}, refused = {.store = false};

static enum contrast of(struct event was, struct event is, const struct outcome *before,
                        const struct outcome *after)
{
    struct event_batch x = {.n = 1, .events = &was}, y = {.n = 1, .events = &is};
    const struct decided old = {&plan_ab, &first, &x, before};
    const struct decided new_ = {&plan_ab, &first, &y, after};
    struct arena scratch;
    enum contrast c;

    arena_init(&scratch, 1024);
    c = contrast_event(&old, &new_, 0, &scratch);
    arena_fini(&scratch);
    return c;
}

static const struct event ok = {.fate = EVENT_ACCEPT};
static const struct event no = {.fate = EVENT_REJECT, .code = "no"};
static const struct event not = {.fate = EVENT_REJECT, .code = "not"};
static const struct event drop = {.fate = EVENT_DROP};
static const struct event dead = {.fate = EVENT_DEAD, .code = "policy_error"};

static void each_pair_of_fates_has_its_word(void **state)
{
    static const struct {
        const struct event *was, *is;
        enum contrast c;
    } rows[] = {{&ok, &ok, CONTRAST_NONE},
                {&ok, &no, CONTRAST_ACCEPTED_REFUSED},
                {&no, &ok, CONTRAST_REFUSED_ACCEPTED},
                {&no, &no, CONTRAST_NONE},
                {&no, &not, CONTRAST_REFUSED_OTHERWISE},
                {&ok, &dead, CONTRAST_FAILED_OTHERWISE},
                {&dead, &drop, CONTRAST_FAILED_OTHERWISE},
                {&dead, &dead, CONTRAST_NONE},
                {&drop, &ok, CONTRAST_DROPPED_OTHERWISE},
                {&ok, &drop, CONTRAST_DROPPED_OTHERWISE},
                {&drop, &drop, CONTRAST_NONE},
                {&drop, &no, CONTRAST_ACCEPTED_REFUSED}};

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        assert_int_equal(rows[i].c, of(*rows[i].was, *rows[i].is, &stored, &stored));
    }
    for (int i = 0; i < N_CONTRASTS; i++) {
        assert_non_null(contrast_words[i]);
    }
    assert_string_equal("accepted_refused", contrast_words[CONTRAST_ACCEPTED_REFUSED]);
}

static void an_event_goes_with_its_refused_batch(void **state)
{
    (void)state;
    assert_int_equal(CONTRAST_ACCEPTED_REFUSED, of(ok, ok, &stored, &refused));
    assert_int_equal(CONTRAST_REFUSED_ACCEPTED, of(ok, ok, &refused, &stored));
    assert_int_equal(CONTRAST_NONE, of(ok, ok, &refused, &refused));
    assert_int_equal(CONTRAST_REFUSED_OTHERWISE, of(ok, no, &refused, &refused));
}

static enum contrast routed(const struct plan *after, const struct route *r,
                            struct event is)
{
    struct event was = ok;
    struct event_batch x = {.n = 1, .events = &was}, y = {.n = 1, .events = &is};
    const struct decided old = {&plan_ab, &first, &x, &stored};
    const struct decided new_ = {after, r, &y, &stored};
    struct arena scratch;
    enum contrast c;

    arena_init(&scratch, 1024);
    c = contrast_event(&old, &new_, 0, &scratch);
    arena_fini(&scratch);
    return c;
}

static void streams_are_compared_by_name(void **state)
{
    const struct event both = {.flags = EVENT_ROUTED, .to = 3};
    const struct event to_b = {.flags = EVENT_ROUTED, .to = 2};

    (void)state;
    assert_int_equal(CONTRAST_NONE, routed(&plan_ab, &first, ok));
    assert_int_equal(CONTRAST_NONE, routed(&plan_ba, &second, ok));
    assert_int_equal(CONTRAST_ROUTED_OTHERWISE, routed(&plan_ba, &first, ok));
    assert_int_equal(CONTRAST_ROUTED_OTHERWISE, routed(&plan_ab, &second, ok));
    assert_int_equal(CONTRAST_ROUTED_OTHERWISE, routed(&plan_ab, &first, both));
    assert_int_equal(CONTRAST_ROUTED_OTHERWISE, routed(&plan_ab, &first, to_b));
    assert_int_equal(CONTRAST_NONE, routed(&plan_ba, &first, to_b));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_pair_of_fates_has_its_word),
        cmocka_unit_test(an_event_goes_with_its_refused_batch),
        cmocka_unit_test(streams_are_compared_by_name)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
