/*
 * transfer - one HTTP request of a sink as curl has it: its bytes, and the kept part of
 * the answer. Only transfers.c includes it. The sink's thread.
 */
#pragma once

#include <curl/curl.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "sink/http/transfers.h"

enum {
    AFTER_MAX_S = 600,          /* the longest Retry-After that is believed */
    TRANSFER_READ_MAX = 1 << 22 /* longer answers are cut off */
};

struct transfer {
    struct transfer *next, *prev; /* of the waiting or the running */
    struct transfers *owner;
    struct transfer_request r;
    CURL *easy;
    struct curl_slist *headers;
    char error[CURL_ERROR_SIZE], why[CURL_ERROR_SIZE + 80];
    char *answer;                    /* NULL: nothing has come */
    size_t n_answer, n_read, n_sent; /* bytes of the bodies */
    int exception;
    bool summary, too_long;
    bool twice; /* a connection that broke off had all of the body already */
    uint64_t queued_ns, began_ns;
    uint64_t made_ns; /* easy keeps TLS sessions since then */
};

/* lifetime_s: connections that are older are not used. */
void transfer_set_up(struct transfer *x, const struct pool_plan *pool, long lifetime_s);
/* Its result; views live until x is set up again. */
struct transfer_answer transfer_answer_of(struct transfer *x, CURLcode rc);
/* Gives the memory of a request back; x may be set up again. */
void transfer_clear(struct transfer *x);
