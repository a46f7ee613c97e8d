/* Which route a method and a path lead to, and what is said of other methods. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/attr.h"
#include "plan/plan.h"

static struct route routes[] = {{.method = "POST", .path = "/click"},
                                {.method = "GET", .path = "/click"},
                                {.method = "GET", .path = "/pixel"},
                                {.method = "POST", .path = "/events"},
                                {.method = "GET", .path = "/:kind", .pattern = true}};
static const struct plan plan = {.routes = routes, .n_routes = N_ELEMS(routes)};

static const struct row {
    const char *method, *path;
    int route; /* -1: none */
    const char *allow;
} rows[] = {
    {"POST", "/click", 0, ""},           {"GET", "/click", 1, ""},
    {"HEAD", "/click", 1, ""},           {"HEAD", "/pixel", 2, ""},
    {"HEAD", "/other", 4, ""},           {"PUT", "/click", -1, "POST, GET, HEAD"},
    {"POST", "/pixel", -1, "GET, HEAD"}, {"HEAD", "/a/b", -1, ""},
    {"head", "/pixel", -1, "GET, HEAD"},
};

static void each_method_leads_where_the_table_says(void **state)
{
    char allow[128];

    (void)state;
    for (size_t i = 0; i < N_ELEMS(rows); i++) {
        const struct route *r = plan_route(&plan, 0, str_of(rows[i].method),
                                           str_of(rows[i].path), allow, sizeof allow);

        assert_ptr_equal(rows[i].route < 0 ? NULL : &routes[rows[i].route], r);
        if (r == NULL) {
            assert_string_equal(rows[i].allow, allow);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_method_leads_where_the_table_says),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
