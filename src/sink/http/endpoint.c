/*
 * One url of a sink over HTTP: its breaker, and the questions before its first upload.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "sink/http/internal.h"
#include "sink/http/upload.h"

enum {
    ASK_MS = 5000,
    ASK_AGAIN_MS = 1000 /* of a table that did not fit */
};

void endpoint_show(struct endpoint *p)
{
    meter_show(&p->meter, &p->breaker, http_sink_now_ms(p->sink));
}

static void on_asked(void *arg, const struct transfer_answer *a)
{
    struct endpoint *p = arg;
    bool ok = p->sink->protocol->learn(p, a);
    struct str words = ok ? (struct str){"", 0} : answer_words(a);

    p->asking = NULL;
    (void)snprintf(p->failed, sizeof p->failed, "%.*s", (int)words.n, words.p);
    if (ok) {
        p->unsure = false;
    }
    /* One comes before each insert that is sent again, and to the first of a breaker that
     * is half open: half of all would pass. */
    if (ok) {
        breaker_forget(&p->breaker, p->asked);
    } else {
        endpoint_done(p, p->asked, ok, a->ns);
    }
    upload_asked(p->sink, ok, a);
}

static void ask(struct endpoint *p)
{
    struct transfer_request r = http_sink_request(p->sink);
    size_t room = p->sink->protocol->room(p, p->sink->destination);
    char *url = mem_alloc(room);

    p->asked_ms = http_sink_now_ms(p->sink);
    p->sink->protocol->question(p, url, room);
    r.url = url;
    r.timeout_ms = ASK_MS;
    r.done = on_asked;
    r.arg = p;
    p->asking = transfers_send(p->sink->transfers, &r);
    free(url);
}

void endpoint_ask(struct endpoint *p)
{
    if (p->sink->protocol->question != NULL && p->asking == NULL &&
        breaker_allow(&p->breaker, http_sink_now_ms(p->sink), &p->asked)) {
        ask(p);
    }
}

/* Nothing may be sent before it has answered again. */
static bool to_be_asked(const struct endpoint *p, int64_t now)
{
    if (p->sink->protocol->question == NULL) {
        return false;
    }
    return p->version == 0 || p->unsure || p->asking != NULL ||
           (p->misfit[0] != '\0' && now - p->asked_ms >= ASK_AGAIN_MS);
}

uint64_t endpoint_bit(const struct endpoint *p)
{
    const struct sink *s = p->sink;

    for (uint32_t k = 0; k < s->n_endpoints; k++) {
        if (s->endpoints[k] == p) {
            return 1ull << k;
        }
    }
    return 0;
}

bool endpoint_all(const struct sink *s, uint64_t some)
{
    return some == (1ull << s->n_endpoints) - 1;
}

bool endpoint_is_ready(const struct sink *s, uint64_t except)
{
    int64_t now = http_sink_now_ms(s);

    for (uint32_t k = 0; k < s->n_endpoints; k++) {
        struct endpoint *p = s->endpoints[k];

        if ((except >> k & 1) == 0 && p->after_ms <= now && p->misfit[0] == '\0' &&
            p->failed[0] == '\0' && breaker_may(&p->breaker, now)) {
            return true;
        }
    }
    return false;
}

struct endpoint *endpoint_take(struct sink *s, uint64_t except, uint64_t *generation,
                               int64_t *wait_ms)
{
    int64_t now = http_sink_now_ms(s), least = INT64_MAX;

    for (uint32_t i = 0; i < s->n_endpoints; i++) {
        uint32_t k = (s->turn + i) % s->n_endpoints;
        struct endpoint *p = s->endpoints[k];
        int64_t wait = breaker_wait_ms(&p->breaker, now);

        if ((except >> k & 1) != 0) {
            continue;
        }
        if (p->after_ms <= now && to_be_asked(p, now)) {
            endpoint_ask(p);
            wait = p->asking != NULL ? -1 : wait;
        } else if (p->after_ms > now) {
            wait = p->after_ms - now;
        } else if (p->misfit[0] != '\0') {
            wait = p->asked_ms + ASK_AGAIN_MS - now;
        } else if (breaker_allow(&p->breaker, now, generation)) {
            s->turn = (k + 1) % s->n_endpoints;
            endpoint_show(p);
            return p;
        }
        endpoint_show(p);
        least = wait < least ? wait : least;
    }
    *wait_ms = least == INT64_MAX ? 0 : least;
    return NULL;
}

void endpoint_wait(struct endpoint *p, int64_t ms)
{
    int64_t until = http_sink_now_ms(p->sink) + ms;

    p->after_ms = until > p->after_ms ? until : p->after_ms;
}

void endpoint_done(struct endpoint *p, uint64_t generation, bool ok, uint64_t ns)
{
    int64_t now = http_sink_now_ms(p->sink);
    bool slow = ns / 1000000u > (uint64_t)p->sink->plan->breaker.slow_ms;

    breaker_done(&p->breaker, now, generation, ok, slow);
    meter_count(&p->meter, ok);
    endpoint_show(p);
}

static size_t without_slash(const char *url)
{
    size_t n = strlen(url);

    while (n > 0 && url[n - 1] == '/') {
        n--;
    }
    return n;
}

bool endpoint_is(const struct endpoint *p, const char *url)
{
    size_t n = without_slash(url);

    return strlen(p->url) == n && memcmp(p->url, url, n) == 0;
}

/* What is under way there asks for another table than the next question. */
void endpoint_ask_no_more(struct endpoint *p)
{
    if (p->asking != NULL) {
        transfers_cancel(p->sink->transfers, p->asking);
        p->asking = NULL;
        breaker_forget(&p->breaker, p->asked);
    }
    if (p->table.asking != NULL) {
        transfers_cancel(p->sink->transfers, p->table.asking);
        p->table.asking = NULL;
    }
}

/* Without user, password and query, which may have secrets. */
static void show_url(const char *url, char *out, size_t max)
{
    const char *host = strstr(url, "://");
    size_t n, at;

    host = host == NULL ? url : host + 3;
    at = (size_t)snprintf(out, max, "%.*s", (int)(host - url), url);
    n = strcspn(host, "/?#");
    for (size_t i = 0; i < n; i++) {
        if (host[i] == '@') {
            host += i + 1;
            n -= i + 1;
            i = (size_t)-1;
        }
    }
    n += strcspn(host + n, "?#");
    (void)snprintf(out + at, max - at, "%.*s", (int)n, host);
}

struct endpoint *endpoint_new(struct sink *s, const char *url)
{
    struct endpoint *p = mem_zalloc(sizeof *p);

    p->sink = s;
    p->url = mem_strndup(url, without_slash(url));
    show_url(p->url, p->shown, sizeof p->shown);
    breaker_init(&p->breaker, &s->plan->breaker,
                 s->plan->breaker.has_trip ? s->conf.hooks->trip : NULL,
                 s->conf.hooks->arg, http_sink_now_ms(s));
    meter_init(&p->meter, s->conf.plan->name, p->shown);
    if (s->conf.shut != NULL && atomic_load(s->conf.shut)) { /* it is not even asked */
        breaker_force(&p->breaker, http_sink_now_ms(s), true);
    }
    return p;
}

void endpoint_renew(struct endpoint *p)
{
    const struct sink *s = p->sink;

    replica_forget(p); /* the table may be another */
    endpoint_ask_no_more(p);
    p->brief = false;
    p->unsure = true;
    p->after_ms = 0;
    p->breaker.plan = &s->plan->breaker;
    p->breaker.arg = s->conf.hooks->arg;
    p->breaker.trip = s->plan->breaker.has_trip ? s->conf.hooks->trip : NULL;
}

void endpoint_free(struct endpoint *p)
{
    meter_end(&p->meter);
    free(p->url);
    free(p);
}
