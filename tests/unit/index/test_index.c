/* Index files: every id is found where it is, what is not there is not, and nothing that
 * is damaged, cut or made up is believed. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/err.h"
#include "base/mem.h"
#include "index/builder.h"
#include "index/print_ring.h"
#include "index/reader.h"

static char folder[64], path[128];

static int set_up(void **state)
{
    (void)state;
    (void)snprintf(folder, sizeof folder, "/tmp/sluice-index-XXXXXX");
    (void)snprintf(path, sizeof path, "%s/1.idx", mkdtemp(folder));
    return 0;
}

static int tear_down(void **state)
{
    char command[128];

    (void)state;
    (void)snprintf(command, sizeof command, "rm -rf '%s'", folder);
    return system(command);
}

static const struct index_place PLACE = {
    .uuid = "3f", .stream = "events", .field = "event_id", .epoch = 7, .worker = 1};

static const char *id_of(char out[32], uint32_t i)
{
    (void)snprintf(out, 32, "e%u", i);
    return out;
}

/* n events from sequence `first` on, `each` in a block, a block every ms. */
static struct index_builder *filled(uint64_t first, uint32_t n, uint32_t each)
{
    struct index_builder *b = index_builder_new(first);
    char id[32];

    for (uint32_t i = 0; i < n; i++) {
        if (i % each == 0) {
            index_block(b, 1700000000000 + i / each, 5);
        }
        (void)id_of(id, i);
        index_add(b, id, strlen(id));
    }
    return b;
}

static uint64_t written(struct index_builder *b)
{
    uint64_t bytes = 0;
    struct err e;

    assert_true(index_write(b, &PLACE, path, &bytes, &e));
    index_builder_free(b);
    return bytes;
}

struct hits {
    uint32_t n, most;
    uint64_t seq[16];
};

static bool on_hit(void *arg, uint64_t seq)
{
    struct hits *h = arg;

    if (h->n < 16) {
        h->seq[h->n] = seq;
    }
    h->n++;
    return h->most == 0 || h->n < h->most;
}

static struct hits find(struct index_file *f, const char *id)
{
    struct hits h = {.n = 0};
    struct err e;

    assert_true(index_find(f, index_print(id, strlen(id)), on_hit, &h, &e));
    return h;
}

static void open_it(struct index_file *f)
{
    struct err e;

    *f = (struct index_file){.fd = -1};
    assert_int_equal(INDEX_OPENED, index_open(f, path, &e));
}

static void close_it(struct index_file *f)
{
    index_close(f);
    index_free(f);
}

static void the_fingerprint_is_that_of_clickhouse(void **state)
{
    (void)state;
    /* SELECT sipHash64('') */
    assert_true(index_print("", 0) == 2202906307356721367u);
}

static char *bytes_of_file(size_t *n)
{
    FILE *f = fopen(path, "rb");
    char *bytes = malloc(1 << 24);

    assert_non_null(f);
    *n = fread(bytes, 1, 1 << 24, f);
    (void)fclose(f);
    return bytes;
}

/* Of fingerprints that a worker took comes the same file as of ids. */
static void prints_make_the_file_that_ids_make(void **state)
{
    enum { EVENTS = 20000, EACH = 77 };
    struct index_builder *by_id = index_builder_new(9),
                         *by_print = index_builder_new(9);
    uint64_t prints[EACH];
    char *a, *b, id[32];
    size_t n_a, n_b;

    (void)state;
    for (uint32_t i = 0; i < EVENTS; i += EACH) {
        index_block(by_id, 1700000000000 + i, i % 2);
        index_block(by_print, 1700000000000 + i, i % 2);
        for (uint32_t k = 0; k < EACH; k++) {
            const bool none = (i + k) % 5 == 0;

            (void)id_of(id, (i + k) % 9000);
            index_add(by_id, none ? NULL : id, strlen(id));
            prints[k] = none ? PRINT_NONE : index_print(id, strlen(id));
        }
        index_add_prints(by_print, prints, EACH);
    }
    (void)written(by_id);
    a = bytes_of_file(&n_a);
    (void)written(by_print);
    b = bytes_of_file(&n_b);
    assert_int_equal(n_a, n_b);
    assert_memory_equal(a, b, n_a);
    free(a);
    free(b);
}

static void every_id_is_found_at_its_sequence(void **state)
{
    static const uint32_t sizes[] = {1, 2, 255, 256, 257, 511, 512, 513, 5000};
    char id[32];

    (void)state;
    for (size_t k = 0; k < sizeof sizes / sizeof *sizes; k++) {
        struct index_file f;

        (void)written(filled(100, sizes[k], 7));
        open_it(&f);
        for (uint32_t i = 0; i < sizes[k]; i++) {
            struct hits h = find(&f, id_of(id, i));

            assert_int_equal(1, h.n);
            assert_int_equal(100 + i, h.seq[0]);
        }
        for (uint32_t i = sizes[k]; i < sizes[k] + 1000; i++) {
            assert_int_equal(0, find(&f, id_of(id, i)).n);
        }
        close_it(&f);
    }
}

static void an_event_takes_less_than_12_bytes(void **state)
{
    uint64_t in_blocks = written(filled(1, 200000, 50)),
             one_by_one = written(filled(1, 200000, 1));

    (void)state;
    assert_true(in_blocks < 12 * 200000u);
    assert_true(one_by_one < 12 * 200000u);
}

static void a_million_equal_ids_are_all_there(void **state)
{
    struct index_builder *b = index_builder_new(1);
    struct hits h = {.most = 3};
    struct index_file f;
    struct err e;

    (void)state;
    index_block(b, 1700000000000, 5);
    for (uint32_t i = 0; i < 1000000; i++) {
        index_add(b, "same", 4);
    }
    (void)written(b);
    open_it(&f);
    assert_int_equal(1000000, find(&f, "same").n);
    assert_int_equal(0, find(&f, "other").n);
    assert_true(index_find(&f, index_print("same", 4), on_hit, &h, &e));
    assert_int_equal(3, h.n);
    assert_int_equal(1, h.seq[0]);
    assert_int_equal(3, h.seq[2]);
    close_it(&f);
}

static void rows_count_minutes_exactly(void **state)
{
    struct index_builder *b = index_builder_new(1);
    const int64_t minute = 1700000040000; /* a whole one */
    uint64_t sum[2] = {0}, n[2] = {0};
    struct index_file f;
    struct err e;
    char id[32];

    (void)state;
    for (uint32_t i = 0; i < 120000; i++) {
        index_block(b, minute + i, i / 7);
        (void)id_of(id, i);
        index_add(b, i % 10 == 0 ? NULL : id, strlen(id));
        sum[i / 60000] += i % 10 == 0 ? 0 : index_print(id, strlen(id));
    }
    (void)written(b);
    open_it(&f);
    assert_true(index_rows(&f, &e));
    for (uint32_t i = 0; i < f.head.n_rows; i++) {
        const struct index_row *r = &f.rows[i];
        const int64_t m = (r->wall_ms - minute) / 60000;

        assert_in_range(m, 0, 1);
        n[m] += r->n;
        sum[m] -= r->sum;
        assert_ptr_equal(r, index_row_of(&f, r->seq));
        assert_ptr_equal(r, index_row_of(&f, r->seq + r->n - 1));
    }
    assert_int_equal(60000, n[0]);
    assert_int_equal(60000, n[1]);
    assert_int_equal(0, sum[0] | sum[1]);
    assert_int_equal(108000, f.head.n_ids);
    assert_true(f.head.step_ms > 1); /* a row's time is that of its first event */
    assert_true(minute == f.head.oldest_ms && minute + 119999 == f.head.newest_ms);
    assert_null(index_row_of(&f, 120001));
    close_it(&f);
}

static void lost_sequences_are_of_no_row(void **state)
{
    struct index_builder *b = index_builder_new(10);
    struct index_file f;
    struct err e;

    (void)state;
    index_block(b, 1700000000000, 5);
    index_add(b, "a", 1);
    index_lose(b, 5, true);
    index_block(b, 1700000000000, 5);
    index_add(b, "b", 1);
    (void)written(b);
    open_it(&f);
    assert_int_equal(17, f.head.end);
    assert_int_equal(2, f.head.n_events);
    assert_int_equal(5, f.head.n_lost);
    assert_int_equal(16, find(&f, "b").seq[0]);
    assert_true(index_rows(&f, &e));
    assert_null(index_row_of(&f, 12));
    assert_non_null(index_row_of(&f, 16));
    close_it(&f);
}

/* The file with byte `at` turned: no lookup may say that an id is not there. */
static void spoil(off_t at)
{
    int fd = open(path, O_RDWR);
    unsigned char c;

    assert_int_equal(1, pread(fd, &c, 1, at));
    c = (unsigned char)~c;
    assert_int_equal(1, pwrite(fd, &c, 1, at));
    assert_int_equal(0, close(fd));
}

static void a_damaged_byte_is_never_believed(void **state)
{
    const uint64_t bytes = written(filled(1, 600, 10));
    char id[32];

    (void)state;
    for (uint64_t at = 0; at < bytes; at += 13) {
        struct index_file f = {.fd = -1};
        struct hits h = {.n = 0};
        struct err e;

        spoil((off_t)at);
        if (index_open(&f, path, &e) == INDEX_OPENED) {
            bool rows = index_rows(&f, &e);

            assert_true(at >= INDEX_HEAD_BYTES);
            for (uint32_t i = 0; i < 600; i += 23) {
                (void)id_of(id, i);
                h.n = 0;
                if (index_find(&f, index_print(id, strlen(id)), on_hit, &h, &e)) {
                    assert_int_equal(1, h.n);
                    assert_int_equal(1 + i, h.seq[0]);
                }
            }
            assert_true(!rows || f.rows[0].seq == 1);
            index_close(&f);
        }
        index_free(&f);
        spoil((off_t)at);
    }
}

static void a_cut_or_longer_file_is_none(void **state)
{
    const uint64_t bytes = written(filled(1, 600, 10));
    static const int64_t by[] = {1, -1, -100, -3000, -7000};
    struct err e;

    (void)state;
    for (size_t i = 0; i < sizeof by / sizeof *by; i++) {
        struct index_file f = {.fd = -1};

        assert_int_equal(0, truncate(path, (off_t)((int64_t)bytes + by[i])));
        assert_int_equal(INDEX_NOT_ONE, index_open(&f, path, &e));
    }
}

static void a_folder_that_is_gone_leaves_the_builder(void **state)
{
    struct index_builder *b = filled(1, 600, 10);
    uint64_t bytes;
    struct err e;

    (void)state;
    assert_false(index_write(b, &PLACE, "/tmp/sluice-there-is-none/1.idx", &bytes, &e));
    (void)written(b);
    every_id_is_found_at_its_sequence(NULL);
}

static int by_print_and_ordinal(const void *a, const void *b)
{
    const struct index_id *x = a, *y = b;
    const uint64_t p = index_stored_print(x->print), q = index_stored_print(y->print);

    return p != q ? (p > q) - (p < q)
                  : (x->ordinal > y->ordinal) - (x->ordinal < y->ordinal);
}

/* mask: the bits of the fingerprints that are not the same in all. */
static void sorts(uint32_t n, uint64_t mask)
{
    struct index_id *ids = mem_alloc((n + 1) * sizeof *ids);
    struct index_id *expected = mem_alloc((n + 1) * sizeof *ids);
    struct index_id *spare = mem_alloc((n + 1) * sizeof *ids);

    for (uint32_t i = 0; i < n; i++) {
        ids[i].print = (index_print(&i, sizeof i) & mask) | (5ull << 40 & ~mask);
        ids[i].ordinal = i;
    }
    memcpy(expected, ids, n * sizeof *ids);
    qsort(expected, n, sizeof *ids, by_print_and_ordinal);
    for (int again = 0; again < 2; again++) { /* a file may be written twice */
        index_sort(ids, spare, n);
        for (uint32_t i = 0; i < n; i++) {
            assert_int_equal(expected[i].ordinal, ids[i].ordinal);
        }
    }
    free(ids);
    free(expected);
    free(spare);
}

static void sorts_ids_also_those_made_to_collide(void **state)
{
    static const uint64_t masks[] = {UINT64_MAX,
                                     UINT64_MAX >> 20,
                                     UINT64_MAX >> 30,
                                     0xFFFull << 8,
                                     0xFull << 60,
                                     0xFF,
                                     0};

    (void)state;
    for (size_t i = 0; i < N_ELEMS(masks); i++) {
        sorts(0, masks[i]);
        sorts(1, masks[i]);
        sorts(2000, masks[i]);
        sorts(200000, masks[i]);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_fingerprint_is_that_of_clickhouse),
        cmocka_unit_test(every_id_is_found_at_its_sequence),
        cmocka_unit_test(prints_make_the_file_that_ids_make),
        cmocka_unit_test(an_event_takes_less_than_12_bytes),
        cmocka_unit_test(a_million_equal_ids_are_all_there),
        cmocka_unit_test(rows_count_minutes_exactly),
        cmocka_unit_test(lost_sequences_are_of_no_row),
        cmocka_unit_test(a_damaged_byte_is_never_believed),
        cmocka_unit_test(a_cut_or_longer_file_is_none),
        cmocka_unit_test(a_folder_that_is_gone_leaves_the_builder),
        cmocka_unit_test(sorts_ids_also_those_made_to_collide),
    };

    return cmocka_run_group_tests(tests, set_up, tear_down);
}
