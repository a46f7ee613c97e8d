/*
 * sluice upgrade [--admin ADDRESS]            has a new process, of the binary and the
 *                                             policy that are there now, take the place of
 *                                             a running server, and waits for that: 0, the
 *                                             new one serves; 1, the old one does still
 * sluice upgrade [--admin ADDRESS] --status   only says how it stands: 0, no upgrade is
 *                                             under way, and none has failed; 1, the last
 *                                             one has; 3, one is under way
 */
#include <cjson/cJSON.h>
#include <curl/curl.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "base/clock.h"
#include "base/err.h"
#include "cli/cli.h"
#include "cli/commands.h"

/* A policy with large tables loads for two minutes at most, and a drain has its time. */
enum { UPGRADE_S = 900, ANSWER_S = 10, LOOK_MS = 50, ANSWER = 1 << 20, UNDER_WAY = 3 };

struct server_state {
    double pid, failed;
    bool under_way;
    char version[64], why[512];
};

/* The admin listener: HOST:PORT or https://HOST:PORT; cacert: NULL: the system's. */
struct server_at {
    const char *admin, *cacert;
};

struct answer {
    char text[ANSWER];
    size_t n;
};

static int usage(void)
{
    return usage_wrong("upgrade");
}

static int fail(const struct err *e)
{
    (void)fprintf(stderr, "sluice: %s\n", e->text);
    return 1;
}

static size_t on_answer(char *p, size_t size, size_t n, void *arg)
{
    struct answer *a = arg;
    size_t room = sizeof a->text - 1 - a->n;
    size_t some = size * n < room ? size * n : room;

    memcpy(a->text + a->n, p, some);
    a->n += some;
    a->text[a->n] = '\0';
    return size * n;
}

/* The status of the answer; 0 and *e: none comes. */
static long ask(const struct server_at *at, const char *path, bool post,
                struct answer *a, struct err *e)
{
    CURL *curl = curl_easy_init();
    char url[512];
    long status = 0;
    CURLcode rc;

    (void)snprintf(url, sizeof url, "%s%s%s",
                   strstr(at->admin, "://") == NULL ? "http://" : "", at->admin, path);
    a->n = 0;
    a->text[0] = '\0';
    (void)curl_easy_setopt(curl, CURLOPT_PROXY, ""); /* whatever the environment says */
    (void)curl_easy_setopt(curl, CURLOPT_URL, url);
    (void)curl_easy_setopt(curl, CURLOPT_PROTOCOLS_STR, "http,https");
    if (at->cacert != NULL) {
        (void)curl_easy_setopt(curl, CURLOPT_CAINFO, at->cacert);
    }
    (void)curl_easy_setopt(curl, CURLOPT_TIMEOUT, (long)ANSWER_S);
    (void)curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, on_answer);
    (void)curl_easy_setopt(curl, CURLOPT_WRITEDATA, a);
    if (post) {
        (void)curl_easy_setopt(curl, CURLOPT_POSTFIELDS, "");
    }
    rc = curl_easy_perform(curl);
    (void)curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, &status);
    curl_easy_cleanup(curl);
    if (rc != CURLE_OK) {
        (void)err_set(e,
                      "no server answers at %s (%s); name the address of its admin "
                      "listener with --admin ADDRESS",
                      at->admin, curl_easy_strerror(rc));
        return 0;
    }
    return status;
}

static void text_of(const cJSON *o, const char *name, char *out, size_t n)
{
    const cJSON *x = cJSON_GetObjectItem(o, name);

    (void)snprintf(out, n, "%s", cJSON_IsString(x) ? x->valuestring : "");
}

static bool look(const struct server_at *at, struct server_state *x, struct err *e)
{
    static struct answer a;
    long status = ask(at, "/status", false, &a, e);
    cJSON *o = status == 200 ? cJSON_ParseWithLength(a.text, a.n) : NULL;
    const cJSON *pid = cJSON_GetObjectItem(o, "pid");
    const cJSON *upgrade = cJSON_GetObjectItem(o, "upgrade");
    bool ok = cJSON_IsNumber(pid) && cJSON_IsObject(upgrade);

    if (ok) {
        const cJSON *failed = cJSON_GetObjectItem(upgrade, "failed");

        x->pid = pid->valuedouble;
        x->failed = cJSON_IsNumber(failed) ? failed->valuedouble : 0;
        x->under_way = cJSON_IsTrue(cJSON_GetObjectItem(upgrade, "under_way"));
        text_of(o, "version", x->version, sizeof x->version);
        text_of(upgrade, "why", x->why, sizeof x->why);
    } else if (status == 200) {
        (void)err_set(e, "the answer of %s is not one of sluice; check --admin",
                      at->admin);
    } else if (status != 0) {
        (void)err_set(e, "%s answers /status with %ld: %.200s", at->admin, status,
                      a.text);
    }
    cJSON_Delete(o);
    return ok;
}

static void show(const struct server_state *x, const char *what)
{
    (void)printf("pid %.0f, version %s: %s\n", x->pid, x->version, what);
}

static int show_status(const struct server_at *at)
{
    struct server_state x;
    char text[600];
    struct err e;

    if (!look(at, &x, &e)) {
        return fail(&e);
    }
    (void)snprintf(text, sizeof text, "the last upgrade failed: %s", x.why);
    show(&x, x.under_way    ? "an upgrade is under way"
             : x.failed > 0 ? text
                            : "it serves, and no upgrade is under way");
    return x.under_way ? UNDER_WAY : x.failed > 0;
}

/* While one process leaves and the other comes, nobody answers for a moment. */
static int await(const struct server_at *at, const struct server_state *before)
{
    const struct timespec pause = {0, LOOK_MS * 1000000L};
    uint64_t until_ns = clock_mono_ns() + UPGRADE_S * 1000000000ull;
    struct server_state now = *before;
    struct err e;

    do {
        (void)nanosleep(&pause, NULL);
        if (!look(at, &now, &e) || now.under_way) {
            continue;
        }
        if (now.pid != before->pid) {
            show(&now, "the new process serves");
            return 0;
        }
        if (now.failed > before->failed) {
            (void)err_set(&e, "the old process serves on: %.400s", now.why);
            return fail(&e);
        }
    } while (clock_mono_ns() < until_ns);
    (void)err_set(&e, "the upgrade does not come to an end; see the log of the server");
    return fail(&e);
}

static int upgrade(const struct server_at *at)
{
    static struct answer a;
    struct server_state before;
    struct err e;
    long status;

    if (!look(at, &before, &e)) {
        return fail(&e);
    }
    status = ask(at, "/upgrade", true, &a, &e);
    if (status == 202) {
        return await(at, &before);
    }
    if (status != 0) {
        a.text[strcspn(a.text, "\n")] = '\0';
        (void)err_set(&e, "the server answered %ld: %.300s", status, a.text);
    }
    return fail(&e);
}

int cli_upgrade(int argc, char **argv)
{
    struct server_at at = {"127.0.0.1:9100", NULL};
    bool only_status = false;

    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--status") == 0) {
            only_status = true;
        } else if (strcmp(argv[i], "--admin") == 0 && i + 1 < argc) {
            at.admin = argv[++i];
        } else if (strcmp(argv[i], "--cacert") == 0 && i + 1 < argc) {
            at.cacert = argv[++i];
        } else {
            return usage();
        }
    }
    return only_status ? show_status(&at) : upgrade(&at);
}
