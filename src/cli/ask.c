#include "cli/ask.h"

#include <curl/curl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/un.h>

#include "base/clock.h"
#include "base/err.h"
#include "base/mem.h"
#include "cli/show.h"
#include "cli/spool_folder.h"
#include "cli/token.h"
#include "server/admin/note.h"

static const char DEFAULT_SPOOL[] = "data/spool";
static const char DEFAULT_ADMIN[] =
    "127.0.0.1:9100"; /* as a policy without admin has */

enum { CONNECT_MS = 5000, ANSWER_MAX = 64 << 20, SILENT_S = 20 };
enum { PATIENCE_S = 15 }; /* then people are told that a request waits still */

struct waiting {
    uint64_t began_ns;
    long timeout_ms;
    bool told;
};

struct ask {
    CURL *curl;
    struct curl_slist *headers; /* with the token */
    char url[NOTE_ADDRESS + 16];
    char socket[NOTE_ADDRESS]; /* of Unix; "": none */
    char where[NOTE_ADDRESS + PATH_MAX + 64];
    const char *cacert;
    const char *spool;         /* whose note has the address; NULL: none */
    bool named;                /* by an argument */
    bool closed;               /* nothing listens there */
    bool order;                /* the last request changes something */
    char why[CURL_ERROR_SIZE]; /* it has no answer; "": libcurl says no more */
    char *text;
    size_t n, room;
};

bool ask_option(struct ask_options *a, int o, const char *value)
{
    switch (o) {
    case ASK_ADMIN:
        a->admin = value;
        return true;
    case ASK_SPOOL:
        a->spool = value;
        return true;
    case ASK_TOKEN_FILE:
        a->token_file = value;
        return true;
    case ASK_CACERT:
        a->cacert = value;
        return true;
    default:
        return false;
    }
}

/* ---- where ---- */

/* A server that takes connections at all addresses has this machine's among them. */
static const char *nearby(const char *address, char out[NOTE_ADDRESS])
{
    static const char *const all[] = {"0.0.0.0:", "[::]:", "*:", ":"};

    for (size_t i = 0; i < N_ELEMS(all); i++) {
        if (strncmp(address, all[i], strlen(all[i])) == 0) {
            (void)snprintf(out, NOTE_ADDRESS, "127.0.0.1:%s", address + strlen(all[i]));
            return out;
        }
    }
    return address;
}

static bool set_address(struct ask *a, const char *address, const char *how,
                        struct err *e)
{
    struct sockaddr_un socket;
    char buffer[NOTE_ADDRESS];
    bool https = strncmp(address, "https://", 8) == 0;
    bool http = strncmp(address, "http://", 7) == 0;
    const char *host = nearby(https  ? address + 8
                              : http ? address + 7
                                     : address,
                              buffer);
    size_t n = strlen(host);

    while (n > 0 && host[n - 1] == '/') {
        n--;
    }
    (void)snprintf(a->where, sizeof a->where, "%.200s%s", address, how);
    if (strncmp(address, "unix:/", 6) == 0) {
        if (strlen(address + 5) >= sizeof socket.sun_path) {
            return err_set(e,
                           "\"%.60s\" is too long: expected at most %zu bytes of path",
                           address, sizeof socket.sun_path - 1);
        }
        (void)snprintf(a->socket, sizeof a->socket, "%s", address + 5);
        (void)snprintf(a->url, sizeof a->url, "http://localhost");
        return true;
    }
    if (strncmp(address, "unix:", 5) == 0 || n == 0 || n >= NOTE_ADDRESS ||
        strcspn(host, "/@?# \t\"") < n ||
        (!http && !https && strchr(host, ':') == NULL)) {
        return err_set(e,
                       "\"%.60s\"%s is no address: expected HOST:PORT, unix:/path or "
                       "https://HOST:PORT",
                       address, how);
    }
    (void)snprintf(a->url, sizeof a->url, "%s%.*s", https ? "https://" : "http://",
                   (int)n, host);
    return true;
}

/* The server that has the spool, if it runs. */
static bool set_noted(struct ask *a, const char *spool, struct err *e)
{
    char how[PATH_MAX + 32], dir[PATH_MAX];
    struct note note;

    if (!spool_folder(spool, dir, e) || !note_read(&note, dir, e)) {
        return false;
    }
    (void)snprintf(how, sizeof how, " (noted in %s)", spool);
    a->spool = spool;
    return set_address(a, note.address, how, e);
}

/* An upgrade may change the address: true if the note has another one by now. */
static bool has_moved(struct ask *a)
{
    char before[sizeof a->where];
    struct err e;

    (void)snprintf(before, sizeof before, "%s", a->where);
    a->closed = true;
    return a->spool != NULL && set_noted(a, a->spool, &e) &&
           strcmp(a->where, before) != 0;
}

static bool find(struct ask *a, const struct ask_options *o, struct err *e)
{
    const char *named = getenv("SLUICE_ADMIN");

    a->named = o->admin != NULL || o->spool != NULL;
    if (o->admin != NULL) {
        return set_address(a, o->admin, "", e);
    }
    if (o->spool != NULL) {
        return set_noted(a, o->spool, e);
    }
    if (named != NULL && named[0] != '\0') {
        return set_address(a, named, " (SLUICE_ADMIN)", e);
    }
    if (note_there(DEFAULT_SPOOL)) {
        return set_noted(a, DEFAULT_SPOOL, e);
    }
    return set_address(a, DEFAULT_ADMIN, " (the default)", e);
}

/* ---- requests ---- */

static size_t on_part(char *p, size_t size, size_t n, void *arg)
{
    struct ask *a = arg;

    (void)size; /* 1 */
    if (n > ANSWER_MAX - a->n) {
        return 0;
    }
    if (a->n + n + 1 > a->room) {
        a->room = 2 * a->room + n + 1;
        a->text = mem_realloc(a->text, a->room);
    }
    memcpy(a->text + a->n, p, n);
    a->n += n;
    a->text[a->n] = '\0';
    return n;
}

struct ask *ask_open(const struct ask_options *o, struct err *e)
{
    struct ask *a = mem_zalloc(sizeof *a);
    char header[TOKEN_HEADER];

    a->room = 4096;
    a->text = mem_alloc(a->room);
    a->cacert = o->cacert;
    a->curl = curl_easy_init();
    if (!find(a, o, e) || !token_read(header, o->token_file, e)) {
        ask_close(a);
        return NULL;
    }
    if (header[0] != '\0') {
        a->headers = curl_slist_append(a->headers, header);
    }
    return a;
}

void ask_close(struct ask *a)
{
    if (a == NULL) {
        return;
    }
    curl_slist_free_all(a->headers);
    curl_easy_cleanup(a->curl);
    free(a->text);
    free(a);
}

const char *ask_where(const struct ask *a)
{
    return a->where;
}

void ask_tell_where(const struct ask *a)
{
    if (!a->named) {
        show_line(stderr, "server: %s", a->where);
    }
}

static void prepare(struct ask *a, const char *method, const char *url)
{
    CURL *curl = a->curl;

    curl_easy_reset(curl);                           /* keeps its connection */
    (void)curl_easy_setopt(curl, CURLOPT_PROXY, ""); /* whatever the environment says */
    (void)curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
    (void)curl_easy_setopt(curl, CURLOPT_URL, url);
    (void)curl_easy_setopt(curl, CURLOPT_HTTPHEADER, a->headers);
    (void)curl_easy_setopt(curl, CURLOPT_ERRORBUFFER, a->why);
    (void)curl_easy_setopt(curl, CURLOPT_CONNECTTIMEOUT_MS, (long)CONNECT_MS);
    if (a->socket[0] != '\0') {
        (void)curl_easy_setopt(curl, CURLOPT_UNIX_SOCKET_PATH, a->socket);
    }
    if (a->cacert != NULL) {
        (void)curl_easy_setopt(curl, CURLOPT_CAINFO, a->cacert);
    }
    a->why[0] = '\0';
    a->order = strcmp(method, "GET") != 0;
    if (a->order) {
        (void)curl_easy_setopt(curl, CURLOPT_POSTFIELDS, "");
        (void)curl_easy_setopt(curl, CURLOPT_CUSTOMREQUEST, method);
    }
}

/* Also by TLS. The time to connect would not tell: a connection that was there already takes
 * none, and one whose handshake hangs has had it. */
static bool is_connected(const struct ask *a)
{
    long sent = 0; /* bytes of the request */

    (void)curl_easy_getinfo(a->curl, CURLINFO_REQUEST_SIZE, &sent);
    return sent != 0;
}

/* Puts into *e what a request without an answer means; returns false. */
static bool no_answer(const struct ask *a, CURLcode rc, long timeout_ms, struct err *e)
{
    struct ask_silence s = {.where = a->where,
                            .socket = a->socket,
                            .why = a->why[0] == '\0' || rc == CURLE_COULDNT_CONNECT
                                       ? curl_easy_strerror(rc)
                                       : a->why,
                            .rc = rc,
                            .timeout_ms = timeout_ms,
                            .order = a->order};

    (void)curl_easy_getinfo(a->curl, CURLINFO_SSL_VERIFYRESULT, &s.verified);
    (void)curl_easy_getinfo(a->curl, CURLINFO_RESPONSE_CODE, &s.status);
    s.connected = is_connected(a);
    if (!s.connected && timeout_ms > CONNECT_MS) {
        s.timeout_ms = CONNECT_MS;
    }
    return ask_no_answer(&s, e);
}

/* No error of sluice is HTML, as those of other servers and of proxies are. */
static bool is_html(const struct ask *a, long status)
{
    return status >= 300 && a->text[strspn(a->text, " \t\r\n")] == '<';
}

/* status 0: it says nothing by it. */
static bool stranger(const struct ask *a, long status, struct err *e)
{
    char said[48] = "";

    if (status != 0) {
        (void)snprintf(said, sizeof said, " (it says %ld in HTML)", status);
    }
    return err_set(
        e,
        "what answers at %s is no sluice%s: expected its admin listener; name "
        "another address with --admin ADDRESS or --spool DIR",
        a->where, said);
}

bool ask_stranger(const struct ask *a, struct err *e)
{
    return stranger(a, 0, e);
}

/* A server that loads large tables answers late, one that is stopped never. */
static int on_progress(void *arg, curl_off_t dl, curl_off_t dl_now, curl_off_t ul,
                       curl_off_t ul_now)
{
    struct waiting *w = arg;
    double s = (double)(clock_mono_ns() - w->began_ns) / 1e9;

    (void)dl;
    (void)ul;
    (void)ul_now;
    if (!w->told && dl_now == 0 && s >= PATIENCE_S) {
        w->told = true;
        (void)fprintf(stderr, "sluice: no answer for %.0f s, it waits for %ld s\n", s,
                      w->timeout_ms / 1000);
    }
    return 0;
}

static CURLcode perform(struct ask *a, const char *method, const char *path,
                        long timeout_ms)
{
    struct waiting w = {clock_mono_ns(), timeout_ms, false};
    char url[2048];

    (void)snprintf(url, sizeof url, "%s%s", a->url, path);
    prepare(a, method, url);
    (void)curl_easy_setopt(a->curl, CURLOPT_TIMEOUT_MS, timeout_ms);
    (void)curl_easy_setopt(a->curl, CURLOPT_WRITEFUNCTION, on_part);
    (void)curl_easy_setopt(a->curl, CURLOPT_WRITEDATA, a);
    a->n = 0;
    a->text[0] = '\0';
    if (timeout_ms > PATIENCE_S * 1000L) {
        (void)curl_easy_setopt(a->curl, CURLOPT_NOPROGRESS, 0L);
        (void)curl_easy_setopt(a->curl, CURLOPT_XFERINFOFUNCTION, on_progress);
        (void)curl_easy_setopt(a->curl, CURLOPT_XFERINFODATA, &w);
    }
    a->closed = false;
    return curl_easy_perform(a->curl);
}

bool ask_closed(const struct ask *a)
{
    return a->closed;
}

bool ask_send(struct ask *a, const char *method, const char *path, long timeout_ms,
              struct ask_answer *answer, struct err *e)
{
    CURLcode rc = perform(a, method, path, timeout_ms);

    if (rc == CURLE_COULDNT_CONNECT && has_moved(a)) { /* it was not sent */
        rc = perform(a, method, path, timeout_ms);
        a->closed = rc == CURLE_COULDNT_CONNECT;
    }
    if (rc != CURLE_OK) {
        return no_answer(a, rc, timeout_ms, e);
    }
    (void)curl_easy_getinfo(a->curl, CURLINFO_RESPONSE_CODE, &answer->status);
    answer->text = a->text;
    answer->n = a->n;
    return !is_html(a, answer->status) || stranger(a, answer->status, e);
}

bool ask_sink_path(char *out, size_t n, const char *name, const char *what,
                   struct err *e)
{
    char *quoted = curl_easy_escape(NULL, name, 0);
    int length = quoted == NULL ? -1 : snprintf(out, n, "/sinks/%s/%s", quoted, what);

    curl_free(quoted);
    return (length >= 0 && (size_t)length < n) ||
           err_set(e, "\"%.60s\" is too long for the name of a sink", name);
}

/* ---- a stream ---- */

struct streaming {
    struct ask *a;
    bool (*fn)(void *arg, const char *p, size_t n);
    void *arg;
    uint64_t heard_ns;
    size_t since; /* bytes */
    bool enough;
};

enum { LIFE_BYTES = 4096 };

/* The server gives a sign of life every 5 s: the end of a line, or a part of a long one. */
static int on_silence(void *arg, curl_off_t dl, curl_off_t dl_now, curl_off_t ul,
                      curl_off_t ul_now)
{
    const struct streaming *s = arg;

    (void)dl;
    (void)dl_now;
    (void)ul;
    (void)ul_now;
    return clock_mono_ns() - s->heard_ns > SILENT_S * 1000000000ull;
}

static size_t on_streamed(char *p, size_t size, size_t n, void *arg)
{
    struct streaming *s = arg;
    long status = 0;

    (void)curl_easy_getinfo(s->a->curl, CURLINFO_RESPONSE_CODE, &status);
    if (status != 200) {
        return on_part(p, size, n, s->a);
    }
    s->enough = !s->fn(s->arg, p, n);
    s->since += n;
    if (memchr(p, '\n', n) != NULL || s->since >= LIFE_BYTES) {
        s->since = 0;
        s->heard_ns = clock_mono_ns(); /* after fn, which may wait for its reader */
    }
    return s->enough ? 0 : n;
}

enum ask_end ask_stream(struct ask *a, const char *path,
                        bool (*fn)(void *arg, const char *p, size_t n), void *arg,
                        struct err *e)
{
    struct streaming s = {.a = a, .fn = fn, .arg = arg, .heard_ns = clock_mono_ns()};
    struct ask_answer answer = {0, a->text, 0};
    char url[8192];
    CURLcode rc;

    (void)snprintf(url, sizeof url, "%s%s", a->url, path);
    prepare(a, "GET", url);
    (void)curl_easy_setopt(a->curl, CURLOPT_WRITEFUNCTION, on_streamed);
    (void)curl_easy_setopt(a->curl, CURLOPT_WRITEDATA, &s);
    (void)curl_easy_setopt(a->curl, CURLOPT_NOPROGRESS, 0L);
    (void)curl_easy_setopt(a->curl, CURLOPT_XFERINFOFUNCTION, on_silence);
    (void)curl_easy_setopt(a->curl, CURLOPT_XFERINFODATA, &s);
    a->n = 0;
    a->text[0] = '\0';
    rc = curl_easy_perform(a->curl);
    if (s.enough) {
        return ASK_ENOUGH;
    }
    (void)curl_easy_getinfo(a->curl, CURLINFO_RESPONSE_CODE, &answer.status);
    if (is_html(a, answer.status)) {
        (void)stranger(a, answer.status, e);
    } else if (answer.status >= 400) {
        answer.text = a->text;
        answer.n = a->n;
        (void)ask_refused(&answer, e);
        return ASK_REFUSED;
    } else if (rc == CURLE_ABORTED_BY_CALLBACK) {
        (void)err_set(e, "the server at %s gave no sign of life for %d s", a->where,
                      SILENT_S);
    } else if (answer.status == 200) {
        (void)err_set(e, "the server at %s ended the stream%s%s", a->where,
                      rc == CURLE_OK ? "" : ": ",
                      rc == CURLE_OK ? "" : curl_easy_strerror(rc));
    } else if (rc == CURLE_OK) {
        (void)ask_stranger(a, e);
    } else {
        (void)no_answer(a, rc, SILENT_S * 1000L, e);
    }
    return ASK_ENDED;
}
