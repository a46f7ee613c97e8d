/* Counters whose growth is a fault: of the last minute, and what the log has of them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <cjson/cJSON.h>
#include <ev.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/log.h"
#include "server/admin/growth.h"
#include "stats/stats.h"

#define S 1000000000ull

static char said[8192];

static double number(const cJSON *o, const char *name)
{
    const cJSON *x = cJSON_GetObjectItem(o, name);

    return cJSON_IsNumber(x) ? x->valuedouble : -1;
}

/* One figure; -1: it is not listed. Its text is in said. */
static double figure(const struct growth *g, const char *what, const char *subject,
                     const char *name)
{
    cJSON *list = growth_json(g);
    const cJSON *x;
    double v = -1;

    cJSON_ArrayForEach(x, list)
    {
        if (strcmp(cJSON_GetObjectItem(x, "what")->valuestring, what) == 0 &&
            strcmp(cJSON_GetObjectItem(x, "subject")->valuestring, subject) == 0) {
            v = number(x, name);
            (void)snprintf(said, sizeof said, "%s",
                           cJSON_GetObjectItem(x, "text")->valuestring);
        }
    }
    cJSON_Delete(list);
    return v;
}

static void a_count_is_of_the_last_minute_and_then_of_the_start(void **state)
{
    stats_cell *a = stats_counter("sluice_dedup_forgotten_total", "h", "stream=\"a\"");
    stats_cell *b = stats_counter("sluice_dedup_forgotten_total", "h", "stream=\"b\"");
    stats_cell *more =
        stats_counter("sluice_dedup_forgotten_total", "h", "stream=\"a\"");
    struct growth *g = growth_new(*state);
    uint64_t at = 100 * S;

    growth_look(g, at);
    assert_true(figure(g, "dedup_forgets", "a", "recent") == -1);
    stats_add(a, 40);
    stats_add(more, 2);         /* another worker's */
    growth_look(g, at + S / 2); /* too soon */
    assert_true(figure(g, "dedup_forgets", "a", "recent") == -1);
    growth_look(g, at += S);
    assert_true(figure(g, "dedup_forgets", "a", "recent") == 42);
    assert_string_equal(said, "dedup forgot 42 keys of stream a too early: repeats of "
                              "their events are stored (in the last minute)");
    assert_true(figure(g, "dedup_forgets", "b", "recent") == -1);
    stats_add(b, 1);
    stats_add(a, 8);
    growth_look(g, at += 30 * S);
    assert_true(figure(g, "dedup_forgets", "a", "recent") == 50);
    growth_look(g, at += 40 * S);
    assert_true(figure(g, "dedup_forgets", "a", "recent") == 8);
    growth_look(g, at += 70 * S);
    assert_true(figure(g, "dedup_forgets", "a", "recent") == 0);
    assert_true(figure(g, "dedup_forgets", "a", "since_start") == 50);
    assert_non_null(strstr(said, "50 keys"));
    assert_non_null(strstr(said, "(since the start)"));
    /* After an hour without a look nothing old is recent, and the new is. */
    stats_add(a, 3);
    growth_look(g, at += 3600 * S);
    assert_true(figure(g, "dedup_forgets", "a", "recent") == 3);
    growth_free(g);
}

static void a_limit_that_refuses_is_no_fault_and_passes(void **state)
{
    stats_cell *c = stats_counter("sluice_limit_refused_total", "h",
                                  "limit=\"a \\\"day\\\" \\\\ x\"");
    struct growth *g = growth_new(*state);
    uint64_t at = 100 * S;

    stats_add(c, 5);
    growth_look(g, at);
    assert_true(figure(g, "limit_refuses", "a \"day\" \\ x", "recent") == 5);
    assert_string_equal(said,
                        "5 calls were refused by limit a \"day\" \\ x: their keys "
                        "have used up its rate or quota (in the last minute)");
    growth_look(g, at + 71 * S);
    assert_true(figure(g, "limit_refuses", "a \"day\" \\ x", "recent") == -1);
    growth_free(g);
}

static int lines(const char *text, const char *what)
{
    int n = 0;

    for (const char *p = text; (p = strstr(p, what)) != NULL; p++) {
        n++;
    }
    return n;
}

static void the_log_has_its_begin_and_its_end(void **state)
{
    char path[] = "/tmp/sluice-growth-XXXXXX";
    stats_cell *c = stats_counter("sluice_limit_refused_total", "h", "limit=\"q\"");
    struct growth *g = growth_new(*state);
    int fd = mkstemp(path), err = dup(STDERR_FILENO);
    uint64_t at = 100 * S;
    ssize_t n;

    assert_true(fd >= 0);
    growth_look(g, at);
    (void)dup2(fd, STDERR_FILENO);
    for (int i = 0; i < 200; i++) { /* some each 10 s, for half an hour */
        stats_add(c, 3);
        growth_look(g, at += 10 * S);
    }
    growth_look(g, at += 299 * S);
    growth_look(g, at += 3 * S);
    growth_look(g, at += 10 * S);
    (void)dup2(err, STDERR_FILENO);
    (void)close(err);
    n = pread(fd, said, sizeof said - 1, 0);
    said[n > 0 ? n : 0] = '\0';
    (void)close(fd);
    (void)unlink(path);
    assert_int_equal(2, lines(said, "event=limit limit=\"q\""));
    assert_int_equal(1, lines(said,
                              "level=warn event=limit limit=\"q\" status=refuses n=3 "
                              "why=\"3 calls were refused by limit q: "));
    assert_int_equal(1,
                     lines(said, "level=info event=limit limit=\"q\" status=over n=600 "
                                 "was=refuses during_s=1990"));
    growth_free(g);
}

static void the_counters_that_it_keeps_have_a_bound(void **state)
{
    struct growth *g = growth_new(*state);
    cJSON *list;

    for (int i = 0; i < 300; i++) {
        char labels[40];

        (void)snprintf(labels, sizeof labels, "limit=\"many%d\"", i);
        stats_add(stats_counter("sluice_limit_forgotten_total", "h", labels), 1);
    }
    growth_look(g, 100 * S);
    list = growth_json(g);
    assert_int_equal(50, cJSON_GetArraySize(list));
    cJSON_Delete(list);
    growth_free(g);
}

static void each_rule_has_words_and_what_to_do(void **state)
{
    const struct growth_rule *r;
    size_t n = 0;

    (void)state;
    for (; (r = growth_rule(n)) != NULL; n++) {
        assert_non_null(r->what);
        assert_non_null(r->next);
        assert_true(strlen(r->begin) + strlen(r->middle) > 10);
        assert_int_equal(r->event == NULL, r->status == NULL);
        assert_true(r->event == NULL || r->label != NULL);
    }
    assert_in_range(n, 18, 64); /* one bit each */
    assert_false(growth_counts(growth_rule(0), "sluice_spool_segments_total",
                               "stream=\"a\",op=\"made\""));
    assert_true(growth_counts(growth_rule(0), "sluice_spool_segments_total",
                              "stream=\"a\",op=\"poisoned\""));
}

/* The words of the rule of such a counter. */
static const char *next_of(const char *name, const char *labels)
{
    const struct growth_rule *r;

    for (size_t i = 0; (r = growth_rule(i)) != NULL; i++) {
        if (growth_counts(r, name, labels)) {
            return r->next;
        }
    }
    fail_msg("no rule counts %s{%s}", name, labels);
    return NULL;
}

static void what_to_do_is_of_the_reason_itself(void **state)
{
    static const char refused[] = "sluice_connections_refused_total";
    const char *next = next_of(refused, "reason=\"descriptors\"");

    (void)state;
    assert_non_null(strstr(next, "raise LimitNOFILE"));
    assert_null(strstr(next, "max_connections"));
    next = next_of(refused, "reason=\"limit\"");
    assert_non_null(strstr(next, "raise max_connections"));
    assert_null(strstr(next, "LimitNOFILE"));
    next = next_of(refused, "reason=\"address\"");
    assert_non_null(strstr(next, "raise max_per_address"));
    assert_null(strstr(next, "max_connections"));
    next = next_of("sluice_dedup_damaged_total", "stream=\"s\"");
    assert_non_null(strstr(next, "disk"));
    assert_null(strstr(next, "max_keys"));
}

/* In the order of the rules. */
static void one_is_not_many(void **state)
{
    static const char *const expected[] = {
        "the disk failed to sync 1 segment of stream x",
        "1 connection was refused: max_connections was reached",
        "1 connection was refused: few file descriptors were left",
        "1 connection was refused: one address had more than the listener allows",
        "1 connection of a client that does not read was closed: the buffers were full",
        "hooks used up their processor time and were stopped 1 time",
        "1 event of x became a dead letter before a sink saw it",
        "1 refusal was not kept in stream x",
        "dedup forgot 1 key of stream x too early: repeats of its events are stored",
        "dedup had no place for 1 event of stream x: without persist its repeats are "
        "stored",
        "dedup could not wait for the fate of 1 repeat of stream x: it is stored",
        "dedup found 1 damaged file or page of keys of stream x: repeats of those are "
        "stored",
        "1 key was forgotten too early by limit x: its client may send more",
        "1 call was refused by limit x: its key has used up the rate or quota",
        "1 call of a Lua function failed in sink x: its default is used",
        "1 producer was replaced after a fatal error in sink x: Kafka may have some "
        "events twice",
        "1 message was sent again by sink x: Kafka may have it twice",
        "a changed certificate could not be used 1 time for x: the one before stays",
        "the access log lacks 1 line: x",
        "the disk took no index file with 1 event of stream x: sluice find does not "
        "find "
        "it",
        "the disk did not take 1 record of sink x: sluice find can't tell where its "
        "events are",
        "1 TLS handshake failed: x",
    };
    char text[600];

    (void)state;
    for (size_t i = 0; i < sizeof expected / sizeof *expected; i++) {
        const struct growth_rule *r = growth_rule(i);

        assert_non_null(r);
        growth_text(r, "1", r->label == NULL ? "" : "x", text, sizeof text);
        assert_string_equal(text, expected[i]);
    }
    assert_null(growth_rule(sizeof expected / sizeof *expected));
}

static int setup(void **state)
{
    *state = ev_loop_new(EVFLAG_AUTO);
    return *state == NULL;
}

static int teardown(void **state)
{
    ev_loop_destroy(*state);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_count_is_of_the_last_minute_and_then_of_the_start),
        cmocka_unit_test(a_limit_that_refuses_is_no_fault_and_passes),
        cmocka_unit_test(the_log_has_its_begin_and_its_end),
        cmocka_unit_test(the_counters_that_it_keeps_have_a_bound),
        cmocka_unit_test(each_rule_has_words_and_what_to_do),
        cmocka_unit_test(what_to_do_is_of_the_reason_itself),
        cmocka_unit_test(one_is_not_many),
    };

    return cmocka_run_group_tests(tests, setup, teardown);
}
