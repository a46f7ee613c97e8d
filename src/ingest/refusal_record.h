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

#include <stddef.h>
#include <stdint.h>

#include "base/str.h"

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

/* The most bytes that refusal_record_write writes. */
size_t refusal_record_bound(const struct refusal_record *r);

/* One line without its newline; returns its length. raw stands as "raw" where the kept
 * part is UTF-8, which is cut between two characters, otherwise as "raw_base64". */
size_t refusal_record_write(const struct refusal_record *r, char *out);
