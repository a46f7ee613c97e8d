/* Who may ask the admin listener for what: by Host, Origin, address and token. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>

#include "base/err.h"
#include "net/listener.h"
#include "plan/plan.h"
#include "server/admin/guard.h"

#include "unit/tools/ask.h"

static const char *const hosts[] = {"sluice.example.com"};
static struct admin_plan plan;
static struct http_listener options;

static void on_headers(void *arg, struct http_request *r, const struct http_view *v)
{
    (void)arg;
    if (!guard_passes(&plan, r, v)) {
        return; /* it has its answer */
    }
}

static void on_body(void *arg, struct http_request *r, const struct http_view *v)
{
    (void)arg;
    (void)v;
    http_answer(r, 200, "", STR("{}"));
}

static char answer[4096];

/* The status of a request that comes from 127.0.0.1, whoever a proxy says it is. */
static int asks(const char *line, const char *headers)
{
    struct http_ops ops = ASK_OPS(on_body);
    const struct http_limits limits = ask_limits();
    struct ev_loop *loop = ev_loop_new(EVFLAG_AUTO);
    char bound[128], head[1024];
    struct http_server *s;
    struct err e;
    int status, fd = listener_open("127.0.0.1:0", false, bound, sizeof bound, &e);

    assert_true(fd >= 0);
    ops.on_headers = on_headers;
    s = http_server_new(loop, &limits, &ops, NULL);
    http_server_listen(s, fd, &options);
    (void)snprintf(head, sizeof head, "%s HTTP/1.1\r\nContent-Length: 0\r\n%s\r\n",
                   line, headers);
    status = ask(loop, bound, head, "", 0, answer, sizeof answer);
    http_server_free(s);
    (void)close(fd);
    ev_loop_destroy(loop);
    return status;
}

static int setup(void **state)
{
    (void)state;
    plan = (struct admin_plan){.hosts = hosts, .n_hosts = 1};
    options = (struct http_listener){0};
    return 0;
}

static void a_foreign_host_is_refused(void **state)
{
    static const char *const own[] = {
        "127.0.0.1:9100", "127.0.0.1", "[::1]:9100",         "[2001:db8::1]",
        "localhost:9100", "sluice",    "sluice.example.com", "Sluice.Example.COM:9100",
        "a.localhost:1",  "192.0.2.7"};
    static const char *const foreign[] = {"evil.example",
                                          "evil.example:9100",
                                          "sluice.example.com.evil.example",
                                          "127.0.0.1.evil.example",
                                          "x.sluice.example.com",
                                          "localhost.evil.example:9100"};
    char header[128];

    (void)state;
    for (size_t i = 0; i < N_ELEMS(own); i++) {
        (void)snprintf(header, sizeof header, "Host: %s\r\n", own[i]);
        assert_int_equal(200, asks("GET /status", header));
        assert_int_equal(200, asks("POST /reload", header));
    }
    for (size_t i = 0; i < N_ELEMS(foreign); i++) {
        (void)snprintf(header, sizeof header, "Host: %s\r\n", foreign[i]);
        assert_int_equal(403, asks("GET /status", header));
        assert_non_null(strstr(answer, "\"code\":\"host\""));
        assert_int_equal(403, asks("POST /reload", header));
        assert_int_equal(200, asks("GET /healthz", header));
        assert_int_equal(200, asks("HEAD /readyz", header));
        assert_int_equal(403, asks("POST /healthz", header));
    }
}

static void a_foreign_origin_is_refused(void **state)
{
    (void)state;
    assert_int_equal(
        403, asks("GET /status", "Host: a:1\r\nOrigin: https://page.example\r\n"));
    assert_non_null(strstr(answer, "\"code\":\"origin\""));
    assert_int_equal(403, asks("GET /status", "Host: a:1\r\nOrigin: null\r\n"));
    assert_int_equal(403, asks("GET /status", "Host: a:1\r\nOrigin: http://a:12\r\n"));
    assert_int_equal(200, asks("GET /status", "Host: a:1\r\nOrigin: http://a:1\r\n"));
    assert_int_equal(403, asks("POST /reload", "Host: a:1\r\nOrigin: http://a:1\r\n"));
}

static void trust(enum forwarded_header header)
{
    static struct subnet here;

    assert_null(address_read_network(STR("127.0.0.1"), &here.address, &here.prefix));
    plan.listener.forwarded = header;
    options.trusted = &here;
    options.n_trusted = 1;
    options.forwarded = HTTP_X_FORWARDED_FOR;
}

static void a_change_from_another_machine_needs_the_token(void **state)
{
    static const char far[] = "Host: a\r\nX-Forwarded-For: 192.0.2.7\r\n";
    static const char *const wrong[] = {"",
                                        "Authorization: Bearer 0123456789abcdeX\r\n",
                                        "Authorization: Bearer 0123456789abcde\r\n",
                                        "Authorization: Bearer 0123456789abcdef0\r\n",
                                        "Authorization: Basic 0123456789abcdef\r\n",
                                        "Authorization: 0123456789abcdef\r\n",
                                        "Sluice-Token: 0123456789abcde\r\n",
                                        "Sluice-Token: 0123456789abcdef0\r\n",
                                        "Sluice-Token:\r\n"};
    char head[256];

    (void)state;
    trust(FORWARDED_X_FOR);
    assert_int_equal(403, asks("POST /reload", far));
    assert_non_null(strstr(answer, "set admin.token in the policy"));
    assert_int_equal(200, asks("GET /status", far));
    assert_int_equal(403, asks("GET /tap", far)); /* it shows what clients sent */
    (void)snprintf(head, sizeof head, "%sSluice-Token:\r\n", far);
    assert_int_equal(403, asks("POST /reload", head)); /* no token is none */
    plan.token = STR("0123456789abcdef");
    for (size_t i = 0; i < N_ELEMS(wrong); i++) {
        (void)snprintf(head, sizeof head, "%s%s", far, wrong[i]);
        assert_int_equal(401, asks("POST /reload", head));
        assert_non_null(strstr(answer, "WWW-Authenticate: Bearer\r\n"));
        assert_null(strstr(answer, "0123456789"));
        assert_int_equal(401, asks("DELETE /sinks/a/replay", head));
        assert_int_equal(401, asks("GET /tap?raw", head));
    }
    (void)snprintf(head, sizeof head, "%s%s", far,
                   "Authorization: bearer 0123456789abcdef\r\n");
    assert_int_equal(200, asks("POST /reload", head));
    assert_int_equal(200, asks("GET /tap", head));
    /* Beside the password of a proxy. */
    (void)snprintf(head, sizeof head, "%s%s", far,
                   "Authorization: Basic b3A6c2VjcmV0\r\nsluice-token: "
                   "0123456789abcdef\r\n");
    assert_int_equal(200, asks("POST /reload", head));
    assert_int_equal(200, asks("GET /status", "Host: evil.example\r\nAuthorization: "
                                              "Bearer 0123456789abcdef\r\n"));
    assert_int_equal(200, asks("POST /reload", "Host: a\r\n")); /* from this machine */
    assert_int_equal(200,
                     asks("POST /reload", "Host: a\r\nX-Forwarded-For: 127.0.0.9\r\n"));
}

static void a_proxy_that_is_not_trusted_is_another_machine(void **state)
{
    (void)state;
    assert_int_equal(403,
                     asks("POST /reload", "Host: a\r\nX-Forwarded-For: 127.0.0.1\r\n"));
    assert_int_equal(403,
                     asks("POST /reload", "Host: a\r\nForwarded: for=127.0.0.1\r\n"));
    assert_non_null(strstr(answer, "\"code\":\"not_local\""));
    assert_int_equal(200, asks("POST /reload", "Host: a\r\n"));
}

static void an_address_that_a_client_names_is_not_this_machine(void **state)
{
    static const char *const far[] = {
        /* a client within the trusted networks wrote the first one */
        "X-Forwarded-For: 127.0.0.1, 10.0.0.5\r\n",
        /* the proxy wrote none that can be read */
        "X-Forwarded-For: unknown\r\n", "X-Forwarded-For: \r\n",
        /* the proxy writes the other header */
        "Forwarded: for=192.0.2.7\r\n", "Forwarded: for=127.0.0.1\r\n",
        "X-Forwarded-For: 127.0.0.1\r\nForwarded: for=192.0.2.7\r\n"};
    static struct subnet networks[2];
    char head[128];

    (void)state;
    trust(FORWARDED_X_FOR);
    networks[0] = options.trusted[0];
    assert_null(address_read_network(STR("10.0.0.0/8"), &networks[1].address,
                                     &networks[1].prefix));
    options.trusted = networks;
    options.n_trusted = 2;
    for (size_t i = 0; i < N_ELEMS(far); i++) {
        (void)snprintf(head, sizeof head, "Host: a\r\n%s", far[i]);
        if (asks("POST /reload", head) != 403) {
            fail_msg("passed: %s", far[i]);
        }
        assert_non_null(strstr(answer, "\"code\":\"not_local\""));
    }
    /* A proxy of this machine, where only those of another network are trusted. */
    options.trusted = networks + 1;
    options.n_trusted = 1;
    assert_int_equal(403,
                     asks("POST /reload", "Host: a\r\nX-Forwarded-For: 192.0.2.7\r\n"));
    assert_int_equal(200, asks("POST /reload", "Host: a\r\n"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(a_foreign_host_is_refused, setup),
        cmocka_unit_test_setup(a_foreign_origin_is_refused, setup),
        cmocka_unit_test_setup(a_change_from_another_machine_needs_the_token, setup),
        cmocka_unit_test_setup(a_proxy_that_is_not_trusted_is_another_machine, setup),
        cmocka_unit_test_setup(an_address_that_a_client_names_is_not_this_machine,
                               setup)};

    return cmocka_run_group_tests_name("guard", tests, NULL, NULL);
}
