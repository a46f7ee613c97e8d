/* A quiet route that refuses all, beside many busy ones that refuse a little. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <cjson/cJSON.h>
#include <ev.h>
#include <stdio.h>
#include <string.h>

#include "server/admin/refusing.h"
#include "stats/stats.h"

#define S 1000000000ull

enum { LISTED = 50 };

static uint64_t policy_now(const void *arg)
{
    (void)arg;
    return 1;
}

static double number(const cJSON *o, const char *name)
{
    const cJSON *x = cJSON_GetObjectItem(o, name);

    return x == NULL ? -1 : x->valuedouble;
}

static stats_cell *counter(const char *route, int i, const char *result)
{
    char labels[128];

    (void)snprintf(labels, sizeof labels, "route=\"POST /%s%d\"%s", route, i, result);
    return stats_counter(result[0] == '\0' ? "sluice_received_events_total"
                                           : "sluice_events_total",
                         "h", labels);
}

/* The routes of a list that begin so, in a row from its begin. */
static int first_of(const cJSON *list, const char *route)
{
    const cJSON *x;
    int n = 0;

    cJSON_ArrayForEach(x, list)
    {
        const cJSON *name = cJSON_GetObjectItem(x, "route");

        if (strncmp(name->valuestring, route, strlen(route)) != 0) {
            break;
        }
        n++;
    }
    return n;
}

/* 70 busy routes refuse a thousandth, and more events than the quiet ones that refuse all. */
static void a_quiet_route_comes_before_busy_ones(void **state)
{
    struct ev_loop *loop = ev_loop_new(EVFLAG_AUTO);
    struct refusing *r = refusing_new(loop, policy_now, NULL);
    cJSON *o;

    (void)state;
    refusing_look(r, 7 * S);
    for (int i = 0; i < 77; i++) {
        const char *route = i < 70 ? "busy" : i < 74 ? "part" : "quiet";
        const uint64_t refused = i < 70 ? 1000 : i < 74 ? 19 : 20;
        const uint64_t received = i < 70 ? 1000000 : i < 74 ? 400 : 25;

        stats_add(counter(route, i, ""), received);
        stats_add(counter(route, i, ",result=\"rejected\",code=\"x\""), refused);
    }
    refusing_look(r, 8 * S);
    o = refusing_json(r, 8 * S);
    for (int i = 0; i < 2; i++) {
        cJSON *list = cJSON_GetObjectItem(o, i == 0 ? "codes" : "routes");

        assert_int_equal(cJSON_GetArraySize(list), LISTED);
        assert_int_equal(first_of(list, "POST /quiet"), 3);
        for (int k = 0; k < 3; k++) {
            cJSON_DeleteItemFromArray(list, 0);
        }
        assert_int_equal(first_of(list, "POST /part"), 4);
    }
    assert_true(number(o, "routes_more") >= 77 - LISTED);
    cJSON_Delete(o);
    refusing_free(r);
    ev_loop_destroy(loop);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_quiet_route_comes_before_busy_ones)};

    return cmocka_run_group_tests_name("refusing busy", tests, NULL, NULL);
}
