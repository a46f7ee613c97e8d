/*
 * request - the parts of a request's head that a policy can read. Pure.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/attr.h"
#include "base/str.h"
#include "base/tls_peer.h"

struct csv_table;
struct jwt_verifier;

/* On FFI's side struct sluice_request. The texts live as long as the request. */
struct policy_request {
    double time_ms; /* wall clock of this turn */
    double mono_ms; /* for durations; 0: time_ms serves, as in tests */
    struct str method, path, query, peer;
    const struct tls_peer *tls; /* NULL: it came without TLS */
    const struct str_pair *headers;
    uint32_t n_headers;
    uint32_t listener; /* place of the one that it came by */
    bool stored; /* its events were stored before: they have the values of the route */
    bool moved;  /* its on_request was asked by the process before: http_view */
    /* The row of the key that was accepted, in that table of the policy. */
    const struct csv_table *key_rows; /* NULL: there is none */
    uint16_t key_table;               /* from 1; 0: there is none */
    int32_t key_row;
    /* The method of the route's auth that accepted the request, from 1; REQUEST_UNSIGNED:
     * one will be asked when its body has come; REQUEST_SIGNED: that was done; 0: none. */
    uint8_t auth;
    struct str sent;          /* the body as it came; p NULL: as it is handed over */
    struct jwt_verifier *jwt; /* has accepted token; NULL: none */
    struct str token;
};

enum { REQUEST_UNSIGNED = 255, REQUEST_SIGNED = 254 };

enum request_part {
    REQUEST_PARAM,      /* of the route's path: percent-encoded */
    REQUEST_ARG,        /* of the query: percent-encoded, + is a space */
    REQUEST_HEADER,     /* as sent; the first of several */
    REQUEST_BASIC_USER, /* of Authorization: Basic; base64 */
    REQUEST_BASIC_PASSWORD,
    REQUEST_PEER,
    REQUEST_KEY, /* of the row of the accepted key: a column */
    REQUEST_TLS, /* of the connection: version, cipher, host, subject, fingerprint, ca */
    REQUEST_CLAIM /* of the accepted token; a text, a number's digits, true or false */
};

/* The part as sent; pattern is the route's path. p is NULL: there is none. */
struct str request_raw(const struct policy_request *q, const char *pattern,
                       enum request_part part, struct str name) MUST_USE;

/* Undoes a part's encoding; out has raw.n bytes. Returns the length. False: it is
 * no such encoding. */
bool request_decode(enum request_part part, struct str raw, char *out,
                    size_t *n) MUST_USE;

/* Percent-encoding undone; a % without two hex digits stays. out has raw.n bytes. */
size_t request_unescape(struct str raw, bool plus, char *out);

/* Whether a path with parameters ("/v1/:kind") has path; each stands for one part
 * that is not empty. */
bool request_matches(const char *pattern, struct str path);
