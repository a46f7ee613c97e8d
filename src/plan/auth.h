/*
 * auth - what a route asks of a request before it is let in: the methods by which a
 * client may say who it is. Pure; the decision itself is policy/run/auth.c's.
 *
 *   route->auth: methods in the order of the policy; one that accepts is enough
 *     auth_credential   the text that a client sent for a method
 *     auth_reason       why it is refused, in metrics and answers
 *
 * A new kind: its word in lua/sluice/words_auth.lua and auth.lua, an AUTH_… here, its
 * options in struct auth_method, build_auth (policy/build/auth.c), and its function in
 * policy/run/auth.c: before the body (policy_authenticate), or after it, with
 * auth_plan.needs_body (policy_authenticate_body).
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/attr.h"
#include "base/str.h"
#include "plan/request.h"

struct client_cert; /* plan/client_cert.h */
struct key_plan;    /* plan/key_table.h */
struct hmac_form;   /* signature/hmac_form.h */
struct jwt_rules;   /* signature/jwt.h */

enum { AUTH_METHODS_MAX = 8, AUTH_CHALLENGE_BYTES = 512 };

enum auth_kind {
    AUTH_BEARER, /* Authorization: Bearer KEY */
    AUTH_BASIC, /* Authorization: Basic; the password is the key, or without one the user */
    AUTH_HEADER, /* NAME: KEY */
    AUTH_QUERY,  /* ?NAME=KEY */
    AUTH_JWT,    /* Authorization: Bearer TOKEN */
    AUTH_HMAC,   /* a signature of the body, in a header */
    AUTH_CERT    /* the client's certificate of a TLS connection */
};

struct auth_method {
    enum auth_kind kind;
    struct str name;             /* AUTH_HEADER, AUTH_QUERY, AUTH_HMAC */
    struct str stamp;            /* AUTH_HMAC: the header of the time; n 0: none */
    const struct key_plan *keys; /* of the first four kinds; AUTH_CERT: may be NULL */
    const struct client_cert *cert; /* AUTH_CERT */
    const struct hmac_form *hmac;   /* AUTH_HMAC */
    const struct jwt_rules *jwt;    /* AUTH_JWT */
    uint32_t jwt_index;             /* of plan->secrets->jwts */
};

/* What hmac { } and jwt { } of all routes have; in plan->arena, what they own apart. */
struct auth_secrets {
    struct hmac_form *hmacs;
    struct jwt_rules *jwts;
    uint32_t n_hmacs, n_jwts;
};

/* In plan->arena. */
struct auth_plan {
    const struct auth_method *methods;
    uint32_t n;
    /* Lines WWW-Authenticate: of a request without a credential, and of one with a
     * wrong one (RFC 6750, 3.1). */
    const char *challenge, *challenge_wrong;
};

/* Why a request is refused; AUTH_OK: it is not. */
enum auth_reason {
    AUTH_OK = 0,
    AUTH_MISSING,
    AUTH_MALFORMED, /* there is a text, but not in the form of the method */
    AUTH_UNKNOWN,
    AUTH_EXPIRED,
    AUTH_DISABLED,
    AUTH_SIGNATURE,  /* a signature is not good */
    AUTH_CLAIMS,     /* a token is for another time, from others or for others */
    AUTH_UNREADABLE, /* the keys can't be read: 503 */
    AUTH_REASONS
};

/* "missing": a label of metrics. */
const char *auth_reason_word(enum auth_reason r);

/* For a key of KEY_TEXT_MAX whose every byte is escaped, and one with a user in base64. */
enum { AUTH_ROOM_BYTES = 3 * 2048 };

/* AUTH_OK: *key is what the client sent for m, a view of the request or of room, which
 * has room_bytes; else AUTH_MISSING or AUTH_MALFORMED. */
enum auth_reason auth_credential(const struct auth_method *m,
                                 const struct policy_request *q, char *room,
                                 size_t room_bytes, struct str *key) MUST_USE;

/* Writes the lines of the two challenges; each has AUTH_CHALLENGE_BYTES. */
void auth_challenges(const struct auth_method *methods, uint32_t n, char *missing,
                     char *wrong);

/* Whether a key may stand in the query; a may be NULL. */
bool auth_in_query(const struct auth_plan *a);

/* The query without the parameters that have keys: what events and records get. out has
 * query.n bytes and gets the text. */
struct str auth_without_keys(const struct auth_plan *a, struct str query, char *out);
