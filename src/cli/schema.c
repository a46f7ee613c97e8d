/* sluice schema --clickhouse POLICY.lua: the CREATE TABLE of each ClickHouse sink,
 * as the schemas of the routes that feed it imply. */
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "cli/cli.h"
#include "cli/commands.h"
#include "cli/show.h"
#include "policy/load/load.h"
#include "server/supervisor.h"
#include "sink/http/clickhouse/names.h"

enum { TYPE_BYTES = 32 };

static void type_of(const struct field *f, char out[TYPE_BYTES])
{
    const char *word = "String";
    char item[TYPE_BYTES];
    int bits;

    switch (f == NULL ? FIELD_ANY : f->type) {
    case FIELD_NUM:
        word = "Float64";
        break;
    case FIELD_INT:
        bits = f->range.bits == 0 ? 64 : f->range.bits;
        (void)snprintf(out, TYPE_BYTES, "%sInt%d", f->range.is_unsigned ? "U" : "",
                       bits);
        return;
    case FIELD_BOOL:
        word = "UInt8";
        break;
    case FIELD_TIME:
        word = "UInt64"; /* milliseconds since 1970 */
        break;
    case FIELD_STR:
        word = f->format == TEXT_UUID ? "UUID" : "String";
        break;
    case FIELD_LIST:
        type_of(f->item, item);
        (void)snprintf(out, TYPE_BYTES, "Array(%.*s)", TYPE_BYTES - 8, item);
        return;
    default:
        break;
    }
    (void)snprintf(out, TYPE_BYTES, "%s", word);
}

static bool feeds(const struct plan *p, const struct route *r, uint32_t sink)
{
    const struct stream_plan *st;

    if (r->stream < 0 || r->schema == NULL) {
        return false;
    }
    st = &p->streams[r->stream];
    for (uint32_t i = 0; i < st->n_sinks; i++) {
        if (st->sinks[i].sink == sink) {
            return true;
        }
    }
    return false;
}

static const struct field *field_of(const struct plan *p, uint32_t sink,
                                    const char *path)
{
    for (uint32_t i = 0; i < p->n_routes; i++) {
        const struct schema *s = p->routes[i].schema;

        for (uint32_t k = 0; feeds(p, &p->routes[i], sink) && k < s->n_fields; k++) {
            if (str_eq(s->fields[k].path, str_of(path))) {
                return &s->fields[k];
            }
        }
    }
    return NULL;
}

static void column(const char *name, const struct field *f, uint32_t *n)
{
    size_t k = strlen(name);
    char *quoted = mem_alloc(names_bound(k)), type[TYPE_BYTES];

    type_of(f, type);

    (void)names_quote((struct str){name, k}, quoted);
    (void)printf("%s\n  %s%s%s %s", (*n)++ == 0 ? "" : ",", quoted[0] == '`' ? "" : "`",
                 quoted, quoted[0] == '`' ? "" : "`", type);
    free(quoted);
}

/* Whether an earlier route's events have the schema too. */
static bool had_before(const struct plan *p, uint32_t sink, uint32_t route)
{
    for (uint32_t i = 0; i < route; i++) {
        if (p->routes[i].schema == p->routes[route].schema &&
            feeds(p, &p->routes[i], sink)) {
            return true;
        }
    }
    return false;
}

/* Without columns, events are rows as they are: the fields at their top level. */
static uint32_t plain_columns(const struct plan *p, uint32_t sink)
{
    uint32_t n = 0;

    for (uint32_t i = 0; i < p->n_routes; i++) {
        const struct schema *s = p->routes[i].schema;

        if (!feeds(p, &p->routes[i], sink) || had_before(p, sink, i)) {
            continue;
        }
        for (uint32_t k = 0; k < s->n_fields; k++) {
            const struct field *f = &s->fields[k];

            /* Each once, by the first route that has it. */
            if (memchr(f->path.p, '.', f->path.n) == NULL &&
                field_of(p, sink, f->path.p) == f) {
                column(f->path.p, f, &n);
            }
        }
    }
    return n;
}

static void print_table(const struct plan *p, uint32_t sink)
{
    const struct clickhouse_plan *c = &p->sinks[sink].clickhouse;
    char *table = mem_alloc(names_bound(strlen(c->table)) + 16);
    uint32_t n = 0;

    names_quote_table(c->table, table);
    (void)printf("CREATE TABLE %s (", table);
    for (uint32_t i = 0; i < c->n_columns; i++) {
        column(c->columns[i].name, field_of(p, sink, c->columns[i].value), &n);
    }
    if (c->n_columns == 0) {
        n = plain_columns(p, sink);
    }
    (void)printf("\n) ENGINE = MergeTree() PARTITION BY tuple() ORDER BY "
                 "tuple();\n");
    free(table);
}

int cli_schema(int argc, char **argv)
{
    struct policy_report report;
    struct policy *p;
    const struct plan *plan;
    bool any = false;

    if (argc != 3 || strcmp(argv[1], "--clickhouse") != 0) {
        return usage_wrong("schema");
    }
    p = policy_load(argv[2], &report);
    if (report.text != NULL && report.text[0] != '\0') {
        show_words(stderr, report.text);
    }
    policy_report_fini(&report);
    if (p == NULL) {
        return 1;
    }
    plan = policy_plan(p);
    for (uint32_t i = 0; i < plan->n_sinks; i++) {
        if (plan->sinks[i].kind == SINK_KIND_CLICKHOUSE) {
            print_table(plan, i);
            any = true;
        }
    }
    policy_unref(p);
    if (!any) {
        show_line(stderr, "sluice: %s has no clickhouse sink", argv[2]);
    }
    return any ? EXIT_OK : EXIT_POLICY;
}
