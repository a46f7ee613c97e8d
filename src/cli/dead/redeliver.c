#include "cli/dead/redeliver.h"

#include <cjson/cJSON.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "base/attr.h"
#include "base/clock.h"
#include "base/err.h"
#include "base/text.h"
#include "cli/ask.h"
#include "cli/show.h"
#include "server/supervisor.h"

/* IDLE: as long as nothing changes, one waits at most so long. */
enum { TIMEOUT_MS = 30000, LOOK_MS = 100, IDLE_MS = 10000, PATH = 1024 };
/* A server has three files of a sink's letters at most, and each replay ends one. */
enum { REPLAYS_MAX = 8 };

struct asking {
    struct ask *at;
    char path[PATH];
    int code; /* of the command, once a request has failed */
};

struct counts {
    char status[16];
    bool resumed, more;
    double replayed, again, unreadable, left, left_bytes;
    char why[700];
};

/* A count, as far as a double has it whole; *ok stays as it is. */
static double number(const cJSON *o, const char *name, bool *ok)
{
    const cJSON *x = cJSON_GetObjectItem(o, name);
    bool is = cJSON_IsNumber(x) && x->valuedouble >= 0 && x->valuedouble <= 1e18;

    *ok = *ok && is;
    return is ? x->valuedouble : 0;
}

static bool is_state(const char *status)
{
    static const char *const states[] = {"none", "runs", "done", "stopped", "failed"};

    for (size_t i = 0; i < N_ELEMS(states); i++) {
        if (strcmp(status, states[i]) == 0) {
            return true;
        }
    }
    return false;
}

static void text(const cJSON *o, const char *name, char *out, size_t n)
{
    const cJSON *x = cJSON_GetObjectItem(o, name);

    (void)text_z(TEXT_LINE, str_of(cJSON_IsString(x) ? x->valuestring : ""), out, n);
}

static bool take(struct asking *a, const struct ask_answer *answer, struct counts *c,
                 struct err *e)
{
    cJSON *o = cJSON_ParseWithLength(answer->text, answer->n);
    bool ok = true;

    text(o, "status", c->status, sizeof c->status);
    text(o, "why", c->why, sizeof c->why);
    c->resumed = cJSON_IsTrue(cJSON_GetObjectItem(o, "resumed"));
    c->more = cJSON_IsTrue(cJSON_GetObjectItem(o, "more"));
    c->replayed = number(o, "replayed", &ok);
    c->again = number(o, "dead_again", &ok);
    c->unreadable = number(o, "unreadable", &ok);
    c->left = number(o, "left", &ok);
    c->left_bytes = number(o, "left_bytes", &ok);
    cJSON_Delete(o);
    if (!ok || !is_state(c->status)) {
        a->code = EXIT_SETUP;
        return ask_stranger(a->at, e);
    }
    return true;
}

/* A GET only asks. */
static bool ask(struct asking *a, const char *method, const char *query,
                struct counts *c, struct err *e)
{
    char path[PATH + 16];
    struct ask_answer answer;

    (void)snprintf(path, sizeof path, "%s%s", a->path, query);
    if (!ask_send(a->at, method, path, TIMEOUT_MS, &answer, e)) {
        a->code = EXIT_SETUP;
        return false;
    }
    if (answer.status != 200 && answer.status != 202) {
        a->code = EXIT_POLICY;
        return ask_refused(&answer, e);
    }
    return take(a, &answer, c, e);
}

/* Whether a replay goes on: what it has done grows, or its dry run has counted more. */
static bool advances(const struct counts *before, const struct counts *now)
{
    return now->replayed > before->replayed || now->again > before->again ||
           now->left > before->left || now->left_bytes < before->left_bytes;
}

/* True: it has ended, or nothing has changed for a while. */
static bool wait_for_end(struct asking *a, struct counts *c, struct err *e)
{
    const struct timespec pause = {0, LOOK_MS * 1000000L};
    uint64_t changed_ns = clock_mono_ns();

    while (strcmp(c->status, "runs") == 0 &&
           clock_mono_ns() - changed_ns < IDLE_MS * 1000000ull) {
        const struct counts before = *c;

        (void)nanosleep(&pause, NULL);
        if (!ask(a, "GET", "", c, e)) {
            return false;
        }
        if (advances(&before, c)) {
            changed_ns = clock_mono_ns();
        }
    }
    if (strcmp(c->status, "none") == 0) {
        a->code = EXIT_POLICY;
        return err_set(e, "the server or the sink restarted during the replay: run the "
                          "command again to continue");
    }
    return true;
}

static bool report(const struct counts *c, bool dry)
{
    if (dry) {
        (void)printf("left=%.0f unreadable=%.0f\ndry run: nothing was sent\n", c->left,
                     c->unreadable);
    } else {
        (void)printf("replayed=%.0f dead_again=%.0f unreadable=%.0f left_bytes=%.0f"
                     "%s\n",
                     c->replayed, c->again, c->unreadable, c->left_bytes,
                     c->resumed ? " resumed=true" : "");
    }
    if (strcmp(c->status, "runs") == 0) {
        show_line(stdout, "the replay continues without this command%s%s",
                  c->why[0] == '\0' ? "" : ": ", c->why);
    } else if (strcmp(c->status, "failed") == 0) {
        show_error(c->why[0] == '\0' ? "the replay failed; see the log of the server"
                                     : c->why);
    }
    if (strcmp(c->status, "stopped") == 0) {
        (void)printf("the replay stopped; the next replay continues there\n");
    }
    return strcmp(c->status, "done") == 0 &&
           (dry || c->again + c->unreadable + c->left_bytes == 0);
}

static bool begin(struct asking *a, const struct ask_options *at, const char *sink,
                  struct err *e)
{
    a->code = EXIT_SETUP;
    a->at = ask_open(at, e);
    return a->at != NULL && ask_sink_path(a->path, sizeof a->path, sink, "replay", e);
}

/* ok: no request has failed; fine: what came of it. */
static int finish(struct asking *a, bool ok, bool fine, const struct err *e)
{
    ask_close(a->at);
    if (!ok) {
        show_error(e->text);
        return a->code;
    }
    return fine ? EXIT_OK : EXIT_POLICY;
}

int redeliver(const struct ask_options *at, const char *sink, bool dry)
{
    struct asking a;
    struct counts c = {.more = true};
    struct err e;
    bool ok = begin(&a, at, sink, &e);
    bool clean = true, more = true;
    unsigned n = 0;

    /* After one that was cut off come the letters since, after those of the name
     * before the sink's own. */
    while (ok && more && n++ < REPLAYS_MAX) {
        ok = ask(&a, "POST", dry ? "?dry-run" : "", &c, &e) && wait_for_end(&a, &c, &e);
        clean = ok && report(&c, dry) && clean;
        more = ok && !dry && c.more && strcmp(c.status, "done") == 0 && c.again == 0;
    }
    if (ok && more) {
        a.code = EXIT_SETUP;
        ok =
            err_set(&e,
                    "%s says after %d replays that more letters wait: is it no sluice? "
                    "sluice dead list DIR tells which letters are left",
                    ask_where(a.at), REPLAYS_MAX);
    }
    return finish(&a, ok, clean, &e);
}

int redeliver_stop(const struct ask_options *at, const char *sink)
{
    struct asking a;
    struct counts c = {.more = false};
    struct err e;
    bool ok = begin(&a, at, sink, &e) && ask(&a, "DELETE", "", &c, &e) &&
              wait_for_end(&a, &c, &e);

    if (ok) {
        (void)report(&c, false);
    }
    return finish(&a, ok,
                  strcmp(c.status, "runs") != 0 && strcmp(c.status, "failed") != 0, &e);
}
