/*
 * params - the cost of an event that is a query or a form beside that of the same event as
 * JSON: nanoseconds an event, the median of several rounds.
 *
 *   params
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/clock.h"
#include "base/err.h"
#include "decode/multipart.h"
#include "decode/query.h"

enum { TURNS = 200000, ROUNDS = 9 };

/* A postback as networks send it: macros filled in, some texts percent-encoded. */
static const char query_text[] =
    "click_id=3f2b8c1e9d7a4e0b&campaign=spring_sale_2026&network=acme&payout=1.25&"
    "currency=EUR&installs=1&is_test=0&ts=1795834211613&country=DE&os=android&"
    "os_version=16.0.1&ip=203.0.113.7&ua=Mozilla%2F5.0%20%28Linux%3B%20Android%2016%29&"
    "sub1=a%2Bb&sub2=&gaid=cdda802e-fb9c-47ad-9866-0794d394c912";

static const char json_text[] =
    "{\"click_id\":\"3f2b8c1e9d7a4e0b\",\"campaign\":\"spring_sale_2026\",\"network\":"
    "\"acme\",\"payout\":1.25,\"currency\":\"EUR\",\"installs\":1,\"is_test\":false,"
    "\"ts\":1795834211613,\"country\":\"DE\",\"os\":\"android\",\"os_version\":\"16.0."
    "1\","
    "\"ip\":\"203.0.113.7\",\"ua\":\"Mozilla/5.0 (Linux; Android "
    "16)\",\"sub1\":\"a+b\","
    "\"sub2\":\"\",\"gaid\":\"cdda802e-fb9c-47ad-9866-0794d394c912\"}";

static const char *const names[] = {"click_id", "payout", "installs",
                                    "is_test",  "ts",     "country"};
static const struct param_rule rules[] = {{STR("payout"), PARAM_NUMBER, false},
                                          {STR("installs"), PARAM_NUMBER, false},
                                          {STR("is_test"), PARAM_BOOL, false},
                                          {STR("ts"), PARAM_NUMBER, false}};

struct bench {
    struct event_batch batch;
    struct scan_keys *keys;
    struct params_room room;
    struct params_rules rules;
    struct scan_limits limits;
    char body[4096];
    size_t n;
};

enum form { AS_JSON, AS_QUERY, AS_MULTIPART };

static void read_once(struct bench *b, enum form form)
{
    struct str event = {b->body, b->n};
    struct params_error e;
    struct scan_error se;
    enum params_result r = PARAMS_OK;

    if (form == AS_QUERY) {
        r = query_write(&b->rules, &b->limits, event, 1 << 20, &b->room, &event, &e);
    } else if (form == AS_MULTIPART) {
        r = multipart_write(&b->rules, &b->limits, STR("----b0undary"), event, 1 << 20,
                            &b->room, &event, &e);
    }
    if (r != PARAMS_OK || scan_body(&b->batch, b->keys, SCAN_EVENT, &b->limits, event.p,
                                    event.n, &se) != SCAN_OK) {
        (void)fprintf(stderr, "the body is not read\n");
        exit(1);
    }
}

static int by_value(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;

    return x < y ? -1 : x > y;
}

static void measure(struct bench *b, const char *what, enum form form)
{
    double ns[ROUNDS];

    for (int r = 0; r < ROUNDS; r++) {
        uint64_t t = clock_mono_ns();

        for (int i = 0; i < TURNS; i++) {
            read_once(b, form);
        }
        ns[r] = (double)(clock_mono_ns() - t) / TURNS;
    }
    qsort(ns, ROUNDS, sizeof *ns, by_value);
    (void)printf("%-28s %4zu bytes %7.1f ns an event\n", what, b->n, ns[ROUNDS / 2]);
}

static void use(struct bench *b, const char *text)
{
    b->n = strlen(text);
    memset(b->body, 0, sizeof b->body);
    memcpy(b->body, text, b->n);
}

/* The query's parameters, decoded, as parts. */
static void use_multipart(struct bench *b)
{
    char text[4096];
    size_t n = 0;
    char *copy = strdup(query_text), *rest = copy, *pair;

    while ((pair = strsep(&rest, "&")) != NULL) {
        char *value = strchr(pair, '=');

        *value++ = '\0';
        n += (size_t)snprintf(text + n, sizeof text - n,
                              "------b0undary\r\nContent-Disposition: form-data; "
                              "name=\"%s\"\r\n\r\n%s\r\n",
                              pair, value);
    }
    (void)snprintf(text + n, sizeof text - n, "------b0undary--\r\n");
    free(copy);
    use(b, text);
}

int main(void)
{
    static struct bench b = {.limits = {1, 64}};
    struct str paths[N_ELEMS(names)];
    struct arena arena;
    struct err e;

    for (size_t i = 0; i < N_ELEMS(names); i++) {
        paths[i] = str_of(names[i]);
    }
    arena_init(&arena, 64 << 20);
    event_batch_init(&b.batch, &arena);
    b.keys = scan_keys_new(paths, N_ELEMS(names), &e);
    b.rules =
        (struct params_rules){.rules = rules, .n_rules = N_ELEMS(rules), .key = {1, 2}};
    use(&b, json_text);
    measure(&b, "JSON", AS_JSON);
    use(&b, query_text);
    measure(&b, "query or urlencoded form", AS_QUERY);
    b.rules.repeated = PARAMS_FIRST;
    measure(&b, "the same, repeated = \"first\"", AS_QUERY);
    b.rules.repeated = PARAMS_REFUSE;
    use_multipart(&b);
    measure(&b, "multipart/form-data", AS_MULTIPART);
    event_batch_fini(&b.batch);
    scan_keys_free(b.keys);
    arena_fini(&arena);
    free(b.room.p);
    return 0;
}
