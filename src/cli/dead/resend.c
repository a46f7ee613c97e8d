#include "cli/dead/resend.h"

#include <cjson/cJSON.h>
#include <curl/curl.h>
#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/err.h"
#include "base/folder.h"
#include "base/mem.h"
#include "cli/dead/replayed.h"
#include "cli/show.h"
#include "delivery/letters.h"

/* An answer lists at most so many refused events: all of a batch then. Each takes some
 * 5 KiB at most. */
enum { EVENTS = 100, BYTES = 1 << 20, ANSWER = 1 << 20, TIMEOUT_S = 60 };

struct resend {
    CURL *curl;
    const char *url;
    struct curl_slist *lines, *alone; /* the headers of a batch and of one event */
    bool each;                        /* the route takes no batch */
    struct replayed *marks;
    char *body, *sent;
    size_t n_body, room, sent_room;
    size_t ends[EVENTS]; /* of its events in the body */
    struct mark ids[EVENTS];
    uint32_t n;
    uint64_t letters, before, taken, refused, too_large;
    char answer[ANSWER];
    size_t n_answer;
};

static size_t on_answer(char *p, size_t size, size_t n, void *arg)
{
    struct resend *r = arg;
    size_t room = sizeof r->answer - 1 - r->n_answer;
    size_t some = size * n < room ? size * n : room;

    memcpy(r->answer + r->n_answer, p, some);
    r->n_answer += some;
    r->answer[r->n_answer] = '\0';
    return size * n;
}

/* The status; 0 and *e: no answer. */
static long post(struct resend *r, struct curl_slist *headers, const char *p, size_t n,
                 struct err *e)
{
    long status = 0;
    CURLcode rc;

    r->n_answer = 0;
    r->answer[0] = '\0';
    (void)curl_easy_setopt(r->curl, CURLOPT_HTTPHEADER, headers);
    (void)curl_easy_setopt(r->curl, CURLOPT_POSTFIELDS, p);
    (void)curl_easy_setopt(r->curl, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)n);
    rc = curl_easy_perform(r->curl);
    if (rc != CURLE_OK) {
        (void)err_set(e, "%.200s: %s", r->url, curl_easy_strerror(rc));
        return 0;
    }
    (void)curl_easy_getinfo(r->curl, CURLINFO_RESPONSE_CODE, &status);
    return status;
}

/* A letter counts as sent only by the word of a sluice, in an answer that is whole. */
static bool does_not_tell(const struct resend *r, long status, struct err *e)
{
    return err_set(e,
                   "%.200s answered %ld, and not which events it took: give the URL of "
                   "a route of sluice without an answer of its own",
                   r->url, status);
}

static double count(const cJSON *o, const char *name)
{
    const cJSON *x = cJSON_GetObjectItem(o, name);

    return cJSON_IsNumber(x) ? x->valuedouble : 0;
}

/* Which of n events are refused. False: the answer does not tell of each. */
static bool read_refused(const cJSON *answer, uint32_t n, bool refused[EVENTS])
{
    const cJSON *error, *status = cJSON_GetObjectItem(answer, "status");
    double accepted = count(answer, "accepted"), rejected = count(answer, "rejected");
    uint32_t listed = 0;

    if (!cJSON_IsString(status) || strcmp(status->valuestring, "accepted") != 0) {
        return false;
    }
    cJSON_ArrayForEach(error, cJSON_GetObjectItem(answer, "errors"))
    {
        double at = cJSON_IsObject(error) ? count(error, "index") : -1;

        if (at >= 0 && at < n && !refused[(uint32_t)at]) {
            refused[(uint32_t)at] = true;
            listed++;
        }
    }
    if (n == 1) { /* a letter that was sent alone may be several events */
        refused[0] = rejected > 0;
        return accepted >= 1;
    }
    return rejected == listed && accepted + rejected == n;
}

/* Marks letters from .. to - 1, but for those that the answer lists as refused. */
static bool take(struct resend *r, uint32_t from, uint32_t to, struct err *e)
{
    cJSON *answer = cJSON_ParseWithLength(r->answer, r->n_answer);
    bool refused[EVENTS] = {false};
    bool told = read_refused(answer, to - from, refused);

    cJSON_Delete(answer);
    if (!told) {
        return does_not_tell(r, 202, e);
    }
    for (uint32_t i = from; i < to; i++) {
        if (refused[i - from]) {
            r->refused++;
        } else {
            replayed_add(r->marks, r->ids[i]);
            r->taken++;
        }
    }
    return replayed_save(r->marks, e);
}

/* What the answer to letters from .. to - 1 says of them. */
static bool settle(struct resend *r, long status, uint32_t from, uint32_t to,
                   struct err *e)
{
    switch (status) {
    case 202:
        return take(r, from, to, e);
    case 413:
        r->too_large += to - from;
        return true;
    case 422:
        r->refused += to - from;
        return true;
    case 0:
        return false;
    case 200:
    case 201:
    case 204:
    case 302:
        /* It may say the same of an event that it refuses. */
        return does_not_tell(r, status, e);
    default:
        return err_set(e, "the server answered %ld: %.200s", status, r->answer);
    }
}

/* One letter, not as a line of a batch. */
static bool send_one(struct resend *r, struct str s, uint32_t i, struct err *e)
{
    long status = post(r, r->alone, s.p, s.n, e);

    if (status != 400) {
        return settle(r, status, i, i + 1, e);
    }
    r->refused++;
    return true;
}

static bool send_each(struct resend *r, uint32_t from, uint32_t to, struct err *e)
{
    bool ok = true;

    for (uint32_t i = from; i < to && ok; i++) {
        size_t begin = i == 0 ? 0 : r->ends[i - 1];

        ok = send_one(r, (struct str){r->body + begin, r->ends[i] - begin}, i, e);
    }
    return ok;
}

/* Letters from .. to - 1; a body that is too large for the route goes in halves. */
static bool send_part(struct resend *r, uint32_t from, uint32_t to, struct err *e)
{
    size_t begin = from == 0 ? 0 : r->ends[from - 1];
    uint32_t half = from + (to - from) / 2;
    long status;

    if (r->each) {
        return send_each(r, from, to, e);
    }
    status = post(r, r->lines, r->body + begin, r->ends[to - 1] - begin, e);
    if (status == 413 && to - from > 1) {
        return send_part(r, from, half, e) && send_part(r, half, to, e);
    }
    if (status == 415) {
        r->each = true; /* a route with body = "event" knows no lines */
        return send_each(r, from, to, e);
    }
    return settle(r, status, from, to, e);
}

static bool flush(struct resend *r, struct err *e)
{
    bool ok = r->n == 0 || send_part(r, 0, r->n, e);

    r->n = 0;
    r->n_body = 0;
    return ok;
}

/* Whether it can stand in a line of a batch: a newline would make it two, of which one may
 * be an event, and a blank line counts for nothing. */
static bool is_line(struct str s)
{
    return memchr(s.p, '\n', s.n) == NULL && strspn(s.p, " \t\r") < s.n;
}

/* Not with others, and not as JSON a line. */
static bool send_alone(struct resend *r, struct str s, struct mark id, struct err *e)
{
    if (!flush(r, e)) {
        return false;
    }
    r->ids[0] = id;
    return send_one(r, s, 0, e);
}

static bool add(struct resend *r, const struct letter *x, struct mark id, struct err *e)
{
    struct str s;

    if (r->sent_room < x->event.n + 1) {
        r->sent_room = 2 * (x->event.n + 1);
        r->sent = mem_realloc(r->sent, r->sent_room);
    }
    s = letter_sent(x, r->sent);
    if (x->quoted) {
        r->sent[s.n] = '\0';
        if (!is_line(s)) {
            return send_alone(r, s, id, e);
        }
    }
    if ((r->n == EVENTS || (r->n > 0 && r->n_body + s.n > BYTES)) && !flush(r, e)) {
        return false;
    }
    if (r->n_body + s.n + 1 > r->room) {
        r->room = 2 * (r->n_body + s.n + 1);
        r->body = mem_realloc(r->body, r->room);
    }
    memcpy(r->body + r->n_body, s.p, s.n);
    r->n_body += s.n;
    r->body[r->n_body++] = '\n';
    r->ids[r->n] = id;
    r->ends[r->n++] = r->n_body;
    return true;
}

/* Where the server takes no more, the rest is still counted. */
static bool send_all(struct resend *r, struct letters *l, struct err *e)
{
    struct letter x;
    struct err why;
    bool ok = true;

    while (letters_next(l, &x)) {
        struct mark id = mark_of(x.position, x.time_ms, x.event);

        r->letters++;
        if (replayed_has(r->marks, id)) {
            r->before++;
        } else if (r->curl != NULL && ok) {
            ok = add(r, &x, id, e);
        }
    }
    ok = ok && (r->curl == NULL || flush(r, e));
    return letters_ended(l, ok ? e : &why) && ok;
}

/* Counted also when it was cut off. */
static uint64_t report(const struct resend *r, const struct letters *l, bool dry)
{
    uint64_t bad = letters_bad(l);
    uint64_t left = r->letters - r->before - r->taken + bad;

    (void)printf("replayed=%lu refused_again=%lu too_large=%lu before=%lu "
                 "unreadable=%lu left=%lu\n",
                 (unsigned long)r->taken, (unsigned long)r->refused,
                 (unsigned long)r->too_large, (unsigned long)r->before,
                 (unsigned long)bad, (unsigned long)left);
    if (dry) {
        (void)printf("dry run: nothing was sent\n");
    }
    return left;
}

static CURL *client(struct resend *r, const char *url)
{
    CURL *curl = curl_easy_init();

    (void)curl_easy_setopt(curl, CURLOPT_URL, url);
    (void)curl_easy_setopt(curl, CURLOPT_POST, 1L);
    (void)curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, on_answer);
    (void)curl_easy_setopt(curl, CURLOPT_WRITEDATA, r);
    (void)curl_easy_setopt(curl, CURLOPT_TIMEOUT, (long)TIMEOUT_S);
    (void)curl_easy_setopt(curl, CURLOPT_PROXY, ""); /* whatever the environment says */
    (void)curl_easy_setopt(curl, CURLOPT_PROTOCOLS_STR, "http,https");
    return curl;
}

static void say(const struct err *e)
{
    show_error(e->text);
}

int resend(const char *path, const char *url)
{
    struct resend *r = mem_zalloc(sizeof *r);
    struct err e;
    struct letters *l = letters_open(path, &e);
    bool ok = l != NULL && (url == NULL || letters_lock(l, &e)) &&
              (r->marks = replayed_open(path, &e)) != NULL;
    uint64_t left = 0;

    r->lines = curl_slist_append(NULL, "Content-Type: application/x-ndjson");
    r->alone = curl_slist_append(NULL, "Content-Type: application/json");
    if (ok) {
        r->url = url;
        r->curl = url == NULL ? NULL : client(r, url);
        ok = send_all(r, l, &e);
        left = report(r, l, url == NULL);
    }
    if (!ok) {
        say(&e);
    }
    curl_easy_cleanup(r->curl);
    curl_slist_free_all(r->lines);
    curl_slist_free_all(r->alone);
    letters_close(l);
    replayed_close(r->marks);
    free(r->body);
    free(r->sent);
    free(r);
    return ok && (left == 0 || url == NULL) ? 0 : 1;
}

/* Gives the file a name that no sink writes to: a running one begins another file, and its
 * letters are not in this one. */
static bool take_away(const char *path, const char *away, const struct letters *l,
                      struct err *e)
{
    int there = path_there(away);

    if (there != 0) {
        return there < 0 ? err_errno(e, errno, "%s", away)
                         : err_set(e,
                                   "%s is left from an earlier purge: read it, then "
                                   "delete it",
                                   away);
    }
    if (rename(path, away) != 0) {
        return err_errno(e, errno, "%s", path);
    }
    return letters_are(l, away) || err_set(e, "%s was replaced meanwhile", path);
}

/* Under its own name again, unless letters have come meanwhile. */
static void put_back(const char *path, const char *away)
{
    struct err e;

    if (link(away, path) == 0) {
        (void)unlink(away);
    } else if (errno != ENOENT) {
        (void)err_set(&e, "the letters are in %s", away);
        say(&e);
    }
}

int resend_purge(const char *path, bool all)
{
    struct resend *r = mem_zalloc(sizeof *r);
    char away[4200];
    struct err e;
    struct letters *l = letters_open(path, &e);
    bool ok = l != NULL && letters_lock(l, &e), taken = false;
    uint64_t left = 0;

    (void)snprintf(away, sizeof away, "%s.purge", path);
    if (ok) {
        taken = path_there(away) == 0;
        ok = take_away(path, away, l, &e) &&
             (r->marks = replayed_open(path, &e)) != NULL && send_all(r, l, &e);
    }
    if (ok) {
        /* Nobody writes to it any more: a last line that is not whole was cut. */
        left = r->letters - r->before + letters_bad(l) + letters_cut(l);
    }
    if (ok && left > 0 && !all) {
        ok = err_set(&e,
                     left == 1 ? "%lu letter of %s is not replayed; --all deletes it "
                                 "too"
                               : "%lu letters of %s are not replayed; --all deletes "
                                 "them too",
                     (unsigned long)left, path);
    }
    if (ok) {
        ok = unlink(away) == 0 || err_errno(&e, errno, "%s", away);
        (void)unlink(replayed_path(r->marks));
        (void)printf("purged letters=%lu not_replayed=%lu\n", (unsigned long)r->letters,
                     (unsigned long)left);
    } else {
        say(&e);
        if (taken) {
            put_back(path, away);
        }
    }
    letters_close(l);
    replayed_close(r->marks);
    free(r);
    return ok ? 0 : 1;
}
