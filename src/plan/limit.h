/*
 * limit - how much a key may send, and who may send at all: the limits of a policy, which
 * of them a route is held to, and networks that are allowed or denied. Part of a plan
 * (plan.h), and as immutable. Pure.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/address.h"
#include "base/attr.h"
#include "base/str.h"
#include "plan/request.h"

struct cidr_table;

enum limit_by {
    LIMIT_BY_ALL,
    LIMIT_BY_PEER,
    LIMIT_BY_PATH,
    LIMIT_BY_PART,
    LIMIT_BY_EVENT
};

struct limit_plan {
    const char *name;
    double amount;     /* tokens a second, or events a window; 0: by column */
    double otherwise;  /* of a row without a number, in the column's unit; < 0: none */
    uint32_t burst;    /* tokens; 0: those of a second */
    uint32_t window_s; /* > 0: a quota */
    uint32_t unit_s;   /* of the numbers in column */
    uint32_t max_keys;
    struct str column; /* of the client's key; p NULL: amount holds for all */
    enum limit_by by;
    enum request_part part; /* LIMIT_BY_PART, with its name */
    struct str part_name;
};

enum limit_headers {
    LIMIT_HEADERS_NONE,
    LIMIT_HEADERS_SEPARATE,
    LIMIT_HEADERS_COMBINED
};

enum { ROUTE_LIMITS_MAX = 8 };

struct route_limits {
    uint32_t list[ROUTE_LIMITS_MAX]; /* places in plan->limits */
    uint32_t n;
    enum limit_headers headers;
};

/* How much one key may send. */
enum limit_kind {
    LIMIT_AMOUNT,
    LIMIT_UNLIMITED, /* its row says so */
    LIMIT_ZERO,      /* its row has 0 */
    LIMIT_UNSET      /* its row has no number, or there is no row */
};
struct limit_amount {
    double amount; /* tokens a second, or events a window */
    double burst;  /* tokens */
};

enum limit_kind limit_amount(const struct limit_plan *l, const struct policy_request *q,
                             struct limit_amount *out);

/* The number of a column: digits, of a rate with a fraction. */
enum limit_kind limit_number(struct str cell, bool fraction, double *out);

/* What a request counts by. peer: room for the network of an address. */
enum { LIMIT_PEER_BYTES = 9 };
struct str limit_key(const struct limit_plan *l, const char *pattern,
                     const struct policy_request *q, char peer[LIMIT_PEER_BYTES]);
/* The same of an address's text: an IPv4 address, also one that is mapped into IPv6, or
 * the first 64 bits of an IPv6 one, because a client may choose the others. */
struct str limit_peer(struct str text, char peer[LIMIT_PEER_BYTES]);

/* Networks: */

struct network_list {
    const struct subnet *subnets;
    uint32_t n;
    const struct cidr_table *const *tables;
    uint32_t n_tables;
    bool local; /* Unix sockets, too */
    bool given; /* false: the policy has no such list */
};

/* What deny has is refused; then what allow, if it is given, lacks. */
struct networks_plan {
    struct network_list allow, deny;
};

/* address NULL: a Unix socket's other end, or none that is known: in none of the
 * networks. */
bool networks_allow(const struct networks_plan *a, const struct address *address,
                    bool local);
/* By the text that a request's peer is. */
bool networks_allow_text(const struct networks_plan *a, struct str peer);
