/* Reading a segment block by block: an unreadable block is not the end. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "spool/blocks.h"
#include "spool/format.h"
#include "spool/spool.h"

static void a_read_that_fails_is_not_the_end(void **state)
{
    struct spool_block b;
    struct blocks w;

    (void)state;
    blocks_init(&w, -1, 1, 1 << 20, 1);
    assert_int_equal(BLOCKS_UNREAD, blocks_next(&w, &b));
    assert_int_equal(EBADF, w.error);
    assert_int_equal(BLOCKS_UNREAD, blocks_next(&w, &b));
    assert_int_equal(PAGE_BYTES, w.off);
    blocks_fini(&w);
}

static void zeros_are_the_end(void **state)
{
    char path[] = "/tmp/sluice-test-XXXXXX";
    int fd = mkstemp(path);
    struct spool_block b;
    struct blocks w;

    (void)state;
    assert_int_equal(0, ftruncate(fd, 1 << 20));
    blocks_init(&w, fd, 1, 1 << 20, 1);
    assert_int_equal(BLOCKS_STOP, blocks_next(&w, &b));
    blocks_fini(&w);
    (void)close(fd);
    (void)unlink(path);
}

/* ---- blocks that are passed ---- */

enum { SALT = 77, BLOCKS = 6 };

static size_t make_block(char *out, uint64_t first)
{
    static const char text[] = "{\"a\":1}\n{\"b\":22}\n\0\0\0\0\0\0\0";
    struct spool_entry entries[2] = {{.off = 0, .len = 7}, {.off = 8, .len = 8}};
    struct block_head h = {.first = first, .n = 2, .payload_bytes = 17};

    block_seal(&h, SALT, text, entries, NULL);
    memcpy(out, &h, sizeof h);
    memcpy(out + sizeof h, text, 24);
    memcpy(out + sizeof h + 24, entries, sizeof entries);
    return h.block_bytes;
}

/* The search reads a window of 1 MiB at a time: a block that begins at the end of one is
 * found with the next. */
static void a_search_finds_a_block_at_the_edge_of_its_window(void **state)
{
    char path[] = "/tmp/sluice-test-XXXXXX", block[256] = "";
    int fd = mkstemp(path);

    (void)state;
    for (uint64_t ahead = 0; ahead <= BLOCK_HEAD_BYTES + 8; ahead += 8) {
        const uint64_t at = PAGE_BYTES + (1 << 20) - ahead;
        const size_t n = make_block(block, 5);
        struct blocks_hit hit = {.off = 0};

        assert_int_equal(0, ftruncate(fd, 0));
        assert_int_equal(0, ftruncate(fd, 3 << 20));
        assert_int_equal(n, pwrite(fd, block, n, (off_t)at));
        assert_int_equal(0, blocks_search(fd, SALT, PAGE_BYTES, 3 << 20, 5, &hit));
        assert_int_equal(at, hit.off);
        assert_int_equal(5, hit.first);
        assert_int_equal(ENOENT, blocks_search(fd, SALT, PAGE_BYTES, 3 << 20, 6, &hit));
        assert_int_equal(ENOENT,
                         blocks_search(fd, SALT, PAGE_BYTES, at + n - 8, 5, &hit));
    }
    (void)close(fd);
    (void)unlink(path);
}

struct found {
    bool has[5 + 2 * BLOCKS]; /* the event of that sequence */
    uint64_t lost;
    enum blocks_result end;
};

static struct found walk(int fd, uint64_t size, uint64_t until)
{
    struct found f = {.lost = 0};
    enum blocks_result r;
    struct spool_block b;
    struct blocks w;

    blocks_init(&w, fd, SALT, PAGE_BYTES + size, 5);
    do {
        blocks_pass(&w, until);
        r = blocks_next(&w, &b);
        for (uint64_t i = 0; r == BLOCKS_BLOCK && i < b.n; i++) {
            assert_true(b.first + i < 5 + 2 * BLOCKS);
            assert_false(f.has[b.first + i]);
            f.has[b.first + i] = true;
        }
        f.lost += r == BLOCKS_DAMAGE ? w.damage.lost : 0;
    } while (r == BLOCKS_BLOCK || r == BLOCKS_DAMAGE);
    blocks_fini(&w);
    f.end = r;
    return f;
}

/* Whatever byte is damaged, each event that is wanted is given, if reading all gives it. */
static void what_is_wanted_is_read_whatever_is_passed(void **state)
{
    static const char zeros[PAGE_BYTES];
    char file[BLOCKS * 256 + BLOCK_HEAD_BYTES];
    const int fd = memfd_create("segment", 0);
    size_t size = 0;

    (void)state;
    for (uint64_t i = 0; i < BLOCKS; i++) {
        size += make_block(file + size, 5 + 2 * i);
    }
    block_seal_closed(file + size, SALT, 5 + 2 * BLOCKS);
    size += BLOCK_HEAD_BYTES;
    assert_int_equal(PAGE_BYTES, pwrite(fd, zeros, PAGE_BYTES, 0));
    for (size_t at = 0; at <= size; at++) {
        for (unsigned bit = 0; bit < 8; bit += 3) {
            char c = file[at == size ? 0 : at];

            assert_int_equal(size, pwrite(fd, file, size, PAGE_BYTES));
            c = (char)(at == size ? c : c ^ (1 << bit));
            assert_int_equal(1, pwrite(fd, &c, 1, (off_t)(PAGE_BYTES + at % size)));
            for (uint64_t until = 4; until < 6 + 2 * BLOCKS; until++) {
                const struct found all = walk(fd, size, 0), f = walk(fd, size, until);

                assert_int_equal(all.end, f.end);
                for (uint64_t i = until; i < 5 + 2 * BLOCKS; i++) {
                    assert_int_equal(all.has[i], f.has[i]);
                }
            }
        }
    }
    for (uint64_t until = 5; until < 5 + 2 * BLOCKS; until++) { /* and little else */
        const struct found f = walk(fd, size, until);

        for (uint64_t i = 5; i < 5 + 2 * BLOCKS; i++) {
            assert_int_equal(i >= until - (until - 5) % 2, f.has[i]);
        }
    }
    (void)close(fd);
}

/* A segment that is used again has blocks of before: they are not taken for passed. */
static void old_blocks_are_not_passed(void **state)
{
    char file[4 * 256];
    const int fd = memfd_create("segment", 0);
    size_t size = 0;
    struct found f;

    (void)state;
    size += make_block(file, 5);
    size += make_block(file + size, 7);
    size += make_block(file + size, 1);
    assert_int_equal(size, pwrite(fd, file, size, PAGE_BYTES));
    f = walk(fd, size, 100);
    assert_int_equal(BLOCKS_STOP, f.end);
    assert_int_equal(0, f.lost);
    (void)close(fd);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_read_that_fails_is_not_the_end),
        cmocka_unit_test(zeros_are_the_end),
        cmocka_unit_test(a_search_finds_a_block_at_the_edge_of_its_window),
        cmocka_unit_test(what_is_wanted_is_read_whatever_is_passed),
        cmocka_unit_test(old_blocks_are_not_passed)};

    return cmocka_run_group_tests_name("blocks", tests, NULL, NULL);
}
