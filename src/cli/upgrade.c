/*
 * sluice upgrade            has a new process, of the binary and the policy that are there
 *                           now, take the place of a running server, and waits for that:
 *                           0, the new one serves; 1, the old one does still
 * sluice upgrade --status   only says how it stands: 0, no upgrade is under way, and none
 *                           has failed; 1, the last one has; 4, one is under way
 */
#include <cjson/cJSON.h>
#include <getopt.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "base/clock.h"
#include "base/err.h"
#include "base/text.h"
#include "cli/ask.h"
#include "cli/cli.h"
#include "cli/commands.h"
#include "cli/show.h"
#include "server/supervisor.h"

/* A policy with large tables loads for two minutes at most, and a drain has its time. */
enum {
    UPGRADE_S = 900,
    CLOSED_S = 10,  /* the listener is handed on, and never closed between */
    SILENT_S = 180, /* no process of sluice answers */
    ANSWER_MS = 10000,
    LOOK_MS = 50,
    UNASKED = EXIT_SETUP,
    UNDER_WAY = 4
};

struct server_state {
    double pid, failed;
    bool under_way;
    char version[64], why[512];
};

static int fail(int code, const struct err *e)
{
    show_error(e->text);
    return code;
}

static void text_of(const cJSON *o, const char *name, char *out, size_t n)
{
    const cJSON *x = cJSON_GetObjectItem(o, name);

    (void)text_z(TEXT_LINE, str_of(cJSON_IsString(x) ? x->valuestring : ""), out, n);
}

static bool look(struct ask *at, struct server_state *x, struct err *e)
{
    struct ask_answer a;
    cJSON *o;
    const cJSON *pid, *upgrade, *failed;
    bool ok;

    if (!ask_send(at, "GET", "/status", ANSWER_MS, &a, e)) {
        return false;
    }
    if (a.status >= 400) {
        return ask_refused(&a, e);
    }
    o = cJSON_ParseWithLength(a.text, a.n);
    pid = cJSON_GetObjectItem(o, "pid");
    upgrade = cJSON_GetObjectItem(o, "upgrade");
    ok = cJSON_IsNumber(pid) && cJSON_IsObject(upgrade);
    if (ok) {
        failed = cJSON_GetObjectItem(upgrade, "failed");
        x->pid = pid->valuedouble;
        x->failed = cJSON_IsNumber(failed) ? failed->valuedouble : 0;
        x->under_way = cJSON_IsTrue(cJSON_GetObjectItem(upgrade, "under_way"));
        text_of(o, "version", x->version, sizeof x->version);
        text_of(upgrade, "why", x->why, sizeof x->why);
    }
    cJSON_Delete(o);
    return ok || ask_stranger(at, e);
}

static void show(const struct server_state *x, const char *what)
{
    show_line(stdout, "pid %.0f, version %s: %s", x->pid, x->version, what);
}

static int show_status(struct ask *at)
{
    struct server_state x;
    char text[600];
    struct err e;

    if (!look(at, &x, &e)) {
        return fail(UNASKED, &e);
    }
    (void)snprintf(text, sizeof text, "the last upgrade failed: %s", x.why);
    show(&x, x.under_way    ? "an upgrade is under way"
             : x.failed > 0 ? text
                            : "it serves, and no upgrade is under way");
    return x.under_way ? UNDER_WAY : x.failed > 0;
}

/* The new process has another address, or none has the listener any more. */
static int fail_closed(const struct ask *at)
{
    struct err e;

    (void)err_set(&e,
                  "nothing listens at %s for %d s now: if the new policy has another "
                  "admin.listen, ask the new process there (sluice status --admin "
                  "ADDRESS or --spool DIR); see the log of the server",
                  ask_where(at), CLOSED_S);
    return fail(UNASKED, &e);
}

/* While one process leaves and the other comes, nobody answers for a moment. */
static int await(struct ask *at, const struct server_state *before)
{
    const struct timespec pause = {0, LOOK_MS * 1000000L};
    uint64_t until_ns = clock_mono_ns() + UPGRADE_S * 1000000000ull;
    uint64_t open_ns = clock_mono_ns(), answer_ns = open_ns; /* last */
    struct server_state now = *before;
    struct err e;

    do {
        bool answers;

        (void)nanosleep(&pause, NULL);
        answers = look(at, &now, &e);
        open_ns = ask_closed(at) ? open_ns : clock_mono_ns();
        if (clock_mono_ns() - open_ns > CLOSED_S * 1000000000ull) {
            return fail_closed(at);
        }
        answer_ns = answers ? clock_mono_ns() : answer_ns;
        if (clock_mono_ns() - answer_ns > SILENT_S * 1000000000ull) {
            return fail(UNASKED, &e);
        }
        if (!answers || now.under_way) {
            continue;
        }
        if (now.pid != before->pid) {
            show(&now, "the new process serves");
            return 0;
        }
        if (now.failed > before->failed) {
            (void)err_set(&e, "the old process serves on: %.400s", now.why);
            return fail(1, &e);
        }
    } while (clock_mono_ns() < until_ns);
    (void)err_set(&e,
                  "the upgrade has not ended after %d min; see the log of the server, "
                  "and sluice upgrade --status",
                  UPGRADE_S / 60);
    return fail(1, &e);
}

static int upgrade(struct ask *at)
{
    struct server_state before;
    struct ask_answer a;
    struct err e;

    if (!look(at, &before, &e) ||
        !ask_send(at, "POST", "/upgrade", ANSWER_MS, &a, &e)) {
        return fail(UNASKED, &e);
    }
    if (a.status != 202) {
        (void)ask_refused(&a, &e);
        return fail(1, &e);
    }
    return await(at, &before);
}

int cli_upgrade(int argc, char **argv)
{
    static const struct option options[] = {
        ASK_GETOPT, {"status", no_argument, NULL, 's'}, {NULL, 0, NULL, 0}};
    struct ask_options o = {0};
    bool only_status = false;
    struct ask *at;
    struct err e;
    int c, code;

    optind = 1;
    while ((c = getopt_long(argc, argv, "", options, NULL)) != -1) {
        if (c == 's') {
            only_status = true;
        } else if (!ask_option(&o, c, optarg)) {
            return usage_wrong("upgrade");
        }
    }
    if (optind != argc) {
        return usage_wrong("upgrade");
    }
    at = ask_open(&o, &e);
    if (at == NULL) {
        return fail(UNASKED, &e);
    }
    code = only_status ? show_status(at) : upgrade(at);
    ask_close(at);
    return code;
}
