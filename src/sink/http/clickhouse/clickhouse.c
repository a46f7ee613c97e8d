/*
 * ClickHouse's protocol: batches as INSERT statements. A server's version is asked for
 * first, because an old one refuses settings that it does not know.
 */
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "base/log.h"
#include "base/mem.h"
#include "sink/http/clickhouse/table.h"
#include "sink/http/internal.h"

enum {
    /* Versions as year or major × 1000 + minor. */
    KNOWS_ASYNC = 21011,
    KNOWS_TOKEN = 22002,
    KNOWS_ZSTD = 21001,
    KNOWS_PARALLEL_PARSING = 20001,
    KNOWS_OBJECTS = 24001,
    SQL_MAX = 8 * 512 + 400, /* of a question */
    SETTINGS_MAX = 2600      /* of ours in a URL, with the ids */
};

static const struct clickhouse_plan *plan_of(const struct endpoint *p)
{
    return &p->sink->conf.plan->clickhouse;
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

static const char query_head[] = "/?query=";

size_t clickhouse_query_room(const struct endpoint *p, const char *sql)
{
    return strlen(p->url) + sizeof query_head + 3 * strlen(sql) + 8;
}

void clickhouse_query(const struct endpoint *p, const char *sql, char *out, size_t max)
{
    int n = snprintf(out, max, "%s%s", p->url, query_head);

    (void)put(out, (size_t)n, max, sql);
}

static void question(const struct endpoint *p, char *url, size_t max)
{
    char sql[SQL_MAX] = "";

    if (!p->brief) {
        table_query(plan_of(p), sql, sizeof sql);
    }
    clickhouse_query(p, sql[0] != '\0' ? sql : "SELECT concat('version ', version())",
                     url, max);
}

/* A misfit of its table is logged once; the sink waits as long as it lasts. */
static void check_table(struct endpoint *p, struct str answer)
{
    char why[sizeof p->misfit], quoted[sizeof p->misfit * 2];

    (void)table_fits(answer, plan_of(p), p->version, why, sizeof why);
    if (strcmp(why, p->misfit) != 0) {
        log_write(why[0] != '\0' ? LOG_ERROR : LOG_INFO, "sink",
                  "sink=%s endpoint=%s status=%s%s%s", p->sink->conf.plan->name,
                  p->shown, why[0] != '\0' ? "refused" : "fits",
                  why[0] != '\0' ? " why=" : "",
                  why[0] != '\0' ? log_quote(quoted, sizeof quoted, why) : "");
    }
    memcpy(p->misfit, why, sizeof why);
}

/* An INSERT is answered with nothing, by new servers with a summary: a page of words is
 * a proxy's, which took the batch nowhere. */
static struct data_error classify(const struct endpoint *p,
                                  const struct transfer_answer *a, bool again)
{
    struct data_error r = data_error_of(a->status, a->sent, a->exception, a->body);

    (void)p;
    (void)again;
    if (r.kind == SINK_OK && (!a->sent || (a->body.n > 0 && !a->summary))) {
        r.kind = SINK_MAYBE;
    }
    return r;
}

/* It answers, but not to this: the version alone may be told. */
static bool knows_no_columns(int code)
{
    static const int codes[] = {46,   /* UNKNOWN_FUNCTION */
                                47,   /* UNKNOWN_IDENTIFIER */
                                60,   /* UNKNOWN_TABLE */
                                62,   /* SYNTAX_ERROR */
                                386,  /* NO_COMMON_TYPE */
                                497}; /* ACCESS_DENIED */

    for (size_t i = 0; i < N_ELEMS(codes); i++) {
        if (code == codes[i]) {
            return true;
        }
    }
    return false;
}

/* Rows are made for the table as it is. */
static void make_destination(struct endpoint *p, struct str answer)
{
    struct sink *s = p->sink;
    const struct clickhouse_plan *c = plan_of(p);
    struct form *forms;
    struct destination *t;
    struct err e;

    if (p->brief || c->n_columns == 0) {
        return;
    }
    forms = mem_alloc(c->n_columns * sizeof *forms);
    table_forms(answer, c, forms);
    t = destination_new(c, forms, &e);
    if (t != NULL) {
        destination_unref(s->destination);
        s->destination = t;
    }
    free(forms);
}

static bool learn(struct endpoint *p, const struct transfer_answer *a)
{
    static const char head[] = "version ";
    unsigned major = 0, minor = 0;
    const char *at = memmem(a->body.p, a->body.n, head, sizeof head - 1);
    char text[64] = "";

    if (at != NULL) {
        (void)snprintf(text, sizeof text, "%.*s", (int)(a->body.p + a->body.n - at),
                       at);
    }
    if (a->status != 200 || sscanf(text, "version %u.%u", &major, &minor) != 2) {
        p->brief |= knows_no_columns(
            data_error_of(a->status, a->sent, a->exception, a->body).code);
        return false;
    }
    if (p->version != major * 1000 + minor) {
        log_write(LOG_INFO, "sink", "sink=%s endpoint=%s version=%u.%u",
                  p->sink->conf.plan->name, p->shown, major, minor);
    }
    p->version = major * 1000 + minor;
    check_table(p, a->body);
    make_destination(p, a->body);
    replica_forget(p);
    return true;
}

static enum coding coding(const struct endpoint *p)
{
    const struct clickhouse_plan *c = plan_of(p);

    if (c->gzip) {
        return CODING_GZIP;
    }
    return c->zstd || p->version >= KNOWS_ZSTD ? CODING_ZSTD : CODING_NATIVE;
}

static const char upload_head[] = "INSERT INTO ", upload_tail[] = " FORMAT JSONEachRow";

/* Each byte may take three. */
static size_t room(const struct endpoint *p, const struct destination *to)
{
    const struct clickhouse_plan *c = plan_of(p);
    size_t n = sizeof upload_head + sizeof upload_tail + strlen(to->table) + 2;

    n += to->columns == NULL ? 0 : strlen(columns_names(to->columns));
    for (uint32_t i = 0; i < c->n_settings; i++) {
        n += strlen(c->settings[i].name) + strlen(c->settings[i].value) + 2;
    }
    n = n > SQL_MAX ? n : SQL_MAX;
    return strlen(p->url) + sizeof query_head + 3 * n + SETTINGS_MAX;
}

static void address(const struct endpoint *p, const struct destination *to,
                    const char *token, unsigned attempt, char *url, size_t max,
                    struct transfer_request *r)
{
    const struct sink *s = p->sink;
    const struct clickhouse_plan *c = plan_of(p);
    char id[340];
    size_t at;

    (void)r;
    (void)snprintf(id, sizeof id, "%s/%u.%lu", token, attempt,
                   (unsigned long)s->hedging.n_attempts);
    at = (size_t)snprintf(url, max, "%s%s", p->url, query_head);
    at = put(url, at, max, upload_head);
    at = put(url, at, max, to->table);
    at = put(url, at, max, to->columns == NULL ? "" : " ");
    at = put(url, at, max, to->columns == NULL ? "" : columns_names(to->columns));
    at = put(url, at, max, upload_tail);
    at = put_setting(url, at, max, "query_id", id);
    at = put_setting(url, at, max, "input_format_skip_unknown_fields", "1");
    at = put_setting(url, at, max, "date_time_input_format", "best_effort");
    at = put_setting(url, at, max, "wait_end_of_query", "1");
    if (coding(p) == CODING_NATIVE) {
        /* zstd's own checksum stands in for the framing's. */
        at = put_setting(url, at, max, "decompress", "1");
        at = put_setting(url, at, max,
                         "http_native_compression_disable_checksumming_on_decompress",
                         "1");
    }
    if (p->version >= KNOWS_PARALLEL_PARSING) {
        at = put_setting(url, at, max, "input_format_parallel_parsing", "0");
    }
    if (p->version >= KNOWS_OBJECTS) {
        at =
            put_setting(url, at, max, "input_format_json_read_objects_as_strings", "1");
        at = put_setting(url, at, max, "input_format_json_read_arrays_as_strings", "1");
    }
    if (p->version >= KNOWS_ASYNC) {
        at = put_setting(url, at, max, "async_insert", "0");
    }
    if (p->version >= KNOWS_TOKEN) {
        at = put_setting(url, at, max, "insert_deduplication_token", token);
    }
    for (uint32_t i = 0; i < c->n_settings; i++) {
        at = put_setting(url, at, max, c->settings[i].name, c->settings[i].value);
    }
}

const struct protocol protocol_clickhouse = {.question = question,
                                             .learn = learn,
                                             .room = room,
                                             .coding = coding,
                                             .address = address,
                                             .classify = classify};
