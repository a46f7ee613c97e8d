/* sluice drain [--undo] [--wait TIME]: a running server is taken out of its load balancer,
 * and gives away what it has. */
#include <cjson/cJSON.h>
#include <getopt.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/err.h"
#include "base/text.h"
#include "base/units.h"
#include "cli/ask.h"
#include "cli/cli.h"
#include "cli/commands.h"
#include "cli/show.h"
#include "cli/watch/facts.h"
#include "cli/watch/sight.h"
#include "server/supervisor.h"

enum { WAIT_MS = 600000, LOOK_MS = 250, TELL_LOOKS = 4, ORDER_MS = 10000 };
/* So long no event comes before clients are said to send nothing, unless the time is over:
 * between two looks is no client that sends each second. */
enum { QUIET_MS = 1500 };
static const int64_t WAIT_MAX_MS = (int64_t)30 * 86400000;

/* What there is still to do. */
struct rest {
    double waiting, left; /* events: of clients, of sinks */
    bool comes;           /* events came since the last look */
    char why[600];        /* a sink that takes nothing, in its words */
};

static void look_at(const struct sight *s, struct rest *x)
{
    cJSON *facts = sight_facts(s);
    const cJSON *sink;
    char line[sizeof x->why];

    *x = (struct rest){
        /* After one look alone all since the start would be of now. */
        .comes = s->before_ns != 0 &&
                 series_sum(&s->now, "sluice_received_events_total", NULL) >
                     series_sum(&s->before, "sluice_received_events_total", NULL)};
    x->waiting = facts_number(cJSON_GetObjectItem(facts, "events"), "waiting");
    cJSON_ArrayForEach(sink, cJSON_GetObjectItem(facts, "sinks"))
    {
        double left = facts_number(sink, "left_events");

        x->left += left;
        if (left > 0 && facts_true(sink, "holding")) {
            (void)snprintf(line, sizeof line, "; sink %s takes nothing: %s",
                           facts_text(sink, "name"), facts_text(sink, "why"));
            (void)text_z(TEXT_LINE, str_of(line), x->why, sizeof x->why);
        }
    }
    cJSON_Delete(facts);
}

/* That no event is left is believed only of sinks that say so. */
static bool tells(const struct sight *s)
{
    const cJSON *sink;

    cJSON_ArrayForEach(sink, cJSON_GetObjectItem(s->status, "sinks"))
    {
        const cJSON *left =
            cJSON_IsObject(sink) ? cJSON_GetObjectItem(sink, "left_events") : NULL;

        if (!cJSON_IsNumber(left) || left->valuedouble < 0) {
            return false;
        }
    }
    return true;
}

static bool order(struct ask *a, bool undo, struct err *e)
{
    struct ask_answer answer;

    return ask_send(a, "POST", undo ? "/drain?off" : "/drain", ORDER_MS, &answer, e) &&
           (answer.status == 200 || ask_refused(&answer, e)) &&
           (strcmp(answer.text, undo ? "returns\n" : "rests\n") == 0 ||
            ask_stranger(a, e));
}

/* Whether the server takes no part any more. It does again after a restart, and when
 * another sluice drain --undo asks for it; an older one does not say. */
static bool rests(const struct sight *s)
{
    return !cJSON_IsFalse(cJSON_GetObjectItem(s->status, "draining"));
}

static void show_rest(const char *how, const struct rest *x)
{
    show_line(stdout, "%s: %.0f event%s wait%s for sinks, %.0f for the disk%s%s", how,
              x->left, show_s(x->left), x->left == 1 ? "s" : "", x->waiting,
              x->comes ? ", clients still send" : "", x->why);
}

/* Until nothing is left, or the time is over. */
static int wait_for(struct ask *a, int64_t ms, struct sight *s)
{
    const struct timespec pause = {0, LOOK_MS * 1000000L};
    uint64_t until = clock_mono_ns() + (uint64_t)ms * 1000000u, quiet_ns = 0;
    struct rest x = {0};
    bool over;
    struct err e;

    for (unsigned n = 0;; n++) {
        if (!sight_look(s, a, &e) || (!tells(s) && !ask_stranger(a, &e))) {
            show_error(e.text);
            return EXIT_SETUP;
        }
        if (!rests(s)) {
            (void)puts("not drained: the server takes events again, after a restart or "
                       "sluice drain --undo");
            return EXIT_POLICY;
        }
        look_at(s, &x);
        /* From the first look of a process on: what came before that is not known. */
        if (x.comes || s->before_ns == 0) {
            quiet_ns = s->now_ns;
        }
        over = clock_mono_ns() >= until;
        if (x.waiting + x.left <= 0 &&
            s->now_ns - quiet_ns >= (over ? 1 : QUIET_MS * (uint64_t)1000000)) {
            (void)puts("drained: clients send nothing, sinks have all events");
            return EXIT_OK;
        }
        if (over) {
            break;
        }
        if (n % TELL_LOOKS == 0) {
            show_rest("draining", &x);
            (void)fflush(stdout);
        }
        (void)nanosleep(&pause, NULL);
    }
    show_rest("not drained", &x);
    return EXIT_POLICY;
}

static int drain(const struct ask_options *o, bool undo, int64_t ms)
{
    struct sight s = {0};
    struct err e;
    struct ask *a = ask_open(o, &e);
    int code = a == NULL ? EXIT_SETUP : EXIT_OK;

    if (a == NULL || !order(a, undo, &e)) {
        show_error(e.text);
        code = EXIT_SETUP;
        goto out;
    }
    ask_tell_where(a);
    if (undo) {
        (void)puts("the server takes events again: its health is 200");
    } else {
        code = wait_for(a, ms, &s);
    }
out:
    sight_free(&s);
    ask_close(a);
    return code;
}

int cli_drain(int argc, char **argv)
{
    static const struct option options[] = {ASK_GETOPT,
                                            {"undo", no_argument, NULL, 'u'},
                                            {"wait", required_argument, NULL, 'w'},
                                            {NULL, 0, NULL, 0}};
    struct ask_options ask = {0};
    int64_t ms = WAIT_MS;
    bool ok = true, undo = false;
    int o = 0, i = 0;

    optind = 1;
    while (ok && (o = getopt_long(argc, argv, "", options, &i)) != -1) {
        if (o == 'u') {
            undo = true;
        } else if (o == 'w') {
            ok = units_ms(str_of(optarg), &ms) && ms >= 0 && ms <= WAIT_MAX_MS;
        } else {
            ok = ask_option(&ask, o, optarg);
        }
    }
    if (!ok && o != '?') {
        return usage_value("drain", options[i].name, optarg);
    }
    return ok && optind == argc ? drain(&ask, undo, ms) : usage_wrong("drain");
}
