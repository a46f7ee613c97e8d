#include "sink/http/transfer.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

#define CA_CACHE_S 5L /* a file of authorities that was renewed is read then */

static size_t on_body(char *p, size_t size, size_t n, void *arg)
{
    struct transfer *x = arg;
    size_t room = TRANSFER_ANSWER_MAX - x->n_answer;
    size_t some = size * n < room ? size * n : room;

    x->n_read += size * n;
    if (x->n_read > TRANSFER_READ_MAX) {
        x->too_long = true;
        return 0;
    }
    x->answer = mem_realloc(x->answer, x->n_answer + some + 1);
    memcpy(x->answer + x->n_answer, p, some);
    x->n_answer += some;
    return size * n;
}

static bool is(const char *p, size_t n, const char *name)
{
    size_t k = strlen(name);

    return n > k && strncasecmp(p, name, k) == 0;
}

static size_t on_header(char *p, size_t size, size_t n, void *arg)
{
    static const char exception[] = "X-ClickHouse-Exception-Code:";
    struct transfer *x = arg;
    char digits[16];

    n *= size;
    if (is(p, n, exception)) {
        (void)snprintf(digits, sizeof digits, "%.*s", (int)(n - sizeof exception + 1),
                       p + sizeof exception - 1);
        x->exception = atoi(digits);
    }
    x->summary |= is(p, n, "X-ClickHouse-Summary:");
    return n;
}

static bool is_sent(const struct transfer *x)
{
    return x->r.body.p == NULL || x->n_sent >= x->r.body.n;
}

/* Counts the bytes of the body that went out: curl's own sums mix them with the
 * headers. Curl itself sends a request again when a kept connection ends before an
 * answer, and does not say so. */
static int on_debug(CURL *easy, curl_infotype type, char *p, size_t n, void *arg)
{
    struct transfer *x = arg;

    (void)easy;
    (void)p;
    if (type == CURLINFO_HEADER_OUT) {
        x->twice |= x->r.body.p != NULL && is_sent(x);
        x->n_sent = 0; /* a connection was gone: it begins again */
    } else if (type == CURLINFO_DATA_OUT) {
        x->n_sent += n;
    }
    return 0;
}

/* ---- the request ---- */

static void add_header(struct transfer *x, const char *name, const char *value)
{
    /* The room for the longest line; an Authorization may have a token of kilobytes. */
    size_t room = strlen(name) + strlen(value) + 3;
    char *line = mem_alloc(room);

    (void)snprintf(line, room, "%s: %s", name, value);
    x->headers = curl_slist_append(x->headers, line);
    free(line);
}

static void set_body(struct transfer *x, const struct transfer_request *r)
{
    if (r->encoding != NULL) {
        add_header(x, "Content-Encoding", r->encoding);
    }
    add_header(x, "Content-Type", r->type != NULL ? r->type : "application/x-ndjson");
    (void)curl_easy_setopt(x->easy, CURLOPT_POST, 1L);
    (void)curl_easy_setopt(x->easy, CURLOPT_POSTFIELDS, r->body.p);
    (void)curl_easy_setopt(x->easy, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)r->body.n);
    if (r->method != NULL) {
        (void)curl_easy_setopt(x->easy, CURLOPT_CUSTOMREQUEST, r->method);
    }
}

static void set_headers(struct transfer *x, const struct transfer_request *r)
{
    x->headers = curl_slist_append(NULL, "Expect:");
    if (r->body.p != NULL) {
        set_body(x, r);
    }
    for (uint32_t i = 0; i < r->n_headers; i++) {
        add_header(x, r->headers[i].name, r->headers[i].value);
    }
    if (r->id.name != NULL) {
        add_header(x, r->id.name, r->id.value);
    }
    (void)curl_easy_setopt(x->easy, CURLOPT_HTTPHEADER, x->headers);
}

static void set_tls(struct transfer *x, const struct transfer_request *r)
{
    (void)curl_easy_setopt(x->easy, CURLOPT_SSL_VERIFYHOST, r->verify ? 2L : 0L);
    (void)curl_easy_setopt(x->easy, CURLOPT_SSL_VERIFYPEER, r->verify ? 1L : 0L);
    if (r->ca != NULL) {
        (void)curl_easy_setopt(x->easy, CURLOPT_CAINFO, r->ca);
    }
    if (r->cert != NULL) {
        (void)curl_easy_setopt(x->easy, CURLOPT_SSLCERT, r->cert);
        (void)curl_easy_setopt(x->easy, CURLOPT_SSLKEY,
                               r->key != NULL ? r->key : r->cert);
    }
}

void transfer_set_up(struct transfer *x, const struct pool_plan *pool, long lifetime_s)
{
    const struct transfer_request *r = &x->r;

    curl_easy_reset(x->easy);
    (void)curl_easy_setopt(x->easy, CURLOPT_URL, r->url);
    (void)curl_easy_setopt(x->easy, CURLOPT_PRIVATE, x);
    (void)curl_easy_setopt(x->easy, CURLOPT_NOSIGNAL, 1L);
    (void)curl_easy_setopt(x->easy, CURLOPT_ERRORBUFFER, x->error);
    (void)curl_easy_setopt(x->easy, CURLOPT_WRITEFUNCTION, on_body);
    (void)curl_easy_setopt(x->easy, CURLOPT_WRITEDATA, x);
    (void)curl_easy_setopt(x->easy, CURLOPT_HEADERFUNCTION, on_header);
    (void)curl_easy_setopt(x->easy, CURLOPT_HEADERDATA, x);
    (void)curl_easy_setopt(x->easy, CURLOPT_TIMEOUT_MS, (long)r->timeout_ms);
    (void)curl_easy_setopt(x->easy, CURLOPT_TCP_KEEPALIVE, 1L);
    (void)curl_easy_setopt(x->easy, CURLOPT_MAXLIFETIME_CONN, lifetime_s);
    (void)curl_easy_setopt(x->easy, CURLOPT_MAXAGE_CONN,
                           (long)(pool->max_idle_time_ms / 1000));
    (void)curl_easy_setopt(x->easy, CURLOPT_DEBUGFUNCTION, on_debug);
    (void)curl_easy_setopt(x->easy, CURLOPT_DEBUGDATA, x);
    (void)curl_easy_setopt(x->easy, CURLOPT_VERBOSE, 1L);
    /* A name that is not resolved yet holds up neither an end nor a timeout. */
#if LIBCURL_VERSION_NUM >= 0x075700
    (void)curl_easy_setopt(x->easy, CURLOPT_QUICK_EXIT, 1L);
    (void)curl_easy_setopt(x->easy, CURLOPT_CA_CACHE_TIMEOUT, CA_CACHE_S);
#endif
    /* Empty: proxies of the environment are ignored, too. */
    (void)curl_easy_setopt(x->easy, CURLOPT_PROXY, r->proxy == NULL ? "" : r->proxy);
    set_tls(x, r);
    set_headers(x, r);
}

/* ---- the answer ---- */

/* A server that is silent is mended elsewhere than one that does not end its answer. */
static const char *why_none(struct transfer *x, CURLcode rc, long status)
{
    const char *words = x->error[0] != '\0' ? x->error
                        : rc == CURLE_OUT_OF_MEMORY
                            ? "a line of its headers is too long"
                            : curl_easy_strerror(rc);

    if (status == 0) {
        return words;
    }
    (void)snprintf(x->why, sizeof x->why, "status %ld, but the answer has no end: %s",
                   status, words);
    return x->why;
}

struct transfer_answer transfer_answer_of(struct transfer *x, CURLcode rc)
{
    struct transfer_answer a = {.body = {x->answer, x->n_answer},
                                .exception = x->exception,
                                .summary = x->summary};
    curl_off_t after_s = 0;
    long status = 0;

    (void)curl_easy_getinfo(x->easy, CURLINFO_RESPONSE_CODE, &status);
    (void)curl_easy_getinfo(x->easy, CURLINFO_RETRY_AFTER, &after_s);
    a.sent = is_sent(x);
    a.twice = x->twice;
    /* A status that came is one, however much follows it. */
    a.status = rc == CURLE_OK || x->too_long ? (int)status : 0;
    a.after_ms = after_s < AFTER_MAX_S ? (int64_t)after_s * 1000 : AFTER_MAX_S * 1000;
    a.why = a.status != 0 ? "" : why_none(x, rc, status);
    return a;
}

void transfer_clear(struct transfer *x)
{
    curl_slist_free_all(x->headers);
    x->headers = NULL;
    free(x->answer);
    x->answer = NULL;
}
