/* Which texts of events can be topics. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/attr.h"
#include "sink/kafka/topic.h"

static void a_topic_is_a_plain_word(void **state)
{
    static const struct {
        struct str name;
        bool valid;
    } rows[] = {
        {STR("clicks"), true}, {STR("A-z_0.9"), true},    {STR(""), false},
        {STR("a b"), false},   {STR("a/b"), false},       {STR("\303\274"), false},
        {STR("a\0b"), false},  {STR("a@b[c`d{e"), false}, {{NULL, 0}, false}};

    (void)state;
    for (size_t i = 0; i < N_ELEMS(rows); i++) {
        assert_int_equal(rows[i].valid, topic_is_valid(rows[i].name));
    }
}

static void a_topic_is_as_long_as_brokers_take(void **state)
{
    char text[TOPIC_BYTES_MAX + 1];

    (void)state;
    memset(text, 'x', sizeof text);
    assert_true(topic_is_valid((struct str){text, TOPIC_BYTES_MAX}));
    assert_false(topic_is_valid((struct str){text, TOPIC_BYTES_MAX + 1}));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_topic_is_a_plain_word),
        cmocka_unit_test(a_topic_is_as_long_as_brokers_take)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
