/* Keys given twice are looked for in time that grows as the event does, whichever
 * keys a client chooses. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#include "base/arena.h"
#include "decode/scan.h"

enum { BODY_BYTES = 4 << 20, MASK = (1 << 20) - 1, PARTS = 36 * 36 * 36 * 36 };

static struct arena arena;
static struct event_batch batch;
static char *body;
static size_t n_body;

static void part_of(uint32_t i, char out[4])
{
    static const char digits[] = "0123456789abcdefghijklmnopqrstuvwxyz";

    for (int k = 0; k < 4; k++, i /= 36) {
        out[k] = digits[i % 36];
    }
}

static bool add_key(const char key[8], const char *value)
{
    if (n_body + 32 > BODY_BYTES) {
        return false;
    }
    n_body += (size_t)sprintf(body + n_body, "%s\"%.8s\":%s", n_body == 0 ? "{" : ",",
                              key, value);
    return true;
}

/* Keys of eight letters with the same lower bits of an unkeyed FNV-1a (32 bits):
 * its steps can be turned round, so that two halves meet in the middle. */
static void collide(void)
{
    uint32_t *first = calloc(MASK + 1, sizeof *first);
    const uint32_t inverse = 899433627u; /* of the prime, modulo 2^32 */

    for (uint32_t i = 0; i < PARTS; i++) {
        uint32_t h = 2166136261u;
        char part[4];

        part_of(i, part);
        for (int k = 0; k < 4; k++) {
            h = (h ^ (unsigned char)part[k]) * 16777619u;
        }
        first[h & MASK] = i + 1;
    }
    for (uint32_t i = 0; i < PARTS; i++) {
        uint32_t h = 0;
        char key[8];

        part_of(i, key + 4);
        for (int k = 7; k >= 4; k--) {
            h = (h * inverse) ^ (unsigned char)key[k];
        }
        if (first[h & MASK] != 0) {
            part_of(first[h & MASK] - 1, key);
            if (!add_key(key, "1")) {
                break;
            }
        }
    }
    free(first);
}

static void count_up(uint32_t n)
{
    for (uint32_t i = 0; i < n; i++) {
        char key[8] = "key_";

        part_of(i, key + 4);
        if (!add_key(key, "1")) {
            break;
        }
    }
}

static void begin(void)
{
    n_body = 0;
}

static void end(void)
{
    memset(body + n_body, 0, SCAN_PAD);
    body[n_body++] = '}';
}

/* CPU time of a scan, in seconds. */
static double scan(void)
{
    static const struct scan_limits limits = {10, 64};
    struct timespec a, b;
    struct scan_error se;

    (void)clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &a);
    assert_int_equal(scan_body(&batch, NULL, SCAN_EVENT, &limits, body, n_body, &se),
                     SCAN_OK);
    (void)clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &b);
    assert_int_equal(batch.n, 1);
    return (double)(b.tv_sec - a.tv_sec) + (double)(b.tv_nsec - a.tv_nsec) / 1e9;
}

static void reads_colliding_keys_as_fast_as_others(void **state)
{
    double chosen, usual;

    (void)state;
    begin();
    collide();
    end();
    chosen = scan();
    assert_int_equal(batch.events[0].fate, EVENT_ACCEPT);
    begin();
    count_up(UINT32_MAX);
    end();
    usual = scan();
    assert_int_equal(batch.events[0].fate, EVENT_ACCEPT);
    print_message("chosen keys %.0f ms, others %.0f ms\n", 1000 * chosen, 1000 * usual);
    /* Without a key of its own the table takes a minute and more. */
    assert_true(chosen < 10 * usual + 0.05);
}

static void finds_the_one_key_given_twice_among_100000(void **state)
{
    (void)state;
    begin();
    count_up(100000);
    (void)add_key("key_z000", "2"); /* the 36th */
    end();
    (void)scan();
    assert_int_equal(batch.events[0].fate, EVENT_REJECT);
    assert_string_equal(batch.events[0].code, "duplicate_key");
    assert_string_equal(batch.events[0].field, "key_z000");
}

static int setup(void **state)
{
    (void)state;
    body = malloc(BODY_BYTES + SCAN_PAD + 1);
    arena_init(&arena, 64 << 20);
    event_batch_init(&batch, &arena);
    return body == NULL;
}

static int teardown(void **state)
{
    (void)state;
    event_batch_fini(&batch);
    arena_fini(&arena);
    free(body);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reads_colliding_keys_as_fast_as_others),
        cmocka_unit_test(finds_the_one_key_given_twice_among_100000)};

    return cmocka_run_group_tests(tests, setup, teardown);
}
