/* A reader passes over a block that it knows, and over no other one: not one that it can't
 * read yet, nor one that is not the next. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <semaphore.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/err.h"
#include "spool/spool.h"

#include "fixture.h"

static struct spool *s;
static struct spool_writer *w;
static struct spool_consumer *c;
static struct spool_cursor *cur;

static void begin(bool synced)
{
    s = open_spool();
    const int stream = open_stream(s, 64 * SEGMENT, synced);

    c = open_consumer(s, stream);
    w = spool_writer_open(s, stream, 0, on_wake, NULL);
    cur = spool_cursor_open(c, (struct spool_pos){spool_epoch(s), 0, 1});
}

static void finish(void)
{
    spool_cursor_close(cur);
    spool_consumer_close(c);
    spool_writer_close(w);
    spool_close(s);
}

static struct spool_written write_one(const char *text)
{
    uint64_t last;

    assert_int_equal(SPOOL_OK, commit(w, text, &last));
    assert_int_equal(last, spool_writer_written(w)->first);
    return *spool_writer_written(w);
}

static enum spool_read next_but(const struct spool_written *given,
                                struct spool_block *b)
{
    uint64_t lost;

    return spool_cursor_next_but(cur, given, b, &lost);
}

static void a_known_block_is_passed_and_the_next_is_read(void **state)
{
    struct spool_written one, two;
    struct spool_block b;

    (void)state;
    begin(false);
    one = write_one("{\"n\":1}");
    two = write_one("{\"n\":22}");
    assert_int_equal(SPOOL_READ_OK, next_but(&one, &b));
    assert_null(b.payload);
    assert_int_equal(1, b.first);
    assert_int_equal(1, b.n);
    assert_int_equal(8, b.payload_bytes);
    assert_int_equal(5, b.wall_ms);
    assert_int_equal(6, b.policy8);
    assert_int_equal(SPOOL_READ_OK, next_but(NULL, &b));
    assert_memory_equal("{\"n\":22}\n", b.payload, b.payload_bytes);
    assert_int_equal(two.first, b.first);
    assert_int_equal(SPOOL_READ_AGAIN, next_but(NULL, &b));
    finish();
}

static void another_block_is_read(void **state)
{
    struct spool_written one;
    struct spool_block b;

    (void)state;
    begin(false);
    one = write_one("{\"n\":1}");
    (void)write_one("{\"n\":2}");
    for (int i = 0; i < 3; i++) {
        struct spool_written other = one;

        other.first += i == 0;
        other.number += i == 1;
        other.off += i == 2 ? 8 : 0;
        assert_int_equal(SPOOL_READ_OK, next_but(&other, &b));
        assert_non_null(b.payload);
        assert_int_equal(1, b.first);
        spool_cursor_close(cur);
        cur = spool_cursor_open(c, (struct spool_pos){spool_epoch(s), 0, 1});
    }
    finish();
}

static void blocks_are_passed_over_the_end_of_a_segment(void **state)
{
    enum { MANY = 5, BYTES = 400 << 10 };
    struct spool_written all[MANY];
    char *text = malloc(BYTES);
    struct spool_block b;

    (void)state;
    memset(text, 'x', BYTES - 1);
    text[BYTES - 1] = '\0';
    begin(false);
    for (int i = 0; i < MANY; i++) {
        all[i] = write_one(text);
    }
    assert_true(all[MANY - 1].number > all[0].number + 1);
    for (int i = 0; i < MANY; i++) {
        /* One in the middle is read. */
        assert_int_equal(SPOOL_READ_OK, next_but(i == 2 ? NULL : &all[i], &b));
        assert_int_equal(all[i].first, b.first);
        assert_int_equal(i == 2, b.payload != NULL);
    }
    finish();
    free(text);
}

static void what_is_not_synced_is_not_passed(void **state)
{
    struct spool_written one;
    struct spool_block b;
    enum spool_read r;

    (void)state;
    begin(true);
    one = write_one("{\"n\":1}");
    /* Its sync comes when it comes: before it, nothing is passed. */
    r = next_but(&one, &b);
    if (r == SPOOL_READ_AGAIN) {
        until_synced(w, one.first);
        r = next_but(&one, &b);
    }
    assert_int_equal(SPOOL_READ_OK, r);
    assert_null(b.payload);
    assert_true(spool_writer_synced(w) >= one.first);
    finish();
}

static void notes_go_with_their_events(void **state)
{
    struct spool_pending p;
    uint32_t mark;

    (void)state;
    begin(false);
    assert_true(put(w, "{\"n\":0}"));
    assert_null(spool_writer_events(w).notes);
    mark = spool_writer_mark(w);
    for (uint32_t i = 1; i < 1000; i++) {
        assert_true(put(w, "{\"n\":1}"));
        if (i % 3 != 0) {
            spool_writer_note(w, (struct spool_note){i, i << 2 | SPOOL_NOTE_PLAIN});
        }
    }
    p = spool_writer_events(w);
    assert_int_equal(1000, p.n);
    for (uint32_t i = 0; i < 1000; i++) {
        assert_int_equal(i % 3 == 0 ? SPOOL_NOTE_UNKNOWN : i << 2 | SPOOL_NOTE_PLAIN,
                         p.notes[i].tag);
    }
    /* What was dropped leaves no note to the event that comes in its place. */
    spool_writer_rollback(w, mark);
    assert_true(put(w, "{\"n\":2}"));
    p = spool_writer_events(w);
    assert_int_equal(2, p.n);
    assert_int_equal(SPOOL_NOTE_UNKNOWN, p.notes[1].tag);
    finish();
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_known_block_is_passed_and_the_next_is_read),
        TEST(another_block_is_read),
        TEST(blocks_are_passed_over_the_end_of_a_segment),
        TEST(what_is_not_synced_is_not_passed),
        TEST(notes_go_with_their_events),
    };

    return cmocka_run_group_tests_name("passed", tests, NULL, NULL);
}
