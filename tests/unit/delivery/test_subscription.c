/* What a sink notes of events that it never gets, before its journal calls them done. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <limits.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/err.h"
#include "base/mem.h"
#include "delivery/places.h"
#include "delivery/subscription.h"
#include "journal/journal.h"
#include "spool/spool.h"

#include "unit/spool/fixture.h"

enum { LARGE = 900 << 10 }; /* an event a segment */

static char journal_path[PATH_MAX];
static bool fail_journal;
static int n_taken;             /* writes that the journal takes before it fails */
static int n_syncs;             /* of what is apart */
static off_t journal_then = -1; /* its bytes at the last of these */
static stats_cell unrecorded;

static bool is_file(int fd, const char *tail)
{
    char link[64], path[PATH_MAX] = "";
    ssize_t n;

    (void)snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    n = readlink(link, path, sizeof path - 1);
    return n >= (ssize_t)strlen(tail) &&
           strcmp(path + (size_t)n - strlen(tail), tail) == 0;
}

static off_t journal_bytes_now(void)
{
    struct stat st;

    return stat(journal_path, &st) == 0 ? st.st_size : -1;
}

int fdatasync(int fd)
{
    if (is_file(fd, "sink.apart")) {
        n_syncs++;
        journal_then = journal_bytes_now();
    }
    return (int)syscall(SYS_fdatasync, fd);
}

static bool refuses(int fd)
{
    return fail_journal && is_file(fd, "sink.journal") && n_taken-- <= 0;
}

ssize_t write(int fd, const void *bytes, size_t n)
{
    if (refuses(fd)) {
        errno = EIO;
        return -1;
    }
    return syscall(SYS_write, fd, bytes, n);
}

ssize_t pwrite(int fd, const void *bytes, size_t n, off_t at)
{
    if (refuses(fd)) {
        errno = EIO;
        return -1;
    }
    return syscall(SYS_pwrite64, fd, bytes, n, at);
}

static struct batch_range last_start, first_skip, last_skip;
static uint64_t last_how;

static void on_apart(void *arg, const struct record *r)
{
    (void)arg;
    if (r->n_ranges > 0 && r->type == RECORD_START) {
        last_start = r->ranges[0];
    } else if (r->n_ranges > 0 && r->type == RECORD_SKIP) {
        first_skip = first_skip.n == 0 ? r->ranges[0] : first_skip;
        last_skip = r->ranges[0];
        last_how = r->value;
    }
}

static void read_apart(void)
{
    struct doubt gone;
    struct err e;

    last_start = first_skip = last_skip = (struct batch_range){.n = 0};
    assert_true(places_read(journal_path, on_apart, NULL, &gone, &e));
    doubt_free(&gone);
}

static struct journal *begin(struct places *p)
{
    struct journal *j;
    struct err e;

    (void)snprintf(journal_path, sizeof journal_path, "%s/sink.journal", dir);
    fail_journal = false;
    n_taken = 0;
    n_syncs = 0;
    memset(p, 0, sizeof *p);
    places_init(p, journal_path, &unrecorded);
    j = journal_open(journal_path, NULL, NULL, &e);
    if (j == NULL) {
        fail_msg("%s", e.text);
    }
    return j;
}

/* What has come between two looks, of which the journal took only the second one, was
 * there before the sink. */
static void a_look_that_the_journal_does_not_take_meets_again(void **state)
{
    struct spool *s = open_spool();
    struct delivery_stream conf = {.name = "events",
                                   .id = open_stream(s, 64 << 20, false)};
    struct spool_writer *w = spool_writer_open(s, conf.id, 0, on_wake, NULL);
    struct subscription o = {.wanted = true};
    struct places p;
    struct journal *j = begin(&p);
    uint64_t last = 0;
    struct err e;

    (void)state;
    o.places = &p;
    subscription_open(&o, s, &conf, "sink", NULL, on_wake, NULL);
    assert_int_equal(SPOOL_OK, commit(w, "{\"n\":1}", &last));
    fail_journal = true;
    assert_false(subscription_look(&o, j, &e));
    read_apart();
    assert_int_equal(2, last_start.first);

    journal_close(j);
    fail_journal = false;
    j = journal_open(journal_path, NULL, NULL, &e);
    assert_non_null(j);
    assert_int_equal(SPOOL_OK, commit(w, "{\"n\":2}", &last));
    assert_true(subscription_look(&o, j, &e));
    read_apart();
    assert_int_equal(3, last_start.first);
    assert_int_equal(SPOOL_OK, commit(w, "{\"n\":3}", &last));
    assert_true(subscription_look(&o, j, &e)); /* it knows the stream now */
    read_apart();
    assert_int_equal(3, last_start.first);

    subscription_close(&o);
    journal_close(j);
    places_fini(&p);
    spool_writer_close(w);
    spool_close(s);
}

/* Events of three segments, of which the second goes. */
static void leave_a_hole(void)
{
    struct spool *s = open_spool();
    const int stream = open_stream(s, 64 << 20, false);
    struct spool_writer *w = spool_writer_open(s, stream, 0, on_wake, NULL);
    char *text = mem_zalloc(LARGE + 1), path[PATH_MAX];
    uint64_t last;

    memset(text, 'x', LARGE);
    text[0] = text[LARGE - 1] = '"';
    for (int i = 0; i < 3; i++) {
        assert_int_equal(SPOOL_OK, commit(w, text, &last));
    }
    free(text);
    spool_writer_close(w);
    spool_close(s);
    (void)snprintf(path, sizeof path, "%s/events/1.0/0000000002.seg", dir);
    assert_int_equal(0, unlink(path));
}

/* A sink of that spool, and its journal. */
static struct spool *gapped;
static struct places places;

static struct journal *open_with_a_gap(struct subscription *o, bool from_oldest)
{
    struct delivery_stream conf = {.name = "events", .from_oldest = from_oldest};
    struct journal *j;

    leave_a_hole();
    gapped = open_spool();
    j = begin(&places);
    conf.id = open_stream(gapped, 64 << 20, false);
    o->places = &places;
    subscription_open(o, gapped, &conf, "sink", NULL, on_wake, NULL);
    return j;
}

static void close_with_a_gap(struct subscription *o, struct journal *j)
{
    subscription_close(o);
    journal_close(j);
    places_fini(&places);
    spool_close(gapped);
}

/* The stream left the sink after the first event. */
static void leave_after_first(struct subscription *o)
{
    const struct batch_range left = {.epoch = 1, .first = 2};
    const struct record retire = {.type = RECORD_RETIRE,
                                  .value = 1,
                                  .stream = STR("events"),
                                  .ranges = &left,
                                  .n_ranges = 1};

    subscription_ending(o, &retire);
}

static void expect_the_gap_noted(uint64_t how)
{
    read_apart();
    assert_int_equal(2, last_skip.first);
    assert_int_equal(1, last_skip.n);
    assert_int_equal(how, last_how);
}

/* It waits for the first event, and has the second behind it. */
static void expect_the_gap_passed(const struct subscription *o)
{
    const struct cursor *c = ack_tracker_find(&o->acks, 1, 0);

    assert_non_null(c);
    assert_int_equal(1, c->next);
    assert_int_equal(1, c->n_ahead);
    assert_int_equal(2, c->ahead[0].first);
    assert_int_equal(3, c->ahead[0].end);
}

static void a_gap_is_on_the_disk_before_the_journal_passes_it(void **state)
{
    struct subscription o = {.wanted = true, .known = true};
    struct journal *j = open_with_a_gap(&o, false);
    off_t before;
    struct err e;

    (void)state;
    ack_tracker_start(&o.acks, 1, 0, 2);
    leave_after_first(&o);
    assert_true(subscription_look(&o, j, &e));
    before = journal_bytes_now();
    n_syncs = 0;
    assert_true(subscription_return(&o, j, &e));
    expect_the_gap_noted(PLACES_NOT_ITS_OWN);
    assert_int_equal(1, n_syncs);
    assert_int_equal(before, journal_then);
    assert_true(journal_bytes_now() > before);
    close_with_a_gap(&o, j);
}

/* A sink that held looked at no shard. */
static void a_gap_of_a_shard_that_it_has_not_met_is_passed_too(void **state)
{
    struct subscription o = {.wanted = true, .known = true};
    struct journal *j = open_with_a_gap(&o, false);
    struct err e;

    (void)state;
    leave_after_first(&o);
    assert_true(subscription_return(&o, j, &e));
    expect_the_gap_noted(PLACES_NOT_ITS_OWN);
    assert_int_equal(4, first_skip.first); /* what is gone from the end on */
    expect_the_gap_passed(&o);
    close_with_a_gap(&o, j);
}

/* Another sink, which is leaving, holds the first event. */
static void a_new_sink_from_the_oldest_event_waits_for_no_gap(void **state)
{
    struct subscription o = {.wanted = true};
    struct journal *j = open_with_a_gap(&o, true);
    struct err e;

    (void)state;
    assert_true(subscription_look(&o, j, &e));
    expect_the_gap_noted(PLACES_UNSURE);
    expect_the_gap_passed(&o);
    close_with_a_gap(&o, j);
}

/* The journal has where it begins, and nothing of the gap: it looks again. */
static void pass_record(void *arg, const struct record *r)
{
    (void)arg;
    (void)r;
}

static void a_gap_that_the_journal_did_not_take_is_passed_again(void **state)
{
    struct subscription o = {.wanted = true};
    struct journal *j = open_with_a_gap(&o, true);
    struct err e;

    (void)state;
    fail_journal = true;
    n_taken = 1;
    assert_false(subscription_look(&o, j, &e));
    assert_int_equal(1, ack_tracker_find(&o.acks, 1, 0)->next);
    journal_close(j);
    fail_journal = false;
    j = journal_open(journal_path, pass_record, NULL, &e);
    assert_non_null(j);
    assert_true(subscription_look(&o, j, &e));
    expect_the_gap_passed(&o);
    close_with_a_gap(&o, j);
}

/* ---- begun while the journal could not be read ---- */

struct starts {
    uint32_t n;
    struct batch_range last;
};

static void on_start_record(void *arg, const struct record *r)
{
    struct starts *x = arg;

    if (r->type == RECORD_START && r->n_ranges > 0) {
        x->n++;
        x->last = r->ranges[0];
    }
}

/* By the journal alone, if the shard goes with the disk, the sink is known to miss it. */
static void a_shard_that_was_empty_when_it_was_held_is_noted_too(void **state)
{
    struct spool *s = open_spool();
    struct delivery_stream conf = {.name = "events",
                                   .id = open_stream(s, 64 << 20, false)};
    struct spool_writer *w = spool_writer_open(s, conf.id, 0, on_wake, NULL);
    struct subscription held = {.wanted = true}, o = {.wanted = true};
    struct starts found = {.n = 0};
    struct places p;
    struct journal *j = begin(&p);
    uint64_t last = 0;
    struct err e;

    (void)state;
    held.places = o.places = &p;
    subscription_open(&held, s, &conf, "sink", NULL, on_wake, NULL);
    subscription_mark(&held, NULL);
    assert_int_equal(1, held.begins.n);
    assert_int_equal(SPOOL_OK, commit(w, "{\"n\":1}", &last));
    subscription_open(&o, s, &conf, "sink", &held, on_wake, NULL);
    assert_true(subscription_adopt(&o, &held, j, &e));
    assert_true(subscription_look(&o, j, &e));
    subscription_close(&held);
    journal_close(j);
    j = journal_open(journal_path, on_start_record, &found, &e);
    assert_non_null(j);
    assert_int_equal(1, found.n);
    assert_int_equal(1, found.last.epoch);
    assert_int_equal(1, found.last.first);

    subscription_close(&o);
    journal_close(j);
    places_fini(&p);
    spool_writer_close(w);
    spool_close(s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(
            a_look_that_the_journal_does_not_take_meets_again, set_up, tear_down),
        cmocka_unit_test_setup_teardown(
            a_gap_is_on_the_disk_before_the_journal_passes_it, set_up, tear_down),
        cmocka_unit_test_setup_teardown(
            a_gap_of_a_shard_that_it_has_not_met_is_passed_too, set_up, tear_down),
        cmocka_unit_test_setup_teardown(
            a_new_sink_from_the_oldest_event_waits_for_no_gap, set_up, tear_down),
        cmocka_unit_test_setup_teardown(
            a_gap_that_the_journal_did_not_take_is_passed_again, set_up, tear_down),
        cmocka_unit_test_setup_teardown(
            a_shard_that_was_empty_when_it_was_held_is_noted_too, set_up, tear_down)};

    return cmocka_run_group_tests_name("subscription", tests, NULL, NULL);
}
