/*
 * internal - the state of a sink that sends batches over HTTP, and the differences
 * between kinds of server (struct protocol). Shared by http.c (life, window),
 * endpoint.c (one url), upload.h (one batch), body.c (its bytes), clickhouse.c with
 * replicas.c, and plain.c. No other file includes it. One thread.
 */
#pragma once

#include <ev.h>

#include "sink/breaker.h"
#include "sink/hedging.h"
#include "sink/http/clickhouse/replicas.h"
#include "sink/http/data_error.h"
#include "sink/http/destination.h"
#include "sink/http/transfers.h"
#include "sink/meter.h"
#include "sink/queue.h"
#include "sink/sink.h"
#include "stats/stats.h"

enum { ENDPOINTS_MAX = 16 };

/* How bodies are compressed. */
enum coding {
    CODING_NONE,
    CODING_GZIP,  /* Content-Encoding: gzip; every server */
    CODING_ZSTD,  /* Content-Encoding: zstd; since 21.1 */
    CODING_NATIVE /* decompress=1: one zstd frame in ClickHouse's own framing, which
                      old servers know too, and inflate five times as fast as gzip */
};

struct endpoint;

/* The rules of one kind of server. */
struct protocol {
    /* The URL of a question to an endpoint before its first upload; learn: takes its
     * answer, true: it may be sent uploads. NULL: no question. */
    void (*question)(const struct endpoint *p, char *url, size_t max);
    /* Bytes that the URL of an upload or of a question may have. */
    size_t (*room)(const struct endpoint *p, const struct destination *to);
    bool (*learn)(struct endpoint *p, const struct transfer_answer *a);
    enum coding (*coding)(const struct endpoint *p);
    /* The URL of an upload, and the members of r that are the protocol's own; token:
     * the same for the same rows. attempt: 0, or 1 for a hedge. */
    void (*address)(const struct endpoint *p, const struct destination *to,
                    const char *token, unsigned attempt, char *url, size_t max,
                    struct transfer_request *r);
    /* again: it may have been taken when it was sent before. */
    struct data_error (*classify)(const struct endpoint *p,
                                  const struct transfer_answer *a, bool again);
};

extern const struct protocol protocol_clickhouse, protocol_plain;

struct endpoint {
    struct sink *sink;
    struct endpoint *next; /* of those that the policy has no more */
    char *url;             /* with its secrets */
    char shown[256];       /* for people: without */
    struct breaker breaker;
    struct meter meter;
    uint32_t version;        /* 18016: 18.16; 0: not asked yet */
    bool unsure;             /* an upload was not answered: it is asked before
                                  another is sent */
    bool brief;              /* it does not tell of the table's columns */
    char misfit[400];        /* why the table can't hold the rows; "": it can, or that
                                is not known */
    char failed[200];        /* why the last question failed; "": it was answered */
    int64_t asked_ms;        /* when it was asked last */
    int64_t after_ms;        /* not before then: it said so */
    struct transfer *asking; /* the protocol's question */
    uint64_t asked;          /* generation of the breaker */
    uint32_t n_refused;      /* parts, for their rows, since it took some */
    uint64_t taken_ns; /* clock_mono_ns when the last rows were sent that it took */
    struct replica table;
};

struct sink {
    struct sink_conf conf;
    const struct upload_plan *plan;
    const struct protocol *protocol;
    struct pair_plan login[2];       /* ClickHouse's */
    const struct pair_plan *headers; /* of every request */
    uint32_t n_headers;
    struct transfers *transfers;
    struct endpoint *endpoints[ENDPOINTS_MAX];
    uint32_t n_endpoints, turn;
    struct endpoint *gone;           /* an upload may still be under way there */
    struct destination *destination; /* of batches that can't be anywhere yet */
    struct body *bodies;
    struct upload *uploads;
    struct upload *probing; /* searches for the cause; NULL: none */
    bool resting;           /* another sink goes on: nothing more is sent, or waits */
    bool setup_failed;      /* the last was a setup error: one probe a time */
    bool none_passes;       /* no row of several batches passed */
    char why[800];          /* then: the server's words */
    uint64_t none[3];       /* ids of batches of which no row passed, since one did */
    uint32_t n_none;
    ev_timer look; /* at those that wait aside */
    uint32_t n_aside;
    size_t aside_bytes;
    uint64_t n_probes;
    uint64_t
        passed_ns; /* clock_mono_ns when the last rows were sent that a server took, */
    uint64_t none_ns;   /* and when the last of none was counted */
    bool probed_newest; /* the last probe was of a batch not tried before */
    bool given_up;      /* the probe was, and others waited for it */
    int64_t probe_at_ms, searches_ms;
    double searches;        /* uploads that may look for bad rows now */
    uint64_t too_large;     /* bytes of rows that were; 0: none was */
    uint32_t n_fitted;      /* parts taken since */
    double window;          /* uploads at once: AIMD */
    double slow_ms;         /* moving average of an upload's time */
    struct hedging hedging; /* n_attempts: uploads */
    struct replicas replicas;
    struct queue queue;
    stats_cell *hedges, *hedge_wins, *extra, *wire, *rows, *window_gauge,
        *hedging_gauge, *aside_gauge;
    struct stats_histogram *time;
};

/* ---- http.c ---- */

/* The members that every request has in common. */
struct transfer_request http_sink_request(const struct sink *s);
int64_t http_sink_now_ms(const struct sink *s);
void sink_slower(struct sink *s);
void sink_took(struct sink *s, uint64_t ns);

/* ---- endpoint.c ---- */

void endpoint_ask(struct endpoint *p);         /* unless that is under way */
void endpoint_ask_no_more(struct endpoint *p); /* its answers are not waited for */
struct endpoint *endpoint_new(struct sink *s, const char *url);
void endpoint_free(struct endpoint *p); /* nothing is under way */
/* The sink has another plan. */
void endpoint_renew(struct endpoint *p);
bool endpoint_is(const struct endpoint *p, const char *url);
void endpoint_show(struct endpoint *p); /* in metrics and log */
/* A set of the sink's endpoints: bit k is endpoints[k]. 0: one that it has no more. */
uint64_t endpoint_bit(const struct endpoint *p);
bool endpoint_all(const struct sink *s, uint64_t some); /* whether it has all */
/* An endpoint that takes a request now, but none of `except`; NULL: none, and *wait_ms;
 * < 0: one is asked whether it is there, and upload_asked comes. */
struct endpoint *endpoint_take(struct sink *s, uint64_t except, uint64_t *generation,
                               int64_t *wait_ms);
/* Whether one that is not of `except` could take a request now. */
bool endpoint_is_ready(const struct sink *s, uint64_t except);
/* Nothing goes there for so long. */
void endpoint_wait(struct endpoint *p, int64_t ms);
void endpoint_done(struct endpoint *p, uint64_t generation, bool ok, uint64_t ns);

/* ---- clickhouse/clickhouse.c ---- */

/* The URL of a query that only reads, and the bytes it needs. */
size_t clickhouse_query_room(const struct endpoint *p, const char *sql);
void clickhouse_query(const struct endpoint *p, const char *sql, char *out, size_t max);

/* ---- body.c ---- */

struct upload;

struct body *body_new(void);
void body_free(struct body *b);
/* Fills u->body with the compressed rows of part first, n. False: the library
 * refused. */
bool body_make(struct upload *u, uint32_t first, uint32_t n,
               enum coding coding) MUST_USE;
