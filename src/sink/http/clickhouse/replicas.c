#include "sink/http/clickhouse/replicas.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/mem.h"
#include "sink/http/clickhouse/names.h"
#include "sink/http/internal.h"

enum {
    SQL_MAX = 8 * NAME_BYTES + 400,
    ASK_MS = 5000,
    ASK_AGAIN_MS = 60000 /* a table can be replaced by one of another kind */
};

/* ---- the tables ---- */

static bool begins(struct str line, const char *with)
{
    size_t n = strlen(with);

    return line.n >= n && memcmp(line.p, with, n) == 0;
}

static bool has(struct str line, const char *what)
{
    return memmem(line.p, line.n, what, strlen(what)) != NULL;
}

static void read_line(struct replica *t, struct str line)
{
    if (begins(line, "path ")) {
        (void)snprintf(t->path, sizeof t->path, "%.*s", (int)(line.n - 5), line.p + 5);
        return;
    }
    if (!begins(line, "engine ")) {
        return;
    }
    line.p += 7;
    line.n -= 7;
    for (size_t i = 0;
         i < line.n && line.p[i] != '(' && line.p[i] != ' ' && i + 1 < sizeof t->engine;
         i++) {
        t->engine[i] = line.p[i];
        t->engine[i + 1] = '\0';
    }
    t->tells = (begins(line, "Replicated") || begins(line, "Shared")) &&
               !has(line, "replicated_deduplication_window = 0");
    /* Those of the cloud are in no list of replicas, but carry their path. */
    if (begins(line, "Shared")) {
        (void)snprintf(t->path, sizeof t->path, "%.*s", (int)line.n, line.p);
    }
}

void replica_read(struct replica *t, struct str answer)
{
    t->known = true;
    t->tells = false;
    t->path[0] = t->engine[0] = '\0';
    while (answer.n > 0) {
        const char *end = memchr(answer.p, '\n', answer.n);
        size_t n = end == NULL ? answer.n : (size_t)(end - answer.p);

        read_line(t, (struct str){answer.p, n});
        n += end != NULL;
        answer.p += n;
        answer.n -= n;
    }
    t->tells = t->tells && t->path[0] != '\0';
}

static void on_table(void *arg, const struct transfer_answer *a)
{
    struct endpoint *p = arg;

    p->table.asking = NULL;
    if (a->status == 200 && a->exception == 0) {
        replica_read(&p->table, a->body);
    } else {
        p->table.known = false;
    }
}

static void ask(struct endpoint *p)
{
    const struct clickhouse_plan *plan = &p->sink->conf.plan->clickhouse;
    struct transfer_request r = http_sink_request(p->sink);
    char raw[NAME_BYTES], raw_name[NAME_BYTES], sql[SQL_MAX], *url;
    char base[2 * NAME_BYTES + 4] = "currentDatabase()", name[2 * NAME_BYTES + 4];

    if (!names_split(plan->table, raw, raw_name)) {
        return; /* an expression is no replica's */
    }
    if (raw[0] != '\0') {
        (void)names_literal(str_of(raw), base);
    }
    (void)names_literal(str_of(raw_name), name);
    (void)snprintf(sql, sizeof sql,
                   "SELECT concat('engine ', engine_full) FROM system.tables "
                   "WHERE database = %s AND name = %s UNION ALL "
                   "SELECT concat('path ', zookeeper_path) FROM system.replicas "
                   "WHERE database = %s AND table = %s FORMAT TSVRaw",
                   base, name, base, name);
    url = mem_alloc(clickhouse_query_room(p, sql));
    clickhouse_query(p, sql, url, clickhouse_query_room(p, sql));
    p->table.asked_ms = http_sink_now_ms(p->sink);
    r.url = url;
    r.timeout_ms = ASK_MS;
    r.done = on_table;
    r.arg = p;
    p->table.asking = transfers_send(p->sink->transfers, &r);
    free(url);
}

void replica_forget(struct endpoint *p)
{
    p->table.known = false;
    p->table.asked_ms = 0;
}

static void ask_those_due(struct sink *s)
{
    for (uint32_t i = 0; i < s->n_endpoints; i++) {
        struct endpoint *p = s->endpoints[i];
        int64_t every = p->table.known ? ASK_AGAIN_MS : ASK_MS;
        bool due =
            p->table.asked_ms == 0 || http_sink_now_ms(s) - p->table.asked_ms > every;

        if (due && p->table.asking == NULL && p->version != 0 && !p->unsure &&
            !p->breaker.forced) {
            ask(p);
        }
    }
}

/* ---- why not ---- */

static bool setting_is_off(const struct clickhouse_plan *plan)
{
    for (uint32_t i = 0; i < plan->n_settings; i++) {
        if (strcmp(plan->settings[i].name, "insert_deduplicate") == 0 &&
            strcmp(plan->settings[i].value, "0") == 0) {
            return true;
        }
    }
    return false;
}

/* False: an endpoint has yet to answer, and nothing is sure. */
static bool why_not(const struct sink *s, char *out, size_t max)
{
    const struct clickhouse_plan *plan = &s->conf.plan->clickhouse;
    const struct endpoint *first = s->endpoints[0];

    out[0] = '\0';
    if (s->n_endpoints < 2) {
        (void)snprintf(out, max, "there is one url only");
        return true;
    }
    if (s->plan->hedge.may_duplicate) {
        return true;
    }
    if (setting_is_off(plan)) {
        (void)snprintf(out, max, "settings say insert_deduplicate = 0");
        return true;
    }
    for (uint32_t i = 0; i < s->n_endpoints; i++) {
        const struct endpoint *p = s->endpoints[i];
        const struct replica *t = &p->table;

        if (!t->known) {
            (void)snprintf(out, max, "%s has not said yet what %s is", p->shown,
                           plan->table);
            return false;
        } else if (t->engine[0] == '\0') {
            (void)snprintf(out, max, "%s has no table %s", p->shown, plan->table);
        } else if (!t->tells) {
            (void)snprintf(out, max,
                           "%s of %s is a %s, which takes a copy for "
                           "new rows; may_duplicate = true hedges all "
                           "the same",
                           plan->table, p->shown, t->engine);
        } else if (strcmp(t->path, first->table.path) != 0) {
            (void)snprintf(out, max,
                           "%s and %s are not replicas of one table: a "
                           "copy would be new rows",
                           first->shown, p->shown);
        } else {
            continue;
        }
        return true;
    }
    return true;
}

const char *replicas_tick(struct sink *s)
{
    char why[sizeof s->replicas.why], quoted[2 * sizeof why];
    bool sure;

    if (s->plan->hedge.after_ms == HEDGE_OFF) {
        s->replicas.off = NULL;
        s->replicas.said = false;
        stats_set(s->hedging_gauge, 0);
        return NULL;
    }
    if (s->n_endpoints > 1 && !s->plan->hedge.may_duplicate) {
        ask_those_due(s);
    }
    sure = why_not(s, why, sizeof why);
    s->replicas.said = s->replicas.said && strcmp(why, s->replicas.why) == 0;
    if (sure && !s->replicas.said) {
        log_write(why[0] == '\0' ? LOG_INFO : LOG_WARN, "hedge",
                  "sink=%s hedge=%s why=%s", s->conf.plan->name,
                  why[0] == '\0' ? "on" : "off",
                  log_quote(quoted, sizeof quoted,
                            why[0] != '\0' ? why
                            : s->plan->hedge.may_duplicate
                                ? "may_duplicate = true"
                                : "its urls are replicas of one table"));
        s->replicas.said = true;
    }
    memcpy(s->replicas.why, why, sizeof why);
    s->replicas.off = s->replicas.why;
    stats_set(s->hedging_gauge, why[0] == '\0');
    return s->replicas.off;
}

int64_t replicas_hedge_ms(const struct sink *s)
{
    const char *off = s->replicas.off;

    return off == NULL || off[0] != '\0'
               ? -1
               : hedging_after_ms(&s->hedging, &s->plan->hedge);
}
