/* Names of tables and columns, as statements have them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "base/attr.h"
#include "sink/http/clickhouse/names.h"

static const char *const tables[][2] = {
    {"events", "events"},
    {"db.events", "db.events"},
    {"events-2024", "`events-2024`"},
    {"my-db.t", "`my-db`.t"},
    {"`my-db`.`t`", "`my-db`.t"},
    {"`a.b`.c", "`a.b`.c"},
    {"db.x y", "db.`x y`"},
    {"имя", "`имя`"},
    {"1st", "`1st`"},
    {"`a\\`b`", "`a\\`b`"},
    {"FUNCTION remote('x', a.b)", "FUNCTION remote('x', a.b)"},
    {"", ""}};

static const char *const columns[][2] = {{"id", "id"},
                                         {"props.page", "props.page"},
                                         {"user-agent", "`user-agent`"},
                                         {"x y", "`x y`"},
                                         {"имя", "`имя`"},
                                         {"a`b\\c", "`a\\`b\\\\c`"},
                                         {"a.", "`a.`"}};

static void what_is_no_identifier_is_in_backticks(void **state)
{
    char out[200];

    (void)state;
    for (size_t i = 0; i < N_ELEMS(tables); i++) {
        names_quote_table(tables[i][0], out);
        assert_string_equal(tables[i][1], out);
    }
    for (size_t i = 0; i < N_ELEMS(columns); i++) {
        (void)names_quote(str_of(columns[i][0]), out);
        assert_string_equal(columns[i][1], out);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_no_identifier_is_in_backticks),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
