/*
 * transfers - HTTP requests of a sink, on its loop, through a bounded pool of
 * connections (libcurl multi).
 *
 *   transfers_new -> (transfers_send -> done)* -> transfers_free
 *
 * At most max_open run at once; further ones wait in order. Idle connections are
 * kept by curl: at most max_idle, none older than max_lifetime, none idle for
 * longer than max_idle_time. One thread; done is never called from within send.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/attr.h"
#include "base/str.h"
#include "plan/plan.h"

struct ev_loop;
struct transfers;
struct transfer;

enum { TRANSFER_ANSWER_MAX = 1 << 18 };

struct transfer_answer {
    int status;       /* 0: none came: why says so */
    bool sent;        /* the whole body went out: it may have been applied */
    bool twice;       /* and before that on a connection that gave no answer */
    struct str body;  /* its first TRANSFER_ANSWER_MAX bytes */
    bool summary;     /* it has X-ClickHouse-Summary */
    int exception;    /* X-ClickHouse-Exception-Code; 0: none */
    const char *why;  /* curl's words */
    int64_t after_ms; /* Retry-After; 0: it has none */
    uint64_t ns;      /* from the start on a connection to the end */
};

/* The transfer is over; views live during the call. */
typedef void transfer_done_fn(void *arg, const struct transfer_answer *a);

struct transfer_request {
    const char *url;
    const char *method;              /* NULL: POST */
    const char *type;                /* Content-Type; NULL: application/x-ndjson */
    const struct pair_plan *headers; /* its own */
    uint32_t n_headers;
    struct pair_plan id;  /* one more; name NULL: none */
    const char *encoding; /* Content-Encoding; NULL: none */
    struct str body;      /* lives until done; NULL: a GET */
    int64_t timeout_ms;
    const char *ca, *cert, *key; /* NULL: the system's, none, in cert */
    const char *proxy;           /* NULL: none */
    bool verify;
    transfer_done_fn *done;
    void *arg;
};

struct transfers *transfers_new(struct ev_loop *loop, const char *sink,
                                const struct pool_plan *plan);
void transfers_apply(struct transfers *t, const struct pool_plan *plan);

/* Valid until done was called or it was cancelled. Of r only the body is kept as it
 * is, the rest is copied. */
struct transfer *transfers_send(struct transfers *t,
                                const struct transfer_request *r) MUST_USE;
/* done is not called any more. */
void transfers_cancel(struct transfers *t, struct transfer *x);

/* Cancels the requests under way. */
void transfers_free(struct transfers *t);
