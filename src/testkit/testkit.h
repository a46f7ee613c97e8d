/*
 * testkit - a policy without a server, for specs: the very decoding, checks and hooks
 * that a worker runs, as a flat C interface of libsluice.so.
 *
 *   sluice_kit_load -> sluice_kit_ask* -> sluice_kit_free
 *
 * This text, minus its # lines, is fed to LuaJIT's ffi.cdef by lua/sluice/testing.lua:
 * plain C only. One thread. Results live until the next call on the same kit.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#pragma GCC visibility push(default)

enum { SLUICE_KIT_VERSION = 3 };

struct sluice_kit;

/* Bytes; not NUL-terminated. */
struct sluice_kit_text {
    const char *p;
    size_t n;
};

struct sluice_kit_pair {
    struct sluice_kit_text name, value;
};

struct sluice_kit_request {
    struct sluice_kit_text method, path, query, peer, content_type, body;
    struct sluice_kit_text tls_version; /* p NULL: the connection has no TLS */
    struct sluice_kit_text tls_cipher, tls_host, tls_subject, tls_fingerprint, tls_ca;
    double tls_expires_s; /* of the client's certificate; 0: never */
    const struct sluice_kit_pair *headers;
    uint32_t n_headers;
    double time_ms; /* the clock */
};

struct sluice_kit_event {
    uint32_t index; /* as the client counts, from 0 */
    uint32_t fate;  /* enum event_fate; 1 also when its batch was refused */
    uint32_t retry;
    const char *code, *field, *message; /* NULL: none */
};

/* A line as it would be stored. */
struct sluice_kit_line {
    const char *stream; /* "dead": the dead letters */
    uint32_t event;     /* place in the answer's events */
    struct sluice_kit_text text;
};

struct sluice_kit_answer {
    uint32_t status;
    struct sluice_kit_text headers; /* whole lines; those that a refusal adds */
    struct sluice_kit_text body;    /* the JSON that the client gets */
    uint32_t accepted, rejected, dropped, dead;
    uint32_t n_events, n_lines, n_refusals;
    const struct sluice_kit_event *events;
    const struct sluice_kit_line *lines;
    const struct sluice_kit_text *refusals; /* records that on_refused keeps */
    const char *code, *field, *message;     /* of the first refusal */
};

/* ---- load.c ---- */

uint32_t sluice_kit_version(void);

/* The declarations of this file. */
const char *sluice_kit_declarations(void);

/* Never NULL; text.p NULL: the file at path is read. env is all that the policy
 * finds in its environment; seed: of its random numbers, 0: by chance. */
struct sluice_kit *sluice_kit_load(const char *path, struct sluice_kit_text text,
                                   const struct sluice_kit_pair *env, uint32_t n_env,
                                   uint64_t seed);
void sluice_kit_free(struct sluice_kit *k);

uint32_t sluice_kit_ok(const struct sluice_kit *k);        /* 0: it is bad */
const char *sluice_kit_report(const struct sluice_kit *k); /* why, or notes */

/* The value of a counter or gauge; 0: there is none with so many labels. */
uint32_t sluice_kit_metric(struct sluice_kit *k, const char *name,
                           const struct sluice_kit_text *labels, uint32_t n,
                           double *value);

/* RFC 3339 text to milliseconds; 0: it is not such a text. */
uint32_t sluice_kit_moment(struct sluice_kit_text text, double *ms);

/* ---- describe.c ---- */

/* The plan as JSON; only of a good one, as all below. */
const char *sluice_kit_plan(struct sluice_kit *k);

/* ---- ask.c ---- */

void sluice_kit_ask(struct sluice_kit *k, const struct sluice_kit_request *req,
                    struct sluice_kit_answer *out);

/* ---- sink.c ---- */

/* The decision of the sink's breaker on these counts; 1: it opens. */
uint32_t sluice_kit_trip(struct sluice_kit *k, uint32_t sink, uint32_t requests,
                         uint32_t successes, uint32_t failures,
                         uint32_t consecutive_successes, uint32_t consecutive_failures,
                         uint32_t slow);

/* The target that batches of the sink have from then on; numbers in the order of
 * struct sink_load. */
uint32_t sluice_kit_adapt(struct sluice_kit *k, uint32_t sink, const double *load,
                          uint32_t n);

/* The topic and the key of the Kafka message that a stored event becomes; key.p
 * NULL: it has none. */
void sluice_kit_message(struct sluice_kit *k, uint32_t sink,
                        struct sluice_kit_text event, struct sluice_kit_text *topic,
                        struct sluice_kit_text *key);

#pragma GCC visibility pop
