/*
 * sluice dead list DIR                what lies among the dead letters, and why
 * sluice dead show FILE               a letter a line: why, then the event
 * sluice dead replay FILE --to URL    posts the events to a route of a server
 *
 * A replay leaves the file as it is; FILE.replayed counts the letters done, so that
 * one that was cut off goes on where it was.
 */
#include <curl/curl.h>
#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/err.h"
#include "base/mem.h"
#include "cli/cli.h"
#include "cli/letters.h"

enum { KINDS_MAX = 256, REPLAY_EVENTS = 500, REPLAY_BYTES = 1 << 20, ANSWER = 8192 };

static int usage(void)
{
    (void)fputs("usage: sluice dead list DIR | show FILE | replay FILE --to URL\n",
                stderr);
    return 2;
}

static int fail(const struct err *e)
{
    (void)fprintf(stderr, "sluice: %s\n", e->text);
    return 1;
}

/* ---- list ---- */

struct kind {
    char text[320]; /* sink, reason, code */
    uint64_t n;
    double first_ms, last_ms;
};

static struct kind *kind_of(struct kind *list, uint32_t *n, const char *key)
{
    for (uint32_t i = 0; i < *n; i++) {
        if (strcmp(list[i].text, key) == 0) {
            return &list[i];
        }
    }
    if (*n == KINDS_MAX) {
        return &list[KINDS_MAX - 1];
    }
    list[*n] = (struct kind){.n = 0};
    (void)snprintf(list[*n].text, sizeof list[*n].text, "%s", key);
    return &list[(*n)++];
}

static const char *show_time(double ms, char *out, size_t n)
{
    time_t t = (time_t)(ms / 1000);
    struct tm tm;

    (void)strftime(out, n, "%FT%TZ", gmtime_r(&t, &tm));
    return out;
}

static bool list_file(const char *path, struct err *e)
{
    static struct kind kinds[KINDS_MAX];
    struct letters *l = letters_open(path, e);
    uint32_t n = 0;
    struct letter x;

    if (l == NULL) {
        return false;
    }
    while (letters_next(l, &x)) {
        char key[320];
        struct kind *k;

        (void)snprintf(key, sizeof key, "from=\"%.*s\" reason=%.*s code=%.0f",
                       (int)x.sink.n, x.sink.p, (int)x.reason.n, x.reason.p,
                       x.code);
        k = kind_of(kinds, &n, key);
        k->first_ms = k->n == 0 ? x.time_ms : k->first_ms;
        k->last_ms = x.time_ms;
        k->n++;
    }
    for (uint32_t i = 0; i < n; i++) {
        char a[40], b[40];

        (void)printf("file=%s letters=%lu %s first=%s last=%s\n", path,
                     (unsigned long)kinds[i].n, kinds[i].text,
                     show_time(kinds[i].first_ms, a, sizeof a),
                     show_time(kinds[i].last_ms, b, sizeof b));
    }
    if (letters_bad(l) > 0) {
        (void)printf("file=%s unreadable_lines=%lu\n", path,
                     (unsigned long)letters_bad(l));
    }
    letters_close(l);
    return true;
}

static int list(const char *dir)
{
    DIR *d = opendir(dir);
    struct dirent *entry;
    struct err e;
    bool ok = true;

    if (d == NULL) {
        (void)err_errno(&e, errno, "%s", dir);
        return fail(&e);
    }
    while (ok && (entry = readdir(d)) != NULL) {
        char path[4096];
        const char *dot = strstr(entry->d_name, ".ndjson");

        if (dot != NULL && strstr(dot, ".replayed") == NULL) {
            (void)snprintf(path, sizeof path, "%s/%s", dir, entry->d_name);
            ok = list_file(path, &e);
        }
    }
    (void)closedir(d);
    return ok ? 0 : fail(&e);
}

/* ---- show ---- */

static int show(const char *path)
{
    struct err e;
    struct letters *l = letters_open(path, &e);
    struct letter x;

    if (l == NULL) {
        return fail(&e);
    }
    while (letters_next(l, &x)) {
        char when[40];

        (void)printf("%s %.*s %.0f: %.*s\n    %.*s\n",
                     show_time(x.time_ms, when, sizeof when), (int)x.reason.n,
                     x.reason.p, x.code, (int)x.why.n, x.why.p, (int)x.event.n,
                     x.event.p);
    }
    letters_close(l);
    return 0;
}

/* ---- replay ---- */

struct replay {
    CURL *curl;
    char mark[4096];
    char body[REPLAY_BYTES * 2];
    size_t n_body;
    uint64_t n, done, refused;
    char answer[ANSWER];
    size_t n_answer;
};

static size_t on_answer(char *p, size_t size, size_t n, void *arg)
{
    struct replay *r = arg;
    size_t room = sizeof r->answer - 1 - r->n_answer;
    size_t some = size * n < room ? size * n : room;

    memcpy(r->answer + r->n_answer, p, some);
    r->n_answer += some;
    r->answer[r->n_answer] = '\0';
    return size * n;
}

static void mark(const struct replay *r)
{
    FILE *f = fopen(r->mark, "w");

    if (f != NULL) {
        (void)fprintf(f, "%lu\n", (unsigned long)r->done);
        (void)fclose(f);
    }
}

/* 422: all were refused again; they stay among the dead, as do those that a 202
 * lists as rejected. */
static bool post(struct replay *r, struct err *e)
{
    const char *rejected;
    long status = 0;
    CURLcode rc;

    if (r->n == 0) {
        return true;
    }
    r->n_answer = 0;
    (void)curl_easy_setopt(r->curl, CURLOPT_POSTFIELDSIZE, (long)r->n_body);
    rc = curl_easy_perform(r->curl);
    (void)curl_easy_getinfo(r->curl, CURLINFO_RESPONSE_CODE, &status);
    if (rc != CURLE_OK || (status != 202 && status != 422)) {
        return err_set(e, "stopped at letter %lu: %s", (unsigned long)r->done,
                       rc != CURLE_OK ? curl_easy_strerror(rc) : r->answer);
    }
    rejected = strstr(r->answer, "\"rejected\":");
    r->refused += rejected == NULL ? 0 : strtoul(rejected + 11, NULL, 10);
    r->done += r->n;
    r->n = 0;
    r->n_body = 0;
    mark(r);
    (void)fprintf(stderr, "\rreplayed %lu", (unsigned long)r->done);
    return true;
}

static bool replay_all(struct replay *r, struct letters *l, uint64_t skip,
                       struct err *e)
{
    struct letter x;

    for (uint64_t i = 0; letters_next(l, &x); i++) {
        if (i < skip) {
            continue;
        }
        if (x.event.n > REPLAY_BYTES) {
            return err_set(e, "letter %lu is larger than 1 MiB",
                           (unsigned long)i);
        }
        memcpy(r->body + r->n_body, x.event.p, x.event.n);
        r->n_body += x.event.n;
        r->body[r->n_body++] = '\n';
        r->n++;
        if ((r->n == REPLAY_EVENTS || r->n_body > REPLAY_BYTES) && !post(r, e)) {
            return false;
        }
    }
    return post(r, e);
}

static int replay(const char *path, const char *url)
{
    struct err e;
    struct letters *l = letters_open(path, &e);
    struct replay *r = mem_zalloc(sizeof *r);
    struct curl_slist *headers =
        curl_slist_append(NULL, "Content-Type: application/x-ndjson");
    unsigned long skip = 0;
    FILE *f;
    bool ok = l != NULL;

    (void)snprintf(r->mark, sizeof r->mark, "%s.replayed", path);
    f = fopen(r->mark, "r");
    if (f != NULL) {
        ok = ok && fscanf(f, "%lu", &skip) == 1;
        (void)fclose(f);
    }
    r->curl = curl_easy_init();
    r->done = skip;
    (void)curl_easy_setopt(r->curl, CURLOPT_URL, url);
    (void)curl_easy_setopt(r->curl, CURLOPT_HTTPHEADER, headers);
    (void)curl_easy_setopt(r->curl, CURLOPT_POSTFIELDS, r->body);
    (void)curl_easy_setopt(r->curl, CURLOPT_WRITEFUNCTION, on_answer);
    (void)curl_easy_setopt(r->curl, CURLOPT_WRITEDATA, r);
    (void)curl_easy_setopt(r->curl, CURLOPT_TIMEOUT, 60L);
    ok = ok && replay_all(r, l, skip, &e);
    if (ok) {
        (void)printf("replayed=%lu refused_again=%lu before=%lu\n",
                     (unsigned long)(r->done - skip), (unsigned long)r->refused,
                     skip);
    }
    curl_easy_cleanup(r->curl);
    curl_slist_free_all(headers);
    letters_close(l);
    free(r);
    return ok ? 0 : fail(&e);
}

int cli_dead(int argc, char **argv)
{
    if (argc == 3 && strcmp(argv[1], "list") == 0) {
        return list(argv[2]);
    }
    if (argc == 3 && strcmp(argv[1], "show") == 0) {
        return show(argv[2]);
    }
    if (argc == 5 && strcmp(argv[1], "replay") == 0 &&
        strcmp(argv[3], "--to") == 0) {
        return replay(argv[2], argv[4]);
    }
    return usage();
}
