/* The path of the ids of each policy, as a file, and what is believed of a damaged one. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/err.h"
#include "index/fields.h"

static char dir[32], file[64];
static struct index_fields f, back;

static int set_up(void **state)
{
    (void)state;
    (void)strcpy(dir, "/tmp/sluice-test-XXXXXX");
    assert_non_null(mkdtemp(dir));
    (void)snprintf(file, sizeof file, "%s/FIELD", dir);
    f.n = back.n = 0;
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    (void)unlink(file);
    return rmdir(dir);
}

static void put(const char *text, size_t n)
{
    FILE *out = fopen(file, "w");

    assert_non_null(out);
    assert_int_equal(n, fwrite(text, 1, n, out));
    assert_int_equal(0, fclose(out));
}

static size_t get(char *text, size_t room)
{
    FILE *in = fopen(file, "r");
    const size_t n = in == NULL ? 0 : fread(text, 1, room - 1, in);

    assert_non_null(in);
    (void)fclose(in);
    text[n] = '\0';
    return n;
}

static void write_it(void)
{
    struct err e = {""};

    if (!index_fields_write(&f, file, &e)) {
        fail_msg("%s", e.text);
    }
}

static void comes_back_from_its_file(void **state)
{
    static const char odd[] = "a\n\t%\x7f\xff policy 1.\"b\"";

    (void)state;
    index_fields_note(&f, 1, "event_id");
    index_fields_note(&f, UINT64_MAX, odd);
    index_fields_note(&f, 3, "a.b");
    index_fields_note(&f, 1, "event_id");
    write_it();
    index_fields_read(&back, file);
    assert_int_equal(3, back.n);
    assert_string_equal("event_id", index_fields_of(&back, 1));
    assert_string_equal(odd, index_fields_of(&back, UINT64_MAX));
    assert_string_equal("a.b", index_fields_of(&back, 3));
    assert_null(index_fields_of(&back, 2));
    assert_string_equal("event_id", back.list[2].path);
}

static void has_the_longest_paths_of_all_policies(void **state)
{
    char path[INDEX_FIELD_MAX];

    (void)state;
    memset(path, 1, sizeof path);
    path[sizeof path - 1] = '\0';
    for (uint64_t i = 1; i <= INDEX_FIELDS_MAX + 3; i++) {
        path[0] = (char)i;
        index_fields_note(&f, i, path);
    }
    write_it();
    index_fields_read(&back, file);
    assert_int_equal(INDEX_FIELDS_MAX, back.n);
    assert_null(index_fields_of(&back, 3));
    for (uint64_t i = 4; i <= INDEX_FIELDS_MAX + 3; i++) {
        path[0] = (char)i;
        assert_string_equal(path, index_fields_of(&back, i));
    }
}

static void reads_the_file_of_an_older_sluice(void **state)
{
    (void)state;
    index_fields_read(&back, file);
    assert_int_equal(0, back.n);
    put("a.key", 5);
    index_fields_read(&back, file);
    assert_int_equal(1, back.n);
    assert_string_equal("a.key", back.list[0].path);
    assert_null(index_fields_of(&back, 0));
    put("", 0);
    index_fields_read(&back, file);
    assert_int_equal(0, back.n);
}

static void believes_of_a_damaged_file_the_first_line_only(void **state)
{
    char whole[4096], bad[4096];
    size_t n;

    (void)state;
    index_fields_note(&f, 1, "event_id");
    index_fields_note(&f, 2, "key");
    write_it();
    n = get(whole, sizeof whole);
    for (size_t i = 0; i < n; i++) {
        put(whole, i); /* cut */
        index_fields_read(&back, file);
        assert_true(back.n <= 1);
        memcpy(bad, whole, n);
        for (int bit = 0; bit < 8; bit++) {
            bad[i] = (char)(whole[i] ^ 1 << bit);
            put(bad, n);
            index_fields_read(&back, file);
            assert_true(back.n <= 1);
            assert_null(index_fields_of(&back, 1));
        }
    }
    memcpy(bad, whole, n);
    memcpy(bad + n, "\0more", 5);
    put(bad, n + 5);
    index_fields_read(&back, file);
    assert_int_equal(1, back.n);
    for (size_t i = 0; i < sizeof bad; i++) {
        bad[i] = 'x';
    }
    put(bad, sizeof bad);
    index_fields_read(&back, file);
    assert_int_equal(INDEX_FIELD_MAX - 1, strlen(back.list[0].path));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(comes_back_from_its_file, set_up, tear_down),
        cmocka_unit_test_setup_teardown(has_the_longest_paths_of_all_policies, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(reads_the_file_of_an_older_sluice, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(believes_of_a_damaged_file_the_first_line_only,
                                        set_up, tear_down),
    };

    return cmocka_run_group_tests_name("fields", tests, NULL, NULL);
}
