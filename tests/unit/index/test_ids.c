/* Ids of lines: each line's hangs on nothing beside it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include "base/err.h"
#include "index/ids.h"

/* What stands in one line must not change what is found in another one: its worker has
 * noted that before. */
static void lines_are_read_each_by_itself(void **state)
{
    char text[256] = "{\"x\\u0079\":1,\"event_id\":\"one\"}\n"
                     "{\"event_id\":\"two\",\"event_id\":\"three\"}\n"
                     "{\"event\\u005fid\":4}\n{\"n\":1}\n";
    static const char *const want[] = {"one", "two", "4", NULL};
    struct err e;
    struct ids *ids = ids_new("event_id", &e);

    (void)state;
    ids_read_stored(ids, (struct str){text, strlen(text)}, 4);
    for (uint32_t i = 0; i < 4; i++) {
        const struct str id = ids_get(ids, i);

        if (want[i] == NULL) {
            assert_null(id.p);
        } else {
            assert_true(id.p != NULL && str_eq(id, str_of(want[i])));
        }
    }
    ids_free(ids);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(lines_are_read_each_by_itself),
    };

    return cmocka_run_group_tests_name("ids", tests, NULL, NULL);
}
