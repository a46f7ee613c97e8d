/* The fields of a policy that a ClickHouse table can hold, row by row. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "sink/http/clickhouse/table.h"

#define C(name, type) "column " name "\t" type "\t\n"

static const struct field item = {.path = {"tags", 4}, .type = FIELD_STR};
static const struct field number = {.path = {"nums", 4}, .type = FIELD_INT};
static const struct str words[] = {{"a", 1}, {"b", 1}};
static struct field fields[] = {
    {.path = {"id", 2}, .type = FIELD_STR},
    {.path = {"n", 1}, .type = FIELD_NUM},
    {.path = {"at", 2}, .type = FIELD_TIME},
    {.path = {"ok", 2}, .type = FIELD_BOOL},
    {.path = {"kind", 4}, .type = FIELD_ENUM, .values = words, .n_values = 2},
    {.path = {"more", 4}, .type = FIELD_ANY},
    {.path = {"props.page", 10}, .type = FIELD_STR},
    {.path = {"whole", 5}, .type = FIELD_INT},
    {.path = {"big", 3}, .type = FIELD_INT, .range = {64, true}},
    {.path = {"small", 5}, .type = FIELD_INT, .range = {8, false}},
    {.path = {"tags", 4}, .type = FIELD_LIST, .item = &item},
    {.path = {"nums", 4}, .type = FIELD_LIST, .item = &number}};
static const struct schema schema = {.fields = fields,
                                     .n_fields = sizeof fields / sizeof *fields};
static const struct schema *const schemas[] = {&schema};

struct row {
    const char *column, *path; /* NULL: events as they are */
    const char *answer;
    uint32_t version;
    const char *why; /* a part of it; NULL: it fits */
};

static const struct row rows[] = {
    {NULL, NULL, C("id", "String") C("at", "UInt64") C("n", "Float64"), 18016, NULL},
    {NULL, NULL, C("at", "DateTime"), 18016, "make the column UInt64"},
    {NULL, NULL, C("at", "DateTime('UTC')"), 23008, "make the column UInt64"},
    {NULL, NULL, C("at", "LowCardinality(Nullable(DateTime))"), 23008, "would wrap"},
    {NULL, NULL, C("at", "DateTime64(3)"), 23008, "read as seconds"},
    {NULL, NULL, C("at", "Nullable(DateTime64(9, 'UTC'))"), 23008, "columns = { }"},
    {NULL, NULL, C("at", "Float32"), 23008, "rounded"},
    {NULL, NULL, C("at", "Float64"), 23008, NULL},
    {NULL, NULL, C("at", "UUID"), 23008, "takes text only"},
    {NULL, NULL, C("n", "IPv4"), 23008, "takes text only"},
    {NULL, NULL, C("id", "IPv6"), 23008, NULL},
    {NULL, NULL, C("id", "LowCardinality(Nullable(UUID))"), 23008, NULL},
    {NULL, NULL, C("n", "Array(Float64)"), 23008, "objects or arrays only"},
    {NULL, NULL, C("id", "JSON"), 23008, "objects or arrays only"},
    {NULL, NULL, C("id", "Map(String, String)"), 23008, "objects or arrays only"},
    {NULL, NULL, C("ok", "Bool"), 23008, NULL},
    {NULL, NULL, C("ok", "DateTime64(3)"), 23008, "neither true nor false"},
    {NULL, NULL, C("kind", "Bool"), 23008, "takes no words"},
    {NULL, NULL, C("n", "Decimal(9, 2)"), 23008, NULL},
    {NULL, NULL, C("at", "Date"), 18016, "would wrap"},
    {NULL, NULL, C("at", "Int32"), 18016, "would wrap"},
    {NULL, NULL, C("at", "Int64"), 18016, NULL},
    {NULL, NULL, C("props", "String"), 23008, "takes no object"},
    {NULL, NULL, C("props", "Map(String, String)"), 23008, NULL},
    {NULL, NULL, C("props", "UInt8"), 23008, "takes no object"},
    {NULL, NULL, C("props.page", "Array(String)"), 18016, NULL},
    {NULL, NULL, C("more", "String"), 23008, "it may be an object"},
    {NULL, NULL, C("more", "String"), 24008, NULL},
    {"more", "more", C("more", "String"), 18016, NULL}, /* as its JSON */
    {"n", "n", C("n", "String"), 18016, NULL},
    {NULL, NULL, C("more", "JSON"), 23008, NULL},
    {NULL, NULL, C("n", "FixedString(4)"), 18016, "text in quotes"},
    {NULL, NULL, C("n", "String"), 23008, NULL},
    {NULL, NULL, C("ok", "String"), 18016, "text in quotes"},
    {NULL, NULL, C("kind", "Enum8('a' = 1, 'b' = 2)"), 18016, NULL},
    {NULL, NULL, C("kind", "Enum16('a' = 1)"), 18016, "\"b\" is not among"},
    {NULL, NULL, C("kind", "UInt8"), 18016, "takes no words"},
    {NULL, NULL, C("stranger", "UInt8"), 18016, NULL},
    {NULL, NULL, C("whole", "Int8"), 18016, NULL}, /* of no size: the rows tell */
    {NULL, NULL, C("big", "UInt64"), 18016, NULL},
    {NULL, NULL, C("big", "UInt128"), 23008, NULL},
    {NULL, NULL, C("big", "Int64"), 18016, "wrap there without an error"},
    {NULL, NULL, C("big", "Nullable(UInt32)"), 18016, "wrap there without an error"},
    {NULL, NULL, C("big", "Float64"), 18016, NULL},
    {NULL, NULL, C("small", "Int8"), 18016, NULL},
    {NULL, NULL, C("small", "Int64"), 18016, NULL},
    {NULL, NULL, C("small", "UInt64"), 18016, "wrap there without an error"},
    {"b", "big", C("b", "Int64"), 18016, NULL}, /* a row beyond it is a dead letter */
    {NULL, NULL, C("tags", "Array(String)"), 18016, NULL},
    {NULL, NULL, C("tags", "Array(LowCardinality(Nullable(String)))"), 23008, NULL},
    {NULL, NULL, C("tags", "Array(Array(String))"), 23008, "items do not fit"},
    {NULL, NULL, C("tags", "String"), 18016, "a String takes not"},
    {NULL, NULL, C("tags", "UInt8"), 18016, "takes no array"},
    {NULL, NULL, C("tags", "JSON"), 23008, NULL},
    {NULL, NULL, C("nums", "Array(Int64)"), 18016, NULL},
    {NULL, NULL, C("nums", "Array(UUID)"), 23008, "items do not fit"},
    {NULL, NULL, C("nums", "DateTime"), 18016, "takes no array"},
    {NULL, NULL, "", 18016, NULL}, /* no such table: the server says so */
    {"t", "at", C("t", "UInt32"), 18016, "column t is UInt32, and the schema's at"},
    {"t", "at", C("t", "DateTime"), 18016, NULL}, /* written as seconds */
    {"t", "at", C("t", "DateTime64(3)"), 23008, NULL},
    {"t", "at", C("t", "Date"), 23008, NULL},
    {"t", "at", C("t", "UInt64") C("at", "DateTime"), 18016, NULL},
    {"t", "other", C("t", "DateTime"), 18016, NULL},
    {"tiem", "at", C("time", "UInt64"), 18016, "did you mean time?"},
    {"zebra", "at", C("time", "UInt64"), 18016, "add it, or take it out"},
    {"raw", "@event", C("raw", "Nullable(String)"), 18016, NULL},
    {"raw", "@event", C("raw", "Date"), 18016, "make it String"},
    {"g", "n", "column g\tUInt8\tMATERIALIZED\n", 18016, "is MATERIALIZED"},
    {"g", "n", "column g\tUInt8\tDEFAULT\n", 18016, NULL}};

static void each_row_is_judged(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        const struct row *r = &rows[i];
        const struct pair_plan pair = {r->column, r->path};
        const struct clickhouse_plan plan = {.table = "db.t",
                                             .columns = &pair,
                                             .n_columns = r->column != NULL,
                                             .check = true,
                                             .schemas = schemas,
                                             .n_schemas = 1};
        char why[400];
        bool ok = table_fits(str_of(r->answer), &plan, r->version, why, sizeof why);

        if (ok != (r->why == NULL) || (!ok && strstr(why, r->why) == NULL)) {
            fail_msg("row %zu, %s: %s", i, r->answer, why);
        }
    }
}

static void nothing_is_judged_without_check(void **state)
{
    const struct clickhouse_plan plan = {
        .table = "t", .schemas = schemas, .n_schemas = 1};
    char why[400];

    (void)state;
    assert_true(table_fits(STR(C("at", "DateTime")), &plan, 18016, why, sizeof why));
    assert_string_equal("", why);
}

static void the_question_names_the_table(void **state)
{
    struct clickhouse_plan plan = {.table = "events"};
    char sql[4000];

    (void)state;
    table_query(&plan, sql, sizeof sql);
    assert_non_null(strstr(sql, "database = currentDatabase() AND table = 'events'"));
    plan.table = "`my db`.`my table`";
    table_query(&plan, sql, sizeof sql);
    assert_non_null(strstr(sql, "database = 'my db' AND table = 'my table'"));
    plan.table = "my-db.o'clock";
    table_query(&plan, sql, sizeof sql);
    assert_string_equal("", sql); /* no name: the server says so */
    plan.table = "`my.db`.`o'clock`";
    table_query(&plan, sql, sizeof sql);
    assert_non_null(strstr(sql, "database = 'my.db' AND table = 'o\\'clock'"));
    plan.table = "FUNCTION remote('x', a.b)";
    table_query(&plan, sql, sizeof sql);
    assert_string_equal("", sql);
}

static void chosen_columns_are_written_as_their_types_want(void **state)
{
    static const struct pair_plan pairs[] = {{"a", "at"},     {"b", "at"},
                                             {"c", "n"},      {"d", "other"},
                                             {"e", "@event"}, {"f", "x"}};
    const struct clickhouse_plan plan = {.table = "t",
                                         .columns = pairs,
                                         .n_columns = 6,
                                         .schemas = schemas,
                                         .n_schemas = 1};
    static const char answer[] =
        C("a", "Nullable(DateTime64(6, 'UTC'))") C("b", "UInt64") C("c", "UInt8")
            C("d", "LowCardinality(String)") C("e", "String");
    static const char *const want[] = {"dec6",  "ums64!", "uint8!",
                                       "text!", "text!",  ""};
    struct form forms[6];
    char name[FORM_NAME_BYTES];

    (void)state;
    table_forms(str_of(answer), &plan, forms);
    for (size_t i = 0; i < 6; i++) {
        form_name(forms[i], name);
        assert_string_equal(want[i], name);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_row_is_judged),
        cmocka_unit_test(chosen_columns_are_written_as_their_types_want),
        cmocka_unit_test(nothing_is_judged_without_check),
        cmocka_unit_test(the_question_names_the_table)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
