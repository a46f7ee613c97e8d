/* A route's own body for refusals: codes, escapes, bounds. */
#include "plan/refused_body.h"

#include <cjson/cJSON.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static const struct fill_part parts[] = {
    {STR("{\"text\":\""), {NULL, 0}, FILL_MESSAGE},
    {STR("\",\"code\":\""), {NULL, 0}, FILL_CODE},
    {STR("\",\"status\":"), {NULL, 0}, FILL_STATUS},
    {STR("}"), {NULL, 0}, FILL_FIELD}};
static const struct refused_code codes[] = {{STR(""), 401, STR("3")},
                                            {STR("token_required"), 0, STR("2")},
                                            {STR("a\"b"), 0, STR("\"9\"")}};
static struct refused_body body = {.fill = {parts, 4}, .codes = codes, .n_codes = 3};

static const char *written(int status, const char *code, const char *message)
{
    static char out[REFUSED_BODY_BYTES + 1];
    const struct refused_reason why = {status, code, message};
    size_t n = refused_body_write(&body, &why, out);

    assert_int_equal(n, refused_body_write(&body, &why, NULL));
    assert_true(n <= REFUSED_BODY_BYTES);
    out[n] = '\0';
    return out;
}

static void a_code_goes_before_its_status(void **state)
{
    (void)state;
    assert_string_equal("{\"text\":\"m\",\"code\":\"2\",\"status\":401}",
                        written(401, "token_required", "m"));
    assert_string_equal("{\"text\":\"m\",\"code\":\"3\",\"status\":401}",
                        written(401, "token", "m"));
    assert_string_equal("{\"text\":\"m\",\"code\":\"token\",\"status\":403}",
                        written(403, "token", "m"));
    body.other = STR("8");
    assert_string_equal("{\"text\":\"m\",\"code\":\"8\",\"status\":403}",
                        written(403, "token", "m"));
    body.other = (struct str){NULL, 0};
}

static void a_reason_without_a_message_is_its_code(void **state)
{
    (void)state;
    assert_string_equal("{\"text\":\"full\",\"code\":\"full\",\"status\":503}",
                        written(503, "full", NULL));
}

/* A policy may write a client's bytes into both, and a code of its own as well. */
static void hostile_texts_stay_one_json_text(void **state)
{
    static const char *const hostile[] = {
        "\",\"code\":0,\"x\":\"", "a\\", "\x01\n\r\t\x7F", "\xff\xc3", "a\"b", ""};
    char longest[4096];

    (void)state;
    memset(longest, '\x02', sizeof longest - 1);
    longest[sizeof longest - 1] = '\0';
    for (size_t i = 0; i <= 6; i++) {
        const char *z = i == 6 ? longest : hostile[i];
        cJSON *root = cJSON_Parse(written(400, z, z));

        assert_non_null(root);
        assert_int_equal(3, cJSON_GetArraySize(root));
        assert_true(cJSON_IsString(cJSON_GetObjectItem(root, "text")));
        assert_true(cJSON_IsString(cJSON_GetObjectItem(root, "code")));
        cJSON_Delete(root);
    }
}

static void a_long_text_ends_with_a_whole_character(void **state)
{
    char longest[2000];

    (void)state;
    for (size_t i = 0; i < sizeof longest - 1; i++) {
        longest[i] = i == 0 ? 'x' : (char)(i % 2 == 1 ? 0xC3 : 0xA9); /* é */
    }
    longest[sizeof longest - 1] = '\0';
    assert_non_null(strstr(written(400, "c", longest), "\xC3\xA9\",\"code\":\"c\""));
}

/* The loader's bounds, all of them at once. */
static void the_largest_body_has_room(void **state)
{
    char text[1024], longest[4096];
    const struct fill_part most[] = {
        {{text, 1023}, {NULL, 0}, FILL_MESSAGE}, {STR(""), {NULL, 0}, FILL_MESSAGE},
        {STR(""), {NULL, 0}, FILL_CODE},         {STR(""), {NULL, 0}, FILL_CODE},
        {STR(""), {NULL, 0}, FILL_STATUS},       {STR(""), {NULL, 0}, FILL_STATUS}};

    (void)state;
    memset(text, 'x', sizeof text);
    memset(longest, '\x02', sizeof longest - 1);
    longest[sizeof longest - 1] = '\0';
    body.fill = (struct fill_plan){most, 6};
    assert_int_equal(1023 + 2 * 6 * 512 + 2 * 6 * 64 + 6,
                     strlen(written(400, longest, longest)));
    body.fill = (struct fill_plan){parts, 4};
}

static void plain_text_is_one_line(void **state)
{
    (void)state;
    body.plain = true;
    assert_string_equal("{\"text\":\"a\"b  c\",\"code\":\"x\",\"status\":400}",
                        written(400, "x", "a\"b\r\nc"));
    body.plain = false;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_code_goes_before_its_status),
        cmocka_unit_test(a_reason_without_a_message_is_its_code),
        cmocka_unit_test(hostile_texts_stay_one_json_text),
        cmocka_unit_test(a_long_text_ends_with_a_whole_character),
        cmocka_unit_test(the_largest_body_has_room),
        cmocka_unit_test(plain_text_is_one_line)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
