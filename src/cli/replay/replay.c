/*
 * sluice replay --policy NEW.lua [--old OLD.lua] [OPTION...] PATH
 *
 * Runs events that lie in a spool or an archive through a policy, and says which of
 * them it would decide otherwise: compared with the stored events, or with another
 * policy's decisions on the same events. Nothing is written anywhere.
 *
 *   stored.c ─► lines ─► compare.c (new) ┐
 *                    └─► compare.c (old) ┴─► changes.c ─► report
 */
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/err.h"
#include "base/mem.h"
#include "cli/cli.h"
#include "cli/commands.h"
#include "cli/replay/changes.h"
#include "cli/replay/compare.h"
#include "cli/replay/difference.h"
#include "cli/replay/refused_lines.h"
#include "cli/replay/stored.h"
#include "cli/replay/when.h"
#include "cli/show.h"
#include "plan/moment.h"
#include "policy/load/load.h"

enum { SAMPLES_DEFAULT = 2, SAMPLES_MAX = 1000, PROGRESS_NS = 100000000, BAR = 30 };
enum { REPLAY_SAME = 0, REPLAY_CHANGED = 1, REPLAY_FAILED = 2 };

/* One policy with its comparison. */
struct side {
    struct policy *policy;
    struct comparison *comparison;
    const struct plan *plan;
    const struct route *route; /* of the stream in hand */
};

struct replay {
    const char *new_path, *old_path, *input, *stream;
    struct compare_conf conf;
    struct str_pair headers[COMPARE_HEADERS_MAX];
    uint32_t samples;
    int64_t at_ms;          /* -1: when the events came */
    const char *time_field; /* NULL: that is of the block or the file */
    struct when *when;
    bool json;
    struct side fresh, old; /* old.policy NULL: compare with the stored events */
    struct changes *changes;
    char current[128]; /* the stream in hand */
    struct refused_lines *refused;
    uint64_t undecided; /* records that are cut or damaged */
    const char *reason; /* why its events are dead; NULL: they are not */
    struct str *text;   /* the lines of a call */
    uint32_t most;      /* of them */
    uint64_t began_ns, told_ns;
    bool terminal;
    bool met; /* the stream that was asked for */
    bool failed;
    struct err e;
};

/* ---- options ---- */

static bool add_header(struct replay *r, const char *text)
{
    const char *colon = strchr(text, ':');

    if (colon == NULL || colon == text || r->conf.n_headers == COMPARE_HEADERS_MAX) {
        return false;
    }
    r->headers[r->conf.n_headers++] = (struct str_pair){
        {text, (size_t)(colon - text)}, str_of(colon + 1 + strspn(colon + 1, " "))};
    r->conf.headers = r->headers;
    return true;
}

static bool take_option(struct replay *r, int o, const char *value)
{
    char *end;

    switch (o) {
    case 'p':
        r->new_path = value;
        return true;
    case 'o':
        r->old_path = value;
        return true;
    case 'r':
        r->conf.route = value;
        return true;
    case 's':
        r->stream = value;
        return true;
    case 'h':
        return add_header(r, value);
    case 'a':
        return moment_ms(str_of(value), &r->at_ms);
    case 't':
        r->time_field = value;
        return true;
    case 'n':
        r->samples = (uint32_t)strtoul(value, &end, 10);
        return *end == '\0' && r->samples <= SAMPLES_MAX;
    case 'j':
        r->json = true;
        return true;
    default:
        return false;
    }
}

static bool take_options(struct replay *r, int argc, char **argv)
{
    static const struct option options[] = {{"policy", required_argument, NULL, 'p'},
                                            {"old", required_argument, NULL, 'o'},
                                            {"route", required_argument, NULL, 'r'},
                                            {"stream", required_argument, NULL, 's'},
                                            {"header", required_argument, NULL, 'h'},
                                            {"at", required_argument, NULL, 'a'},
                                            {"time", required_argument, NULL, 't'},
                                            {"samples", required_argument, NULL, 'n'},
                                            {"json", no_argument, NULL, 'j'},
                                            {NULL, 0, NULL, 0}};
    int o, i = 0;

    optind = 1;
    while ((o = getopt_long(argc, argv, "", options, &i)) != -1) {
        if (!take_option(r, o, optarg)) {
            if (o != '?') {
                show_line(stderr, "sluice: --%s can't be \"%.60s\"", options[i].name,
                          optarg);
            }
            return false;
        }
    }
    r->input = optind == argc - 1 ? argv[optind] : NULL;
    return r->input != NULL && r->new_path != NULL;
}

static struct difference difference_of(const struct replay *r)
{
    return (struct difference){r->changes, r->fresh.plan,
                               r->old.comparison == NULL ? NULL : r->old.plan,
                               r->current};
}

/* Lines that came at one time. */
static void examine(struct replay *r, int64_t time_ms, const struct str *text,
                    uint32_t n)
{
    const struct difference d = difference_of(r);
    struct str lines = {text[0].p,
                        (size_t)(text[n - 1].p - text[0].p) + text[n - 1].n + 1};

    compare_lines(r->fresh.comparison, r->fresh.route, time_ms, lines, text, n);
    if (r->old.comparison != NULL) {
        compare_lines(r->old.comparison, r->old.route, time_ms, lines, text, n);
    }
    for (uint32_t i = 0; i < n; i++) {
        struct verdict v = compare_verdict(r->fresh.comparison, i);
        struct verdict was = {.fate = r->reason == NULL ? EVENT_ACCEPT : EVENT_DEAD,
                              .code = r->reason,
                              .line = text[i]};

        if (r->old.comparison != NULL) {
            was = compare_verdict(r->old.comparison, i);
        }
        difference_add(&d, text[i], &was, &v);
    }
    changes_seen(r->changes, n);
}

/* A record of what a route refused. */
static void examine_refused(struct replay *r, struct str line, int64_t part_ms)
{
    const struct difference d = difference_of(r);
    struct refused_line q;
    struct verdict was, v;

    if (!refused_lines_read(r->refused, line, &q) || q.cut) {
        r->undecided++;
        return;
    }
    q.time_ms = r->at_ms >= 0 ? r->at_ms : q.time_ms >= 0 ? q.time_ms : part_ms;
    v = compare_refused(r->fresh.comparison, &q);
    was = (struct verdict){.fate = EVENT_REJECT, .code = q.code};
    if (r->old.comparison != NULL) {
        was = compare_refused(r->old.comparison, &q);
    }
    difference_add(&d, line, &was, &v);
    changes_seen(r->changes, 1);
}

/* The n lines of r->text. */
static void compare_by_time(struct replay *r, int64_t part_ms, struct str lines,
                            uint32_t n)
{
    uint32_t first = 0;

    if (r->when == NULL) {
        examine(r, r->at_ms >= 0 ? r->at_ms : part_ms, r->text, n);
        return;
    }
    when_read(r->when, lines, n);
    for (uint32_t i = 1; i <= n; i++) {
        int64_t ms = when_of(r->when, first, part_ms);

        if (i == n || when_of(r->when, i, part_ms) != ms) {
            examine(r, ms, r->text + first, i - first);
            first = i;
        }
    }
}

/* ---- progress ---- */

static void show_progress(struct replay *r, uint64_t done, uint64_t total)
{
    uint64_t now = clock_mono_ns();
    double share = total == 0 ? 1 : (double)done / (double)total;
    int filled = (int)(share * BAR);

    if (!r->terminal || now - r->told_ns < PROGRESS_NS) {
        return;
    }
    r->told_ns = now;
    (void)fprintf(stderr, "\r[%.*s%*s] %3.0f %%  %lu events, %.0f/s ", filled,
                  "==============================", BAR - filled, "", share * 100,
                  (unsigned long)changes_events(r->changes),
                  (double)changes_events(r->changes) * 1e9 /
                      (double)(now - r->began_ns));
}

/* ---- the input ---- */

/* The routes of a stream that comes into hand. */
static bool enter_stream(struct replay *r, const char *stream)
{
    (void)snprintf(r->current, sizeof r->current, "%s", stream == NULL ? "" : stream);
    r->fresh.route = compare_route(r->fresh.comparison, stream, &r->e);
    r->failed = r->fresh.route == NULL;
    if (r->failed) {
        return false;
    }
    r->most = compare_most(r->fresh.comparison, r->fresh.route);
    if (r->old.comparison != NULL) {
        r->old.route = compare_route(r->old.comparison, stream, &r->e);
        r->failed = r->old.route == NULL;
        if (!r->failed && compare_most(r->old.comparison, r->old.route) < r->most) {
            r->most = compare_most(r->old.comparison, r->old.route);
        }
    }
    return !r->failed;
}

static bool is_blank(struct str s)
{
    size_t n = 0;

    while (n < s.n && strchr(" \t\r", s.p[n]) != NULL && s.p[n] != '\0') {
        n++;
    }
    return n == s.n;
}

/* The lines from *at on that are events, as many as can be compared at once. */
static bool on_lines(struct replay *r, const struct stored_part *p, const char **at,
                     const char *end)
{
    const char *from = *at;
    uint32_t n = 0;

    if ((r->fresh.route == NULL ||
         strcmp(r->current, p->stream == NULL ? "" : p->stream) != 0) &&
        !enter_stream(r, p->stream)) {
        return false;
    }
    while (*at < end && n < r->most) {
        const char *nl = memchr(*at, '\n', (size_t)(end - *at));

        r->text[n] = (struct str){*at, (size_t)(nl - *at)};
        if (refused_lines_is(r->text[n])) {
            break;
        }
        n += !is_blank(r->text[n]); /* the scanner passes over it too */
        *at = nl + 1;
    }
    if (n > 0) {
        compare_by_time(r, p->time_ms, (struct str){from, (size_t)(*at - from)}, n);
    }
    return true;
}

static bool on_part(void *arg, const struct stored_part *p)
{
    struct replay *r = arg;
    const char *at = p->lines.p, *end = at + p->lines.n;

    if (r->stream != NULL && (p->stream == NULL || strcmp(p->stream, r->stream) != 0)) {
        return true;
    }
    r->met = true;
    r->reason = p->reason;
    while (at < end) {
        const char *nl = memchr(at, '\n', (size_t)(end - at));
        struct str line = {at, (size_t)(nl - at)};

        if (refused_lines_is(line)) {
            examine_refused(r, line, p->time_ms);
            at = nl + 1;
        } else if (!on_lines(r, p, &at, end)) {
            return false;
        }
    }
    show_progress(r, p->done, p->total);
    return true;
}

/* That a stream without events would not change is no answer: its name may be
 * mistyped. */
static bool found(struct replay *r)
{
    return r->stream == NULL || r->met ||
           err_set(&r->e, "%s has no event of a stream \"%s\"", r->input, r->stream);
}

static bool load_side(struct side *s, const char *path, const struct compare_conf *conf,
                      struct err *e)
{
    struct policy_report report;

    s->policy = policy_load(path, &report);
    if (s->policy == NULL) {
        show_words(stderr, report.text);
        policy_report_fini(&report);
        return err_set(e, "the policy %s has mistakes", path);
    }
    policy_report_fini(&report);
    s->plan = policy_plan(s->policy);
    s->comparison = compare_new(s->policy, conf, e);
    return s->comparison != NULL;
}

static void report(const struct replay *r, double seconds)
{
    uint64_t n = changes_events(r->changes);
    double rate = seconds > 0 ? (double)n / seconds : 0;
    char head[256];

    if (r->terminal) {
        (void)fprintf(stderr, "\r%79s\r", "");
    }
    if (r->json) {
        (void)snprintf(
            head, sizeof head,
            "{\"seconds\":%.3f,\"events_per_second\":%.0f,\"undecided\":%lu}", seconds,
            rate, (unsigned long)r->undecided);
        changes_print_json(r->changes, head, stdout);
        return;
    }
    show_line(
        stdout,
        "%lu event%s of %s through %s%s%s: %lu would change (%.2f s, %.0f events/s)",
        (unsigned long)n, show_s((double)n), r->input, r->new_path,
        r->old_path != NULL ? ", before: " : "", r->old_path != NULL ? r->old_path : "",
        (unsigned long)changes_changed(r->changes), seconds, rate);
    changes_print(r->changes, stdout);
    if (r->undecided > 0) {
        (void)printf(
            "%12lu  records of refusals that are cut or damaged: not decided\n",
            (unsigned long)r->undecided);
    }
}

/* The answer of other events is none for those that can't be read. */
static bool is_whole(const char *input, uint64_t unread)
{
    (void)fflush(stdout);
    if (unread > 0) {
        show_line(stderr,
                  "sluice: damaged or unreadable segments, whose events are missing "
                  "above: %lu; sluice inspect --verify %s tells which",
                  (unsigned long)unread, input);
    }
    return unread == 0;
}

int cli_replay(int argc, char **argv)
{
    struct replay *r = mem_zalloc(sizeof *r);
    int code = REPLAY_FAILED;
    uint64_t unread = 0;

    r->samples = SAMPLES_DEFAULT;
    r->at_ms = -1;
    if (!take_options(r, argc, argv)) {
        free(r);
        return usage_wrong("replay");
    }
    r->changes = changes_new(r->samples);
    r->text = mem_alloc(COMPARE_LINES_MAX * sizeof *r->text);
    r->terminal = isatty(STDERR_FILENO) == 1;
    r->began_ns = clock_mono_ns();
    if ((r->refused = refused_lines_new(&r->e)) != NULL &&
        (r->time_field == NULL || (r->when = when_new(r->time_field, &r->e)) != NULL) &&
        load_side(&r->fresh, r->new_path, &r->conf, &r->e) &&
        (r->old_path == NULL || load_side(&r->old, r->old_path, &r->conf, &r->e)) &&
        stored_read(r->input, on_part, r, &unread, &r->e) && !r->failed && found(r)) {
        report(r, (double)(clock_mono_ns() - r->began_ns) / 1e9);
        code = changes_changed(r->changes) > 0 ? REPLAY_CHANGED : REPLAY_SAME;
        code = is_whole(r->input, unread) ? code : REPLAY_FAILED;
    } else {
        show_error(r->e.text);
    }
    compare_free(r->fresh.comparison);
    compare_free(r->old.comparison);
    when_free(r->when);
    refused_lines_free(r->refused);
    policy_unref(r->fresh.policy);
    policy_unref(r->old.policy);
    changes_free(r->changes);
    free(r->text);
    free(r);
    return code;
}
