#include "cli/redeliver.h"

#include <cjson/cJSON.h>
#include <curl/curl.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "base/clock.h"
#include "base/err.h"

/* IDLE: as long as nothing changes, one waits at most so long. */
enum { ANSWER = 16 << 10, TIMEOUT_S = 30, LOOK_MS = 100, IDLE_MS = 10000 };

struct asking {
    CURL *curl;
    struct redeliver_at at;
    const char *sink;
    char answer[ANSWER];
    size_t n;
};

struct counts {
    char status[16];
    bool resumed, more;
    double replayed, again, unreadable, left, left_bytes;
    char why[700];
};

static size_t on_answer(char *p, size_t size, size_t n, void *arg)
{
    struct asking *a = arg;
    size_t room = sizeof a->answer - 1 - a->n;
    size_t some = size * n < room ? size * n : room;

    memcpy(a->answer + a->n, p, some);
    a->n += some;
    a->answer[a->n] = '\0';
    return size * n;
}

static double number(const cJSON *o, const char *name)
{
    const cJSON *x = cJSON_GetObjectItem(o, name);

    return cJSON_IsNumber(x) ? x->valuedouble : 0;
}

static void text(const cJSON *o, const char *name, char *out, size_t n)
{
    const cJSON *x = cJSON_GetObjectItem(o, name);

    (void)snprintf(out, n, "%s", cJSON_IsString(x) ? x->valuestring : "");
}

static bool take(const struct asking *a, struct counts *c, struct err *e)
{
    cJSON *o = cJSON_ParseWithLength(a->answer, a->n);

    text(o, "status", c->status, sizeof c->status);
    text(o, "why", c->why, sizeof c->why);
    c->resumed = cJSON_IsTrue(cJSON_GetObjectItem(o, "resumed"));
    c->more = cJSON_IsTrue(cJSON_GetObjectItem(o, "more"));
    c->replayed = number(o, "replayed");
    c->again = number(o, "dead_again");
    c->unreadable = number(o, "unreadable");
    c->left = number(o, "left");
    c->left_bytes = number(o, "left_bytes");
    cJSON_Delete(o);
    return c->status[0] != '\0' ||
           err_set(e, "the answer of %s is not one of sluice; check --admin",
                   a->at.admin);
}

/* A GET only asks. */
static bool ask(struct asking *a, const char *method, const char *query,
                struct counts *c, struct err *e)
{
    char *quoted = curl_easy_escape(a->curl, a->sink, 0);
    char url[1024];
    long status = 0;
    CURLcode rc;

    (void)snprintf(url, sizeof url, "%s%s/sinks/%s/replay%s",
                   strstr(a->at.admin, "://") == NULL ? "http://" : "", a->at.admin,
                   quoted, query);
    curl_free(quoted);
    a->n = 0;
    a->answer[0] = '\0';
    curl_easy_reset(a->curl);
    (void)curl_easy_setopt(a->curl, CURLOPT_PROXY,
                           ""); /* whatever the environment says */
    (void)curl_easy_setopt(a->curl, CURLOPT_URL, url);
    (void)curl_easy_setopt(a->curl, CURLOPT_PROTOCOLS_STR, "http,https");
    if (a->at.ca != NULL) {
        (void)curl_easy_setopt(a->curl, CURLOPT_CAINFO, a->at.ca);
    }
    (void)curl_easy_setopt(a->curl, CURLOPT_TIMEOUT, (long)TIMEOUT_S);
    (void)curl_easy_setopt(a->curl, CURLOPT_WRITEFUNCTION, on_answer);
    (void)curl_easy_setopt(a->curl, CURLOPT_WRITEDATA, a);
    if (strcmp(method, "GET") != 0) {
        (void)curl_easy_setopt(a->curl, CURLOPT_POSTFIELDS, "");
        (void)curl_easy_setopt(a->curl, CURLOPT_CUSTOMREQUEST, method);
    }
    rc = curl_easy_perform(a->curl);
    if (rc != CURLE_OK) {
        return err_set(e,
                       "no server answers at %s (%s): a replay needs a running "
                       "server; name its address with --admin ADDRESS",
                       a->at.admin, curl_easy_strerror(rc));
    }
    (void)curl_easy_getinfo(a->curl, CURLINFO_RESPONSE_CODE, &status);
    a->answer[strcspn(a->answer, "\n")] = '\0';
    if (status != 200 && status != 202) {
        return err_set(e, "the server answered %ld: %.300s", status, a->answer);
    }
    return take(a, c, e);
}

/* True: it has ended, or nothing has changed for a while. */
static bool wait_for_end(struct asking *a, struct counts *c, struct err *e)
{
    const struct timespec pause = {0, LOOK_MS * 1000000L};
    uint64_t changed_ns = clock_mono_ns();

    while (strcmp(c->status, "runs") == 0 &&
           clock_mono_ns() - changed_ns < IDLE_MS * 1000000ull) {
        struct counts before = *c;

        (void)nanosleep(&pause, NULL);
        if (!ask(a, "GET", "", c, e)) {
            return false;
        }
        if (c->replayed != before.replayed || c->again != before.again ||
            c->left != before.left || c->left_bytes != before.left_bytes) {
            changed_ns = clock_mono_ns();
        }
    }
    return strcmp(c->status, "none") != 0 ||
           err_set(e, "the server or the sink restarted during the replay: run the "
                      "command again to continue");
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
        (void)printf("the replay continues without this command%s%s\n",
                     c->why[0] == '\0' ? "" : ": ", c->why);
    } else if (strcmp(c->status, "failed") == 0) {
        (void)fprintf(stderr, "sluice: %s\n", c->why);
    }
    if (strcmp(c->status, "stopped") == 0) {
        (void)printf("the replay stopped; the next replay continues there\n");
    }
    return strcmp(c->status, "done") == 0 &&
           (dry || c->again + c->unreadable + c->left_bytes == 0);
}

int redeliver(const struct redeliver_at *at, const char *sink, bool dry)
{
    static struct asking a;
    struct counts c = {.more = true};
    bool ok = true, clean = true, more = true;
    struct err e;

    a = (struct asking){.curl = curl_easy_init(), .at = *at, .sink = sink};
    /* After one that was cut off come the letters since, after those of the name
     * before the sink's own. */
    while (ok && more) {
        ok = ask(&a, "POST", dry ? "?dry-run" : "", &c, &e) && wait_for_end(&a, &c, &e);
        clean = ok && report(&c, dry) && clean;
        more = ok && !dry && c.more && strcmp(c.status, "done") == 0 && c.again == 0;
    }
    curl_easy_cleanup(a.curl);
    if (!ok) {
        (void)fprintf(stderr, "sluice: %s\n", e.text);
    }
    return ok && clean ? 0 : 1;
}

int redeliver_stop(const struct redeliver_at *at, const char *sink)
{
    static struct asking a;
    struct counts c = {.more = false};
    struct err e;
    bool ok;

    a = (struct asking){.curl = curl_easy_init(), .at = *at, .sink = sink};
    ok = ask(&a, "DELETE", "", &c, &e) && wait_for_end(&a, &c, &e);
    curl_easy_cleanup(a.curl);
    if (!ok) {
        (void)fprintf(stderr, "sluice: %s\n", e.text);
        return 1;
    }
    (void)report(&c, false);
    return strcmp(c.status, "runs") == 0 || strcmp(c.status, "failed") == 0;
}
