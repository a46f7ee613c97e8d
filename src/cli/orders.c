/* sluice reload, rollback, promote, loglevel: orders to a running server, and what came of
 * them. */
#include <cjson/cJSON.h>
#include <getopt.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/err.h"
#include "base/log.h"
#include "cli/ask.h"
#include "cli/cli.h"
#include "cli/commands.h"
#include "cli/show.h"
#include "server/supervisor.h"

/* A load may build large tables first. */
enum { LOAD_MS = 600000, QUICK_MS = 30000, UNASKED = EXIT_SETUP };

static const char *text_of(const cJSON *o, const char *name)
{
    const cJSON *x = cJSON_GetObjectItem(o, name);

    return cJSON_IsString(x) ? x->valuestring : "";
}

static double number_of(const cJSON *o, const char *name)
{
    const cJSON *x = cJSON_GetObjectItem(o, name);

    return cJSON_IsNumber(x) ? x->valuedouble : 0;
}

static void show_retiring(const cJSON *list)
{
    const cJSON *x;

    cJSON_ArrayForEach(x, list)
    {
        show_line(stdout,
                  "retiring: sink %s has %.0f event%s (%.0f bytes) to deliver%s%s",
                  text_of(x, "name"), number_of(x, "left_events"),
                  show_s(number_of(x, "left_events")), number_of(x, "left_bytes"),
                  text_of(x, "why")[0] == '\0' ? "" : ": ", text_of(x, "why"));
    }
}

static bool is_tried(const char *status)
{
    return strcmp(status, "canary") == 0 || strcmp(status, "shadow") == 0;
}

/* "live: generation 3 …"; what the loader found goes where its tone belongs. -1: it is no
 * answer to a load. */
static int show_load(const struct ask_answer *a, bool json)
{
    cJSON *o = cJSON_ParseWithLength(a->text, a->n);
    bool ok = a->status == 200;

    if (text_of(o, "status")[0] == '\0' ||
        !cJSON_IsNumber(cJSON_GetObjectItem(o, "generation"))) {
        cJSON_Delete(o);
        return -1;
    }
    if (json) {
        char *text = cJSON_PrintUnformatted(o); /* valid, whatever the answer was */

        show_json(stdout, str_of(text));
        cJSON_free(text);
    } else {
        show_part(stdout, "%s: generation %.0f %s", text_of(o, "status"),
                  number_of(o, "generation"), ok ? "is live" : "stays live");
        if (is_tried(text_of(o, "status"))) {
            (void)printf(", %.0f is tried", number_of(o, "loaded"));
        }
        (void)puts("");
        if (text_of(o, "report")[0] != '\0') {
            show_words(ok ? stdout : stderr, text_of(o, "report"));
        }
        show_retiring(cJSON_GetObjectItem(o, "retiring"));
    }
    cJSON_Delete(o);
    return ok ? EXIT_OK : EXIT_POLICY;
}

struct order {
    struct ask_options ask;
    bool json;
    const char *word; /* behind the options */
};

/* False: wrong arguments. */
static bool read_arguments(struct order *w, int argc, char **argv, int operands)
{
    static const struct option options[] = {
        ASK_GETOPT, {"json", no_argument, NULL, 'j'}, {NULL, 0, NULL, 0}};
    int o;

    optind = 1;
    while ((o = getopt_long(argc, argv, "", options, NULL)) != -1) {
        if (o == 'j' && operands == 0) {
            w->json = true;
        } else if (!ask_option(&w->ask, o, optarg)) {
            return false;
        }
    }
    w->word = operands == 1 ? argv[optind] : NULL;
    return argc - optind == operands;
}

/* The server's answer is shown by show, unless it is an error that is none of a load; show
 * returns the exit code, or -1 for an answer that no sluice gives. */
static int order(const struct order *w, const char *path, long timeout_ms,
                 int (*show)(const struct ask_answer *a, bool json))
{
    struct ask_answer answer;
    struct err e;
    struct ask *a = ask_open(&w->ask, &e);
    int code = UNASKED;

    if (a == NULL || !ask_send(a, "POST", path, timeout_ms, &answer, &e)) {
        show_error(e.text);
    } else if (answer.status >= 400 && strstr(answer.text, "\"problems\"") == NULL) {
        (void)ask_refused(&answer, &e);
        show_error(e.text);
        code = EXIT_POLICY;
    } else {
        code = show(&answer, w->json);
        if (code < 0) {
            (void)ask_stranger(a, &e);
            show_error(e.text);
            code = UNASKED;
        } else {
            ask_tell_where(a);
        }
    }
    ask_close(a);
    return code;
}

static int load(const char *name, const char *path, int argc, char **argv)
{
    struct order w = {0};

    return read_arguments(&w, argc, argv, 0) ? order(&w, path, LOAD_MS, show_load)
                                             : usage_wrong(name);
}

int cli_reload(int argc, char **argv)
{
    return load("reload", "/reload", argc, argv);
}

int cli_rollback(int argc, char **argv)
{
    return load("rollback", "/reload?rollback", argc, argv);
}

int cli_promote(int argc, char **argv)
{
    return load("promote", "/reload?promote", argc, argv);
}

static int show_text(const struct ask_answer *a, bool json)
{
    (void)json;
    if (strncmp(a->text, "level=", 6) != 0) {
        return -1;
    }
    show_words(stdout, a->text);
    return EXIT_OK;
}

int cli_loglevel(int argc, char **argv)
{
    struct order w = {0};
    enum log_level level;
    char path[64];

    if (!read_arguments(&w, argc, argv, 1)) {
        return usage_wrong("loglevel");
    }
    if (!log_level_of(w.word, &level)) {
        show_line(stderr,
                  "sluice: no level is \"%.60s\": expected debug, info, warn or error",
                  w.word);
        return usage_wrong("loglevel");
    }
    (void)snprintf(path, sizeof path, "/loglevel?%.20s", w.word);
    return order(&w, path, QUICK_MS, show_text);
}
