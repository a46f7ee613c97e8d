/*
 * The protocol of any HTTP server: a batch is a body, its id a header, by which a
 * receiver knows batches that it has already.
 */
#include "sink/http/plain.h"

#include <stdio.h>
#include <string.h>

#include "sink/http/internal.h"

static enum sink_verdict_kind kind_of(int status, bool sent)
{
    switch (status) {
    case 0:
        return sent ? SINK_MAYBE : SINK_RETRY;
    case 408:
    case 409: /* the same id is being worked on */
    case 425:
    case 429:
    case 503:
        return SINK_RETRY;
    case 413:
        return SINK_SPLIT;
    case 400:
    case 422:
        return SINK_DATA;
    default:
        break;
    }
    /* Said before all of the body was there: it can't have been taken. */
    if (status >= 200 && status < 300) {
        return sent ? SINK_OK : SINK_MAYBE;
    }
    /* A server that failed may have taken it; the others want something mended: a
     * redirect is not followed, because it may lead a secret elsewhere. */
    return status >= 500 ? SINK_MAYBE : SINK_SETUP;
}

struct data_error plain_data_error(int status, bool sent, int64_t after_ms)
{
    struct data_error r = {.kind = kind_of(status, sent),
                           .code = status,
                           .row = -1,
                           /* Too large alone: no one else will take it. */
                           .too_large = status == 413,
                           .alone = SINK_DATA,
                           .after_ms = after_ms};

    /* It is up, and wants less. */
    r.too_many_parts = status == 429;
    if (r.kind != SINK_RETRY && r.kind != SINK_MAYBE) {
        r.after_ms = 0;
    }
    return r;
}

static const struct http_plan *plan_of(const struct endpoint *p)
{
    return &p->sink->conf.plan->http;
}

/* The policy says so, or a batch that may be there is said to be there. */
static bool counts_as_taken(const struct http_plan *h, int status, bool again)
{
    for (uint32_t i = 0; i < h->n_taken; i++) {
        if (h->taken[i] == status) {
            return true;
        }
    }
    return again && status == 409 && h->id_header != NULL;
}

static struct data_error classify(const struct endpoint *p,
                                  const struct transfer_answer *a, bool again)
{
    if (a->sent && counts_as_taken(plan_of(p), a->status, again)) {
        return (struct data_error){.code = a->status, .row = -1};
    }
    return plain_data_error(a->status, a->sent, a->after_ms);
}

static size_t room(const struct endpoint *p, const struct destination *to)
{
    (void)to;
    return strlen(p->url) + 1;
}

static enum coding coding(const struct endpoint *p)
{
    switch (plan_of(p)->compress) {
    case COMPRESS_GZIP:
        return CODING_GZIP;
    case COMPRESS_ZSTD:
        return CODING_ZSTD;
    default:
        return CODING_NONE;
    }
}

static void address(const struct endpoint *p, const struct destination *to,
                    const char *token, unsigned attempt, char *url, size_t max,
                    struct transfer_request *r)
{
    const struct http_plan *h = plan_of(p);

    (void)to;
    (void)attempt;
    (void)snprintf(url, max, "%s", p->url);
    r->method = h->method;
    r->type = h->type != NULL ? h->type : h->array ? "application/json" : NULL;
    r->id = (struct pair_plan){h->id_header, token};
}

const struct protocol protocol_plain = {
    .room = room, .coding = coding, .address = address, .classify = classify};
