/*
 * listener - the sockets of a policy: those of clients, the operators' one, and what holds
 * for all connections. Part of a plan (plan.h), and as immutable.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/address.h"
#include "base/str.h"

struct networks_plan; /* plan/limit.h */
struct tls_plan;      /* plan/tls_plan.h */

enum forwarded_header {
    FORWARDED_NONE,
    FORWARDED_X_FOR, /* X-Forwarded-For */
    FORWARDED_RFC    /* Forwarded, RFC 7239 */
};

/* A listening socket. */
struct listener_plan {
    const char *address;        /* "0.0.0.0:8443", "unix:/run/in.sock", "systemd:in" */
    uint32_t mode;              /* of a Unix socket's file, and its owner: */
    const char *user, *group;   /* NULL: those of the process */
    uint32_t max_connections;   /* of a worker; 0: the server's alone holds */
    uint32_t max_per_address;   /* 0: the server's holds */
    const struct tls_plan *tls; /* NULL: plain HTTP */
    const struct subnet *trusted; /* proxies */
    uint32_t n_trusted;
    bool trusts_local; /* who connects to a Unix socket is one, too */
    bool proxy_protocol;
    enum forwarded_header forwarded;    /* that they write; NONE without trusted ones */
    const char *health;                 /* path; NULL: none */
    const struct networks_plan *access; /* NULL: anybody may connect */
    const uint64_t *serves;             /* bit i: it serves routes[i]; NULL: all */
};

struct admin_plan {
    struct listener_plan listener;
    struct str token;         /* n 0: none */
    const char *const *hosts; /* names that it may be called by */
    uint32_t n_hosts;
};

struct server_plan {
    uint32_t workers;  /* 0 = auto */
    uint64_t max_body; /* bytes, after inflating */
    uint32_t max_events, max_depth, max_headers_bytes, max_connections;
    uint32_t max_per_address; /* of these; 0: any number */
    bool share_port;          /* with another process */
    bool core_dumps;          /* the process may leave some */
    const char *user;         /* that root becomes; NULL: none */
    enum sandbox_mode { SANDBOX_OFF, SANDBOX_AUTO, SANDBOX_REQUIRED } sandbox;
    int64_t header_timeout_ms, body_timeout_ms, idle_timeout_ms, drain_ms,
        drain_delay_ms;
};
