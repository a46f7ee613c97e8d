/*
 * One url of a ClickHouse sink: its breaker, its version, the requests it is sent.
 */
#include <ctype.h>
#include <stdio.h>
#include <string.h>

#include "base/log.h"
#include "sink/clickhouse.h"
#include "sink/insert.h"

enum {
    ASK_MS = 5000,
    /* Versions as year or major × 1000 + minor. */
    KNOWS_ASYNC = 21011,
    KNOWS_TOKEN = 22002,
    KNOWS_ZSTD = 21001,
    KNOWS_PARALLEL_PARSING = 20001
};

void endpoint_show(struct endpoint *p)
{
    meter_show(&p->meter, &p->breaker, ch_now_ms(p->sink));
}

static void on_version(void *arg, const struct transfer_answer *a)
{
    struct endpoint *p = arg;
    unsigned major = 0, minor = 0;
    char text[64];
    bool ok;

    (void)snprintf(text, sizeof text, "%.*s", (int)a->body.n, a->body.p);
    ok = a->status == 200 && sscanf(text, "%u.%u", &major, &minor) == 2;
    p->asking = NULL;
    endpoint_done(p, p->asked, ok, a->ns);
    if (ok && p->version != major * 1000 + minor) {
        log_write(LOG_INFO, "sink", "sink=%s endpoint=%s version=%u.%u",
                  p->sink->conf.plan->name, p->url, major, minor);
    }
    if (ok) {
        p->version = major * 1000 + minor;
        p->unsure = false;
        replica_forget(p);
    }
    insert_asked(p->sink, ok, a);
}

static void ask_version(struct endpoint *p)
{
    struct sink *s = p->sink;

    p->asking = transfers_send(
        s->transfers, &(struct transfer_request){.url = p->version_url,
                                                 .user = s->plan->user,
                                                 .password = s->plan->password,
                                                 .timeout_ms = ASK_MS,
                                                 .ca = s->plan->ca,
                                                 .verify = s->plan->verify,
                                                 .done = on_version,
                                                 .arg = p});
}

struct endpoint *endpoint_take(struct sink *s, const struct endpoint *not,
                               uint64_t *generation, int64_t *wait_ms)
{
    int64_t now = ch_now_ms(s), least = INT64_MAX;

    for (uint32_t i = 0; i < s->n_endpoints; i++) {
        struct endpoint *p = &s->endpoints[(s->turn + i) % s->n_endpoints];
        int64_t wait = breaker_wait_ms(&p->breaker, now);

        if (p == not) {
            continue;
        }
        if (p->version == 0 || p->unsure) {
            if (p->asking == NULL && breaker_allow(&p->breaker, now, &p->asked)) {
                ask_version(p);
            }
            wait = p->asking != NULL ? -1 : wait;
        } else if (breaker_allow(&p->breaker, now, generation)) {
            s->turn = (s->turn + i + 1) % s->n_endpoints;
            endpoint_show(p);
            return p;
        }
        endpoint_show(p);
        least = wait < least ? wait : least;
    }
    *wait_ms = least == INT64_MAX ? 0 : least;
    return NULL;
}

void endpoint_done(struct endpoint *p, uint64_t generation, bool ok,
                   uint64_t ns)
{
    int64_t now = ch_now_ms(p->sink);
    bool slow = ns / 1000000u > (uint64_t)p->sink->plan->breaker.slow_ms;

    breaker_done(&p->breaker, now, generation, ok, slow);
    meter_count(&p->meter, ok);
    endpoint_show(p);
}

enum coding endpoint_coding(const struct endpoint *p)
{
    const struct clickhouse_plan *plan = p->sink->plan;

    if (plan->gzip) {
        return CODING_GZIP;
    }
    return plan->zstd || p->version >= KNOWS_ZSTD ? CODING_ZSTD : CODING_NATIVE;
}

/* Percent-encodes all but the unreserved characters (RFC 3986). */
static size_t put(char *out, size_t at, size_t max, const char *z)
{
    static const char hex[] = "0123456789ABCDEF";

    for (; *z != '\0' && at + 4 < max; z++) {
        unsigned char c = (unsigned char)*z;

        if (isalnum(c) || strchr("-._~", c) != NULL) {
            out[at++] = (char)c;
        } else {
            out[at++] = '%';
            out[at++] = hex[c >> 4];
            out[at++] = hex[c & 15];
        }
    }
    out[at] = '\0';
    return at;
}

static size_t put_setting(char *out, size_t at, size_t max, const char *name,
                          const char *value)
{
    if (at + 2 < max) {
        out[at++] = '&';
    }
    at = put(out, at, max, name);
    if (at + 2 < max) {
        out[at++] = '=';
    }
    return put(out, at, max, value);
}

/* What these rows are, whoever sends them and however often: of their first
 * event's place, which no other event ever has. */
static void token_of(const struct sink *s, const struct batch *b, uint32_t first,
                     uint32_t n, uint32_t n_refused, char *out, size_t bytes)
{
    struct batch_range r[BATCH_RANGES_MAX];

    (void)batch_part(b, first, n, r);
    (void)snprintf(out, bytes, "%s:%s:%u.%u.%lu+%u-%u", s->conf.spool_uuid,
                   s->conf.plan->name, r[0].epoch, r[0].worker,
                   (unsigned long)r[0].first, n, n_refused);
}

void endpoint_query(const struct endpoint *p, const char *sql, char *out,
                    size_t max)
{
    static const char query[] = "/?query=";
    size_t n = strlen(p->url);

    memcpy(out, p->url, n);
    memcpy(out + n, query, sizeof query);
    (void)put(out, n + sizeof query - 1, max, sql);
}

void endpoint_url(const struct endpoint *p, const struct batch *b,
                  uint32_t first, uint32_t n, uint32_t n_refused, unsigned attempt,
                  char *out, size_t max)
{
    const struct sink *s = p->sink;
    char token[300], id[340], query[800];
    size_t at;

    token_of(s, b, first, n, n_refused, token, sizeof token);
    (void)snprintf(id, sizeof id, "%s/%u.%lu", token, attempt,
                   (unsigned long)s->hedging.n_tries);
    (void)snprintf(query, sizeof query, "INSERT INTO %s %s FORMAT JSONEachRow",
                   s->plan->table,
                   s->columns == NULL ? "" : columns_names(s->columns));
    at = (size_t)snprintf(out, max, "%s/?query=", p->url);
    at = put(out, at, max, query);
    at = put_setting(out, at, max, "query_id", id);
    at = put_setting(out, at, max, "input_format_skip_unknown_fields", "1");
    at = put_setting(out, at, max, "date_time_input_format", "best_effort");
    at = put_setting(out, at, max, "wait_end_of_query", "1");
    if (endpoint_coding(p) == CODING_NATIVE) {
        /* zstd's own checksum stands in for the framing's. */
        at = put_setting(out, at, max, "decompress", "1");
        at = put_setting(
            out, at, max,
            "http_native_compression_disable_checksumming_on_decompress", "1");
    }
    if (p->version >= KNOWS_PARALLEL_PARSING) {
        at = put_setting(out, at, max, "input_format_parallel_parsing", "0");
    }
    if (p->version >= KNOWS_ASYNC) {
        at = put_setting(out, at, max, "async_insert", "0");
    }
    if (p->version >= KNOWS_TOKEN) {
        at = put_setting(out, at, max, "insert_deduplication_token", token);
    }
    for (uint32_t i = 0; i < s->plan->n_settings; i++) {
        at = put_setting(out, at, max, s->plan->settings[i].name,
                         s->plan->settings[i].value);
    }
}

void endpoint_init(struct sink *s, const char *url)
{
    struct endpoint *p = &s->endpoints[s->n_endpoints++];
    size_t n = strlen(url);

    *p = (struct endpoint){.sink = s};
    while (n > 0 && url[n - 1] == '/') {
        n--;
    }
    (void)snprintf(p->url, sizeof p->url, "%.*s", (int)n, url);
    endpoint_query(p, "SELECT version()", p->version_url, sizeof p->version_url);
    breaker_init(&p->breaker, &s->plan->breaker,
                 s->plan->breaker.has_trip ? s->conf.hooks->trip : NULL,
                 s->conf.hooks->arg, ch_now_ms(s));
    meter_init(&p->meter, s->conf.plan->name, p->url);
}
