/* So many codes that refuse events that some have the same hash. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <cjson/cJSON.h>
#include <ev.h>
#include <stdio.h>

#include "server/admin/refusing.h"
#include "stats/stats.h"

#define S 1000000000ull

enum { CODES = 800, LISTED = 50 };

static uint64_t policy_now(const void *arg)
{
    (void)arg;
    return 1;
}

static void a_code_is_the_same_at_each_look(void **state)
{
    static stats_cell *cells[CODES];
    struct ev_loop *loop = ev_loop_new(EVFLAG_AUTO);
    struct refusing *r = refusing_new(loop, policy_now, NULL);
    char labels[128];
    cJSON *o;

    (void)state;
    refusing_look(r, 7 * S);
    for (int i = 0; i < CODES; i++) {
        (void)snprintf(labels, sizeof labels,
                       "route=\"POST /many\",result=\"rejected\",code=\"c%d\"", i);
        cells[i] = stats_counter("sluice_events_total", "h", labels);
    }
    for (uint64_t look = 8; look < 11; look++) {
        for (int i = 0; i < CODES; i++) {
            stats_add(cells[i], 1000000);
        }
        refusing_look(r, look * S);
        o = refusing_json(r, look * S);
        assert_true(cJSON_GetObjectItem(o, "more")->valuedouble == CODES - LISTED);
        cJSON_Delete(o);
    }
    refusing_free(r);
    ev_loop_destroy(loop);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_code_is_the_same_at_each_look)};

    return cmocka_run_group_tests_name("refusing many", tests, NULL, NULL);
}
