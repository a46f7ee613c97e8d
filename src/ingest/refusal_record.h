/*
 * refusal_record - the line that is stored of what a route refused. Pure; any thread.
 *
 *   {"refused":{"code":"missing_field","field":"id","message":"..."},
 *    "route":"POST /v1/events","peer":"10.0.0.7","time":1763900000000,
 *    "path":"/v1/events","query":"k=v","type":"application/json","index":3,
 *    "raw":"...","bytes":12345,"cut":true}
 *
 * The format is public (conf/REFUSED.md).
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/str.h"

struct event;
struct event_batch;
struct outcome;

struct refusal_record {
    const char *code, *field, *message; /* field, message: NULL, none */
    const char *method, *route;         /* "POST", "/v1/:kind" */
    struct str path, query, type;       /* as sent; query, type: "" none */
    struct str peer;
    uint64_t time_ms;
    int64_t index;  /* of a batch's event, from 0; -1: raw is all that was sent */
    struct str raw; /* as sent, whole */
    uint64_t max;   /* bytes of raw that are kept */
};

/* Whether the client loses ev with this answer: it was refused for good, itself or with
 * its batch. */
bool refusal_is_lost(const struct event *ev, const struct outcome *o);

/* The record of an event of b, from what all records of its request share; many: the
 * request may have several events, so that it has its place and its own bytes. */
struct refusal_record refusal_record_of(const struct refusal_record *request,
                                        const struct event_batch *b,
                                        const struct event *ev, bool many);

/* The most bytes that refusal_record_write writes. */
size_t refusal_record_bound(const struct refusal_record *r);

/* One line without its newline; returns its length. raw stands as "raw" where the kept
 * part is UTF-8, which is cut between two characters, otherwise as "raw_base64". */
size_t refusal_record_write(const struct refusal_record *r, char *out);
