/* A file sink with the journal of a long life. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <ev.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/err.h"
#include "batch/batch.h"
#include "journal/journal.h"
#include "plan/plan.h"
#include "sink/sink.h"
#include "unit/tools/folder.h"

enum { STREAMS = 2 * PLAN_STREAMS_MAX };

struct heard {
    int kind; /* of the last verdict; -1: none */
    char why[256];
    unsigned acked;
};

static void done(void *arg, struct batch *b, const struct sink_verdict *v)
{
    struct heard *h = arg;

    (void)b;
    h->kind = (int)v->kind;
    (void)snprintf(h->why, sizeof h->why, "%s", v->why == NULL ? "" : v->why);
}

static void ack(void *arg, struct str stream, const struct batch_range *ranges,
                uint32_t n)
{
    struct heard *h = arg;

    (void)stream;
    (void)ranges;
    h->acked += n;
}

static void ignore(void *arg, const struct record *r)
{
    (void)arg;
    (void)r;
}

/* A file of each was finished, and one of the last stream has an event more. */
static void replay(struct sink *s)
{
    const struct batch_range range = {1, 0, 1, 1};
    char stream[32], name[64];

    for (int i = 0; i < STREAMS; i++) {
        struct record r = {.type = i + 1 < STREAMS ? RECORD_SEAL : RECORD_FILE,
                           .value = 4,
                           .ranges = &range,
                           .n_ranges = i + 1 < STREAMS ? 0 : 1};

        (void)snprintf(stream, sizeof stream, "s%d", i);
        (void)snprintf(name, sizeof name, "s%d-00000000-00000001.ndjson", i);
        r.stream = str_of(stream);
        r.name = str_of(name);
        sink_file.replay(s, &r);
    }
}

/* Streams come and go over the years. */
static void any_number_of_streams_may_have_been_before(void **state)
{
    static const char event[] = "{}\n";
    const struct batch_range range = {1, 0, 1, 1};
    const struct batch_source source = {event, 1, 0};
    const struct batch_entry entry = {.off = 0, .len = 2};
    struct sink_stream streams[PLAN_STREAMS_MAX] = {{.name = "events"}};
    const struct sink_plan plan = {.name = "archive",
                                   .dir = "archive",
                                   .rotate_bytes = 1 << 20,
                                   .rotate_age_ms = 3600000};
    struct heard heard = {.kind = -1};
    struct journal *journal;
    struct sink_conf conf = {.plan = &plan,
                             .data_dir = dir,
                             .spool_uuid = "00000000-0000-4000-8000-000000000000",
                             .streams = streams,
                             .loop = ev_loop_new(EVFLAG_AUTO),
                             .journal = &journal,
                             .done = done,
                             .ack = ack,
                             .arg = &heard};
    struct batch *b = batch_new(BATCH_KEEP_BYTES);
    char path[128];
    struct sink *s;
    struct err e = {""};

    (void)state;
    (void)snprintf(path, sizeof path, "%s/journal", dir);
    s = sink_file.open(&conf, &e);
    assert_non_null(s);
    journal = journal_open(path, ignore, NULL, &e);
    assert_non_null(journal);
    replay(s);
    assert_true(sink_file.recover(s, &e));
    assert_int_equal(1, heard.acked);
    batch_append(b, &range, &source, &entry, 1);
    sink_file.submit(s, b);
    while (heard.kind == -1) {
        (void)ev_run(conf.loop, EVRUN_ONCE);
    }
    assert_string_equal("", heard.why);
    assert_int_equal(SINK_OK, heard.kind);
    sink_file.close(s);
    batch_free(b);
    journal_close(journal);
    ev_loop_destroy(conf.loop);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test_setup_teardown(
        any_number_of_streams_may_have_been_before, folder_set_up, folder_tear_down)};

    return cmocka_run_group_tests_name("file", tests, NULL, NULL);
}
