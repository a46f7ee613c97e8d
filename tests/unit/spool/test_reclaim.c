/* Segments that no sink needs any more: used again, unless the disk has failed on them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/err.h"
#include "base/folder.h"
#include "base/mem.h"
#include "spool/internal.h"
#include "unit/tools/folder.h"

enum { FIRST = 11, END = 21 };

static struct spool s;
static struct stream st;
static struct shard sh;
static struct segment *g;

static void in_folder(const char *tail, char path[PATH_MAX])
{
    (void)snprintf(path, PATH_MAX, "%s/%s", dir, tail);
}

static int set_up(void **state)
{
    char path[PATH_MAX];
    struct err e;
    int fd;

    if (folder_set_up(state) != 0) {
        return 1;
    }
    memset(&s, 0, sizeof s);
    memset(&st, 0, sizeof st);
    memset(&sh, 0, sizeof sh);
    (void)pthread_mutex_init(&s.lock, NULL);
    s.dir = dir;
    s.epoch = 1;
    if (!identity_lock(&s, 0, &e)) {
        return 1;
    }
    atomic_store(&s.reclaim, true);
    st.spool = &s;
    (void)snprintf(st.name, sizeof st.name, "events");
    st.shards = &sh;
    st.deleted = stats_counter("sluice_segments_deleted_total", "Test.", "");
    sh.stream = &st;
    sh.epoch = 1;
    sh.opened = true;
    g = mem_zalloc(sizeof *g);
    g->shard = &sh;
    g->fd = -1;
    g->number = 1;
    g->bytes = 1 << 20;
    g->first = FIRST;
    atomic_store(&g->state, SEGMENT_USED);
    atomic_store(&g->sealed, true);
    atomic_store(&g->tail, tail_of(PAGE_BYTES + 800, END - FIRST));
    atomic_store(&g->synced_tail, tail_of(PAGE_BYTES + 800, END - FIRST));
    atomic_store(&st.used, g->bytes);
    sh.segments = g;
    in_folder("events", path);
    (void)mkdir(path, 0700);
    shard_path(&sh, path, sizeof path);
    (void)mkdir(path, 0700);
    segment_path(&sh, 1, path, sizeof path);
    fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    (void)close(fd);
    return fd < 0;
}

static struct spool_consumer sink;
static struct place place;

/* A sink that has released events up to seq. */
static void reclaim_after(uint64_t seq)
{
    memset(&place, 0, sizeof place);
    memset(&sink, 0, sizeof sink);
    sink.stream = &st;
    place.consumer = &sink;
    atomic_store(&place.released, seq);
    st.consumers[0] = &sink;
    st.n_consumers = 1;
    sh.places = &place;
    reclaim_stream(&st);
}

static bool is_there(void)
{
    char path[PATH_MAX];

    segment_path(&sh, 1, path, sizeof path);
    return path_there(path) == 1;
}

static void a_segment_that_all_have_read_is_used_again(void **state)
{
    (void)state;
    reclaim_after(END - 1);
    assert_ptr_equal(g, sh.segments);
    reclaim_after(END);
    assert_null(sh.segments);
    assert_int_equal(1, sh.n_warm);
    assert_ptr_equal(g, sh.warm);
    assert_int_equal(0, atomic_load(&st.used));
    assert_true(is_there());
    free(g);
}

/* Its next sync would say that all is well. */
static void a_segment_whose_sync_failed_is_deleted(void **state)
{
    (void)state;
    atomic_store(&g->poisoned, true);
    g->given_up = true;
    reclaim_after(END);
    assert_null(sh.segments);
    assert_int_equal(0, sh.n_warm);
    assert_false(is_there());
}

/* What is in the way of its deletion is a directory of its name. */
static void
a_segment_that_can_not_be_deleted_counts_as_used_and_is_tried_again(void **state)
{
    char path[PATH_MAX];
    struct segment *next = mem_zalloc(sizeof *next);
    FILE *f;

    (void)state;
    segment_path(&sh, 1, path, sizeof path);
    assert_int_equal(0, unlink(path));
    assert_int_equal(0, mkdir(path, 0700));
    atomic_store(&g->poisoned, true);
    g->given_up = true;
    *next = *g;
    next->number = 2;
    atomic_store(&next->unacked, 1); /* its page tells how the first one ends */
    g->next = next;
    (void)atomic_fetch_add(&st.used, next->bytes);
    segment_path(&sh, 2, path, sizeof path);
    f = fopen(path, "w");
    assert_non_null(f);
    (void)fclose(f);
    reclaim_after(END);
    assert_null(sh.segments);
    assert_int_equal(2 << 20, atomic_load(&st.used));
    assert_ptr_equal(g, st.undeleted);
    assert_int_equal(1, path_there(path));
    assert_int_equal(2, sh.n_undeleted);
    undeleted_retry(&st);
    assert_ptr_equal(g, st.undeleted);
    segment_path(&sh, 1, path, sizeof path);
    assert_int_equal(0, rmdir(path));
    undeleted_retry(&st);
    assert_ptr_equal(g, st.undeleted); /* tried once a second */
    st.undelete_ms = 0;
    undeleted_retry(&st);
    assert_null(st.undeleted);
    assert_int_equal(0, atomic_load(&st.used));
    assert_int_equal(0, sh.n_undeleted);
    segment_path(&sh, 2, path, sizeof path);
    assert_int_equal(0, path_there(path));
}

/* An operator may want to look at it. */
static void a_damaged_segment_is_set_aside(void **state)
{
    char path[PATH_MAX];

    (void)state;
    atomic_store(&g->damaged, true);
    reclaim_after(END);
    assert_null(sh.segments);
    assert_int_equal(0, sh.n_warm);
    assert_false(is_there());
    in_folder(DAMAGED_DIR "/events-1.0-1.seg", path);
    assert_int_equal(1, path_there(path));
}

static void a_segment_that_a_reader_is_in_stays(void **state)
{
    (void)state;
    g->pins = 1;
    reclaim_after(END);
    assert_ptr_equal(g, sh.segments);
    free(g);
}

static struct segment *add_behind(struct segment *before, uint64_t first)
{
    struct segment *n = mem_zalloc(sizeof *n);

    *n = *before;
    n->number = before->number + 1;
    n->first = first;
    atomic_store(&n->tail, tail_of(PAGE_BYTES + 800, END - FIRST));
    atomic_store(&n->synced_tail, tail_of(PAGE_BYTES + 800, END - FIRST));
    before->next = n;
    return n;
}

/* A sink that is leaving still needs the first; another has all of the three. */
static void reclaim_with_one_leaving(void)
{
    static struct spool_consumer leaver;
    static struct place none;
    static struct spool_pos end;

    end = (struct spool_pos){1, 0, END};
    memset(&leaver, 0, sizeof leaver);
    memset(&none, 0, sizeof none);
    leaver.stream = &st;
    leaver.leaving = true;
    leaver.ends_epoch = 1;
    leaver.ends = &end;
    leaver.n_ends = 1;
    none.consumer = &leaver;
    none.next = &place;
    memset(&place, 0, sizeof place);
    memset(&sink, 0, sizeof sink);
    sink.stream = &st;
    place.consumer = &sink;
    atomic_store(&place.released, END + 100);
    st.consumers[0] = &sink;
    st.consumers[1] = &leaver;
    st.n_consumers = 2;
    sh.places = &none;
    reclaim_stream(&st);
}

static void a_sink_that_leaves_holds_only_what_it_needs(void **state)
{
    struct segment *second = add_behind(g, END);
    struct segment *third = add_behind(second, END + 10);

    (void)state;
    reclaim_with_one_leaving();
    assert_ptr_equal(g, sh.segments);
    assert_null(g->next);
    assert_int_equal(2, sh.n_warm);
    free(third);
    free(second);
    free(g);
}

/* Only the second one's page says that the first one's last events were refused. */
static void what_tells_of_refused_events_stays_with_them(bool restarted)
{
    struct segment *second = add_behind(g, END);
    struct segment *third = add_behind(second, END + 10);

    if (restarted) {
        atomic_store(&second->unacked, 3);
    } else { /* the housekeeper has still to note it there */
        atomic_store(&g->poisoned, true);
        g->given_up = true;
    }
    reclaim_with_one_leaving();
    assert_ptr_equal(g, sh.segments);
    assert_ptr_equal(second, g->next);
    assert_null(second->next);
    assert_ptr_equal(third, sh.warm);
    free(third);
    free(second);
    free(g);
}

static void the_page_that_tells_of_refused_events_stays_with_them(void **state)
{
    (void)state;
    what_tells_of_refused_events_stays_with_them(true);
}

static void the_page_that_is_yet_to_tell_of_them_stays_too(void **state)
{
    (void)state;
    what_tells_of_refused_events_stays_with_them(false);
}

static int tear_down(void **state)
{
    (void)close(s.lock_fd);
    return folder_tear_down(state);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_segment_that_all_have_read_is_used_again),
        TEST(a_segment_whose_sync_failed_is_deleted),
        TEST(a_segment_that_can_not_be_deleted_counts_as_used_and_is_tried_again),
        TEST(a_damaged_segment_is_set_aside),
        TEST(a_segment_that_a_reader_is_in_stays),
        TEST(a_sink_that_leaves_holds_only_what_it_needs),
        TEST(the_page_that_tells_of_refused_events_stays_with_them),
        TEST(the_page_that_is_yet_to_tell_of_them_stays_too)};

    return cmocka_run_group_tests_name("reclaim", tests, NULL, NULL);
}
