/* A value as a column wants it, or so that the server refuses it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "base/attr.h"
#include "sink/http/clickhouse/forms.h"

struct row {
    const char *type;
    bool time;
    const char *value, *want;
};

static const struct row rows[] = {
    {"DateTime64(3)", true, "1795522577547", "1795522577.547"},
    {"DateTime64(9, 'UTC')", true, "5", "0.005"},
    {"DateTime64(9)", true, "9223372036855",
     "\"out of range of DateTime64: 9223372036855\""},
    {"DateTime64(3)", true, "-1500", "-1.500"},
    {"DateTime64(3)", true, "1e3", "1.000"},
    {"DateTime64(3)", true, "1795522577547.9", "1795522577.547"},
    {"DateTime64(3)", false, "1795522577", "1795522577"},
    {"DateTime", true, "1795522577547", "1795522577"},
    {"DateTime", true, "4294967296000", "\"out of range of DateTime: 4294967296000\""},
    {"DateTime", true, "-1", "\"out of range of DateTime: -1\""},
    {"Date", true, "1795522577547", "\"2026-11-24\""},
    {"Date", true, "5662310400000", "\"out of range of Date: 5662310400000\""},
    {"Date32", true, "-86400001", "\"1969-12-30\""},
    {"UInt64", true, "1795522577547.0", "1795522577547"},
    {"UInt64", false, "18446744073709551615", "18446744073709551615"},
    {"UInt64", false, "18446744073709551616",
     "\"out of range of UInt64: 18446744073709551616\""},
    {"UInt8", false, "255", "255"},
    {"UInt8", false, "256", "\"out of range of UInt8: 256\""},
    {"UInt8", false, "-1", "\"out of range of UInt8: -1\""},
    {"Int8", false, "-128", "-128"},
    {"Int8", false, "-129", "\"out of range of Int8: -129\""},
    {"Int64", false, "1e3", "1000"},
    {"Int64", false, "21234567890.0", "21234567890"},
    {"Int64", false, "1.5", "\"out of range of Int64: 1.5\""},
    {"Int64", false, "9223372036854775808",
     "\"out of range of Int64: 9223372036854775808\""},
    {"Int64", false, "-9223372036854775808", "-9223372036854775808"},
    {"Int128", false, "1e3", "1e3"},
    {"IntervalDay", false, "5", "5"},
    {"String", false, "1.50", "\"1.50\""},
    {"Float64", false, "1e400", "1e400"},
    {"Decimal(9, 2)", false, "1.5", "1.5"}};

static void each_number_is_what_the_type_holds_or_is_refused(void **state)
{
    (void)state;
    for (size_t i = 0; i < N_ELEMS(rows); i++) {
        struct form f = form_of(str_of(rows[i].type), rows[i].time), back;
        char out[256], name[FORM_NAME_BYTES];

        out[form_number(f, str_of(rows[i].value), out)] = '\0';
        assert_string_equal(rows[i].want, out);
        form_name(f, name);
        assert_true(form_read(name, &back));
        assert_int_equal(f.kind, back.kind);
        assert_int_equal(f.bits, back.bits);
        assert_int_equal(f.is_unsigned, back.is_unsigned);
    }
}

static void a_time_as_text_is_one_too(void **state)
{
    struct str text = STR("2026-11-24T12:16:17.547Z");
    char out[200];

    (void)state;
    out[form_moment(form_of(STR("UInt64"), true), text, out)] = '\0';
    assert_string_equal("1795522577547", out);
    out[form_moment(form_of(STR("DateTime"), true), text, out)] = '\0';
    assert_string_equal("1795522577", out);
    assert_int_equal(0, form_moment(form_of(STR("UInt64"), false), text, out));
    assert_int_equal(0, form_moment(form_of(STR("UInt64"), true), STR("soon"), out));
}

/* A journal may be damaged: its words are read as they are. */
static void the_longest_word_fits(void **state)
{
    char name[FORM_NAME_BYTES];
    struct form f, back;

    (void)state;
    assert_true(form_read("uint255!", &f));
    form_name(f, name);
    assert_string_equal("uint255!", name);
    assert_true(form_read(name, &back));
    assert_true(back.no_null && back.bits == 255 && back.is_unsigned);
}

static void what_is_no_form_is_not_read(void **state)
{
    struct form f;

    (void)state;
    assert_false(form_read("hex", &f));
    assert_false(form_read("x", &f));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_number_is_what_the_type_holds_or_is_refused),
        cmocka_unit_test(a_time_as_text_is_one_too),
        cmocka_unit_test(the_longest_word_fits),
        cmocka_unit_test(what_is_no_form_is_not_read),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
