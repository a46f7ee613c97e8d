/* Files inflated by their names: members and frames in a row, cuts, damage. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>
#include <zlib.h>
#include <zstd.h>

#include "base/err.h"
#include "cli/replay/unpack.h"

enum { BYTES = 3000000 };

static char dir[] = "/tmp/sluice-test-XXXXXX";
static char text[BYTES];

static char *path_of(const char *name)
{
    static char path[128];

    (void)snprintf(path, sizeof path, "%s/%s", dir, name);
    return path;
}

static void write_file(const char *name, const void *p, size_t n, const char *mode)
{
    FILE *f = fopen(path_of(name), mode);

    assert_non_null(f);
    assert_int_equal(n, fwrite(p, 1, n, f));
    assert_int_equal(0, fclose(f));
}

/* Bytes read before the end or an error; *failed tells which. */
static size_t read_back(const char *name, size_t step, char *out, int *failed,
                        struct err *e)
{
    struct unpack *u = unpack_open(path_of(name), e);
    size_t n = 0;
    ssize_t some;

    assert_non_null(u);
    while ((some = unpack_read(u, out + n, step, e)) > 0) {
        n += (size_t)some;
        assert_true(n <= BYTES);
    }
    *failed = some < 0;
    unpack_close(u);
    return n;
}

static void comes_back_whole(const char *name)
{
    static const size_t steps[] = {BYTES, 65536, 997};
    static char out[2 * BYTES];
    struct err e;
    int failed;

    for (size_t i = 0; i < 3; i++) {
        assert_int_equal(BYTES, read_back(name, steps[i], out, &failed, &e));
        assert_false(failed);
        assert_memory_equal(text, out, BYTES);
    }
}

static void write_gzip(const char *name, const char *p, size_t n)
{
    gzFile f = gzopen(path_of(name), "ab1");

    assert_non_null(f);
    assert_int_equal(n, gzwrite(f, p, (unsigned)n));
    assert_int_equal(Z_OK, gzclose(f));
}

/* With a checksum, as the file sink writes it. */
static void write_zstd(const char *name, const char *p, size_t n)
{
    ZSTD_CCtx *c = ZSTD_createCCtx();
    size_t bound = ZSTD_compressBound(n);
    char *out = malloc(bound);

    (void)ZSTD_CCtx_setParameter(c, ZSTD_c_checksumFlag, 1);
    bound = ZSTD_compress2(c, out, bound, p, n);
    assert_false(ZSTD_isError(bound));
    write_file(name, out, bound, "ab");
    (void)ZSTD_freeCCtx(c);
    free(out);
}

static void files_of_any_kind_come_back_whole(void **state)
{
    (void)state;
    write_file("plain.ndjson", text, BYTES, "wb");
    comes_back_whole("plain.ndjson");
    /* Two members; the second begins in the middle of a read. */
    write_gzip("two.gz", text, 1000001);
    write_gzip("two.gz", text + 1000001, BYTES - 1000001);
    comes_back_whole("two.gz");
    write_zstd("three.zst", text, 10);
    write_zstd("three.zst", text + 10, 1000001);
    write_zstd("three.zst", text + 1000011, BYTES - 1000011);
    comes_back_whole("three.zst");
}

static void an_empty_file_has_nothing(void **state)
{
    static const char *const names[] = {"none.ndjson", "none.gz", "none.zst"};
    char out[16];
    struct err e;
    int failed;

    (void)state;
    for (size_t i = 0; i < 3; i++) {
        write_file(names[i], "", 0, "wb");
        assert_int_equal(0, read_back(names[i], sizeof out, out, &failed, &e));
        assert_false(failed);
    }
}

static void what_is_cut_or_damaged_is_said(void **state)
{
    static const char *const names[] = {"two.gz", "three.zst"};
    static char out[BYTES], whole[BYTES];
    struct err e;
    int failed;

    (void)state;
    for (size_t i = 0; i < 2; i++) {
        FILE *f = fopen(path_of(names[i]), "rb");
        size_t n = fread(whole, 1, sizeof whole, f);
        char name[32];

        (void)fclose(f);
        (void)snprintf(name, sizeof name, "cut-%s", names[i]);
        write_file(name, whole, n - 5, "wb");
        assert_true(read_back(name, 4096, out, &failed, &e) < BYTES + 1);
        assert_true(failed);
        assert_non_null(strstr(e.text, "cut off before its end"));
        memset(whole + n / 2, 0xA5, 64);
        write_file(name, whole, n, "wb");
        (void)read_back(name, 4096, out, &failed, &e);
        assert_true(failed);
    }
    assert_null(unpack_open("/nowhere/at/all", &e));
}

/* A sink writes whole frames, but not at the moment at which we look. */
static void a_growing_file_ends_before_what_is_cut(void **state)
{
    static const char *const names[] = {"grows.ndjson.gz.part",
                                        "grows.ndjson.zst.part"};
    static char out[2 * BYTES], whole[2 * BYTES];
    struct err e;
    int failed;

    (void)state;
    write_gzip(names[0], text, 1000001);
    write_zstd(names[1], text, 1000001);
    for (size_t i = 0; i < 2; i++) {
        FILE *f;
        size_t n;

        assert_int_equal(1000001, read_back(names[i], 65536, out, &failed, &e));
        assert_false(failed);
        (i == 0 ? write_gzip : write_zstd)(names[i], text + 1000001, 1000001);
        f = fopen(path_of(names[i]), "rb");
        n = fread(whole, 1, sizeof whole, f);
        (void)fclose(f);
        write_file(names[i], whole, n - 300000, "wb");
        n = read_back(names[i], 65536, out, &failed, &e);
        assert_true(n >= 1000001 && n < 2000002);
        assert_false(failed);
        assert_memory_equal(text, out, n);
    }
}

static int make_folder(void **state)
{
    uint32_t x = 1;

    (void)state;
    for (size_t i = 0; i < BYTES; i++) {
        x = x * 1664525 + 1013904223;
        text[i] = "0123456789abcdef \n"[(x >> 24) % 18];
    }
    return mkdtemp(dir) == NULL;
}

static int remove_folder(void **state)
{
    char command[64];

    (void)state;
    (void)snprintf(command, sizeof command, "rm -rf %s", dir);
    return system(command);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(files_of_any_kind_come_back_whole),
        cmocka_unit_test(an_empty_file_has_nothing),
        cmocka_unit_test(what_is_cut_or_damaged_is_said),
        cmocka_unit_test(a_growing_file_ends_before_what_is_cut)};

    return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
