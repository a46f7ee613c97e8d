/*
 * multi - libcurl's multi handle on a loop: its sockets and its timer are watched, and
 * ended transfers are told outside of curl.
 *
 *   multi_init -> (multi_end_soon -> ended*, idle)* -> multi_fini
 *
 * The loop's thread.
 */
#pragma once

#include <curl/curl.h>
#include <ev.h>

/* A handle is done. It may be removed within, and another one added. */
typedef void multi_ended_fn(void *arg, CURL *easy, CURLcode rc);
/* All that have ended were told. */
typedef void multi_idle_fn(void *arg);

struct multi {
    struct ev_loop *loop;
    CURLM *curl; /* handles are added to it and removed by the owner */
    ev_timer timer;
    ev_idle finish; /* looks for ended handles outside of curl */
    multi_ended_fn *ended;
    multi_idle_fn *idle;
    void *arg;
};

void multi_init(struct multi *m, struct ev_loop *loop, multi_ended_fn *ended,
                multi_idle_fn *idle, void *arg);
/* No handle is in it any more. */
void multi_fini(struct multi *m);

/* Tells ended transfers in a later turn of the loop. */
void multi_end_soon(struct multi *m);
