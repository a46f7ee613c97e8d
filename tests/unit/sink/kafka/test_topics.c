#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>

#include "sink/kafka/topics.h"

static struct str name_of(char *out, unsigned i)
{
    return (struct str){out, (size_t)sprintf(out, "topic-%u", i)};
}

static void every_topic_is_found_again_at_its_place(void **state)
{
    struct topics *t = topics_new();
    struct topic *first[3000];
    char name[32];

    (void)state;
    for (unsigned i = 0; i < 3000; i++) {
        assert_null(topics_find(t, name_of(name, i)));
        first[i] = topics_add(t, name_of(name, i), 3000);
        assert_non_null(first[i]);
    }
    for (unsigned i = 0; i < 3000; i++) {
        assert_ptr_equal(first[i], topics_find(t, name_of(name, i)));
        assert_ptr_equal(first[i], topics_add(t, name_of(name, i), 3000));
        assert_ptr_equal(first[i], topics_at(t, i));
    }
    assert_int_equal(3000, topics_count(t));
    topics_free(t);
}

static void no_topic_is_added_beyond_the_most(void **state)
{
    struct topics *t = topics_new();
    char name[32], longest[TOPIC_BYTES_MAX + 2] = {0};

    (void)state;
    assert_non_null(topics_add(t, name_of(name, 1), 2));
    assert_non_null(topics_add(t, name_of(name, 2), 2));
    assert_null(topics_add(t, name_of(name, 3), 2));
    assert_non_null(topics_add(t, name_of(name, 1), 2));
    assert_non_null(topics_add(t, name_of(name, 3), 3));
    assert_null(topics_add(t, (struct str){longest, TOPIC_BYTES_MAX + 1}, 9));
    topics_free(t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_topic_is_found_again_at_its_place),
        cmocka_unit_test(no_topic_is_added_beyond_the_most),
    };

    return cmocka_run_group_tests_name("topics", tests, NULL, NULL);
}
