#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "plan/plan.h"
#include "sink/sink.h"

static void each_kind_has_its_word(void **state)
{
    (void)state;
    for (unsigned i = 0; i < SINK_KINDS; i++) {
        const char *word = plan_sink_word((enum sink_kind)i);
        enum sink_kind back = SINK_KINDS;

        assert_string_equal(sink_kind_ops((enum sink_kind)i)->kind, word);
        assert_true(plan_sink_kind(str_of(word), &back));
        assert_int_equal(back, i);
    }
}

static void another_word_is_no_kind(void **state)
{
    static const char *const words[] = {"", "Kafka", "kafk", "kafkaa", "absent"};
    enum sink_kind kind = SINK_KINDS;

    (void)state;
    for (size_t i = 0; i < sizeof words / sizeof *words; i++) {
        assert_false(plan_sink_kind(str_of(words[i]), &kind));
        assert_int_equal(kind, SINK_KINDS);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_kind_has_its_word),
        cmocka_unit_test(another_word_is_no_kind),
    };

    return cmocka_run_group_tests_name("kinds", tests, NULL, NULL);
}
