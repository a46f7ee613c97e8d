/* sluice status [--json] [--during TIME]: a running server on one screen. */
#include <cjson/cJSON.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "base/err.h"
#include "base/text.h"
#include "base/units.h"
#include "cli/ask.h"
#include "cli/cli.h"
#include "cli/commands.h"
#include "cli/show.h"
#include "cli/watch/facts.h"
#include "cli/watch/screen.h"
#include "cli/watch/sight.h"
#include "cli/watch/status.h"
#include "server/supervisor.h"

enum { DURING_MS = 1000, DURING_MAX_MS = 3600000 };

static void print_json(const cJSON *facts)
{
    char *json = cJSON_Print(facts);

    show_json(stdout, str_of(json));
    cJSON_free(json);
}

static void print_screen(const cJSON *facts, const char *where)
{
    const struct screen_options o = {.where = where, .order = ORDER_BEHIND};
    bool colours = show_colours(STDOUT_FILENO);
    struct screen s = {0};

    screen_facts(&s, facts, &o);
    for (size_t i = 0; i < s.n; i++) {
        (void)printf("%s%s%s\n", screen_begin(s.list[i].tone, colours), s.list[i].text,
                     screen_end(s.list[i].tone, colours));
    }
    screen_free(&s);
}

static bool look_twice(struct sight *s, struct ask *a, int64_t ms, struct err *e)
{
    const struct timespec pause = {ms / 1000, ms % 1000 * 1000000};

    if (!sight_look(s, a, e)) {
        return false;
    }
    (void)nanosleep(&pause, NULL);
    return sight_look(s, a, e);
}

int status_show(const struct ask_options *o, int64_t ms, bool json)
{
    struct sight s = {0};
    struct err e;
    struct ask *a = ask_open(o, &e);
    int code = EXIT_SETUP;

    if (a != NULL && look_twice(&s, a, ms, &e)) {
        cJSON *facts = sight_facts(&s);

        if (json) {
            print_json(facts);
        } else {
            print_screen(facts, ask_where(a));
        }
        code = facts_true(facts, "ok") ? EXIT_OK : 1;
        cJSON_Delete(facts);
    } else {
        show_error(e.text);
    }
    sight_free(&s);
    ask_close(a);
    return code;
}

int cli_status(int argc, char **argv)
{
    static const struct option options[] = {ASK_GETOPT,
                                            {"json", no_argument, NULL, 'j'},
                                            {"during", required_argument, NULL, 'd'},
                                            {NULL, 0, NULL, 0}};
    struct ask_options ask = {0};
    int64_t ms = DURING_MS;
    bool json = false, ok = true;
    int o = 0, i = 0;

    optind = 1;
    while (ok && (o = getopt_long(argc, argv, "", options, &i)) != -1) {
        if (o == 'j') {
            json = true;
        } else if (o == 'd') {
            ok = units_ms(str_of(optarg), &ms) && ms > 0 && ms <= DURING_MAX_MS;
        } else {
            ok = ask_option(&ask, o, optarg);
        }
    }
    if (!ok && o != '?') {
        return usage_value("status", options[i].name, optarg);
    }
    return ok && optind == argc ? status_show(&ask, ms, json) : usage_wrong("status");
}
