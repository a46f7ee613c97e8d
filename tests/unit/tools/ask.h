/* ask.h: one request, as raw bytes, to a server of the test's own loop, and the parts
 * of a server that does nothing else.
 *
 * Behind cmocka.h. Thread: the test's, which runs the loop meanwhile. Errors: fail the test; it waits
 * ASK_FOR_EVER_S at most. */
#pragma once

#include <arpa/inet.h>
#include <ev.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "http/http.h"

enum { ASK_FOR_EVER_S = 20, ASK_MAX_BODY = 1000 };

static inline void ask_on_headers(void *arg, struct http_request *r,
                                  const struct http_view *v)
{
    (void)arg;
    (void)r;
    (void)v;
}

static inline void ask_on_abort(void *arg, struct http_request *r)
{
    (void)arg;
    (void)r;
}

static inline void ask_on_refusal(void *arg, struct http_request *r,
                                  const struct http_view *v, struct http_refusal *no)
{
    (void)r;
    (void)arg;
    (void)v;
    (void)no;
}

/* All but the handling of a whole request. */
#define ASK_OPS(on_body)                                                               \
    (struct http_ops)                                                                  \
    {                                                                                  \
        ask_on_headers, on_body, NULL, ask_on_abort, ask_on_refusal, NULL              \
    }

static inline struct http_limits ask_limits(void)
{
    return (struct http_limits){.max_body = ASK_MAX_BODY,
                                .max_headers_bytes = 4096,
                                .max_connections = 4,
                                .max_buffered = 1 << 20,
                                .header_timeout_ms = 60000,
                                .body_timeout_ms = 60000,
                                .idle_timeout_ms = 60000};
}

static inline void ask_on_answer(struct ev_loop *loop, ev_io *w, int events)
{
    (void)w;
    (void)events;
    ev_break(loop, EVBREAK_ALL);
}

static inline void ask_on_late(struct ev_loop *loop, ev_timer *w, int events)
{
    (void)loop;
    (void)w;
    (void)events;
    fail_msg("no answer");
}

/* Sends a head and the n bytes of the rest to bound, "127.0.0.1:PORT", on a connection of its
 * own. Returns the status; the answer, ended by 0, is in answer. */
static inline int ask(struct ev_loop *loop, const char *bound, const char *head,
                      const char *rest, size_t n, char *answer, size_t size)
{
    struct sockaddr_in to = {.sin_family = AF_INET};
    int client = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    ssize_t got;
    ev_timer late;
    ev_io io;

    assert_true(client >= 0);
    to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    to.sin_port = htons((uint16_t)atoi(strrchr(bound, ':') + 1));
    assert_int_equal(0, connect(client, (struct sockaddr *)&to, sizeof to));
    assert_int_equal(strlen(head), send(client, head, strlen(head), MSG_NOSIGNAL));
    assert_int_equal(n, send(client, rest, n, MSG_NOSIGNAL));
    ev_io_init(&io, ask_on_answer, client, EV_READ);
    ev_io_start(loop, &io);
    ev_timer_init(&late, ask_on_late, ASK_FOR_EVER_S, 0.);
    ev_timer_start(loop, &late);
    (void)ev_run(loop, 0);
    ev_io_stop(loop, &io);
    ev_timer_stop(loop, &late);
    got = recv(client, answer, size - 1, 0);
    assert_true(got > 12);
    answer[got] = '\0';
    (void)close(client);
    return atoi(answer + strlen("HTTP/1.1 "));
}
