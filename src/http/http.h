/*
 * http - one worker's connections: requests in, answers out in order.
 *
 *   http_server_new -> (on_headers -> on_body -> http_answer)* -> http_server_free
 *
 * Everything on one loop thread. A connection, its request and their buffers
 * come from pools bounded by max_connections; nothing allocates per request.
 */
#pragma once

#include <ev.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/address.h"
#include "base/attr.h"
#include "base/str.h"
#include "base/tls_peer.h"

struct http_server;
struct http_request;
struct tls_door;

struct http_limits {
    uint64_t max_body;          /* bytes after inflating; -> 413 */
    uint32_t max_headers_bytes; /* -> 431 and close */
    uint32_t max_connections;   /* beyond: 503 and close */
    uint32_t max_per_address;   /* from one address on one socket; 0: any number */
    int max_descriptor;         /* of a connection; the same; 0: any */
    uint64_t max_buffered;      /* bytes of all connections that are read and not
                                   parsed, or answered and not sent; > 0 */
    int64_t header_timeout_ms;  /* -> 408 and close; > 0 each */
    int64_t body_timeout_ms;    /* without 16 KiB more of the body: the same;
                                   without reading any answer: close */
    int64_t idle_timeout_ms;    /* keep-alive: close */
    bool need_length;           /* POST without a length -> 411 */
};

enum { HTTP_LINES_BYTES = 2048, HTTP_REFUSAL_BYTES = 8192, HTTP_LISTENERS_MAX = 65 };

/* TLS of a listener. */
struct http_tls {
    struct tls_door *door;        /* the owner's; outlives the server. NULL: no TLS */
    int64_t handshake_timeout_ms; /* from accept on; then close */
    uint32_t max_handshakes;      /* of a server, under way at once; beyond: close */
};

/* The header that names the client of a request that trusted proxies passed on. */
enum http_forwarded { HTTP_FORWARDED_NONE, HTTP_X_FORWARDED_FOR, HTTP_FORWARDED };

/* What holds for one listening socket, beside the limits. Its views live until other
 * ones are set. */
struct networks_plan;

struct http_listener {
    const char *name;         /* of its metrics; NULL: it has none. Only read first */
    uint32_t max_connections; /* 0: only those of the limits hold */
    uint32_t max_per_address; /* 0: that of the limits; not of trusted addresses */
    bool proxy_protocol; /* a connection begins with a PROXY header; without one, or
                                 from an address that is not trusted, it is closed */
    enum http_forwarded forwarded;
    const struct subnet *trusted;
    uint32_t n_trusted;
    bool trusts_local; /* who connects by a Unix socket */
    /* Whether an address (NULL: none is known) may connect; others are closed without an
     * answer. access NULL: all may. */
    bool (*admits)(const struct networks_plan *access, const struct address *a,
                   bool local);
    const struct networks_plan *access;
    struct http_tls tls;
};

/* HTTP_DETECT: by the body's first bytes. */
enum http_encoding {
    HTTP_IDENTITY,
    HTTP_GZIP,
    HTTP_DEFLATE,
    HTTP_ZSTD,
    HTTP_BROTLI,
    HTTP_DETECT
};

/* Views live from on_headers until the return of on_body. */
struct http_view {
    struct str method, path, query; /* path without '?' and query */
    const struct str_pair *headers; /* names as sent, each once: the values of one
                                       that was sent twice are one list */
    uint32_t n_headers;
    struct str content_type; /* whole value; {NULL, 0}: none */
    uint64_t content_length; /* UINT64_MAX: chunked */
    struct str body;         /* in on_body; HTTP pad bytes readable after */
    struct str sent;         /* in on_body: the body as it came, before inflating */
    struct str peer;         /* the client: "10.0.0.7", "2001:db8::7", "unix" */
    uint32_t listener;       /* place of the socket that it came by */
    /* In on_headers: it has passed that of the server before; it is not charged again. */
    bool moved;
    const struct tls_peer *tls; /* of the connection; NULL: it has no TLS */
};

/* An answer that http itself gives: 400, 408, 411, 413, 415, 417, 431, 501, 503, 505. */
struct http_refusal {
    int status;
    const char *code, *detail; /* as the answer has them; detail may be NULL */
    char *lines; /* HTTP_LINES_BYTES with the NUL, for whole lines; "" at first. A
                    Content-Type comes first */
    char *text;  /* HTTP_REFUSAL_BYTES: the body, or another in its place; NULL: it has
                    been sent */
    size_t n;    /* of its bytes */
};

struct http_ops {
    /* The headers are whole. Answer with http_answer to refuse (the rest of the
     * body is discarded or the connection closed, so that the client can read
     * the answer; 100-continue is then not sent); else return, and on_body
     * follows. *user of http_user is the owner's. */
    void (*on_headers)(void *arg, struct http_request *r, const struct http_view *v);

    /* The whole body, inflated. Owes exactly one http_answer, now or later. */
    void (*on_body)(void *arg, struct http_request *r, const struct http_view *v);

    /* A body that does not come in one piece has so many bytes in memory, or is about
     * to. False: refused by http_answer, as in on_headers. May be NULL. */
    bool (*on_progress)(void *arg, struct http_request *r, const struct http_view *v,
                        uint64_t bytes);

    /* A request that passed on_headers and owes no answer any more (client
     * gone, body refused), before on_body came. Not after on_body: answers
     * to a gone client are swallowed. */
    void (*on_abort)(void *arg, struct http_request *r);

    /* http itself answers: for the counters, and for the lines and the body that this
     * answer needs. v: as far as the head has come; NULL: not even its path. r: the
     * request, whose user part is as the owner left it; NULL: a connection that is turned
     * away. */
    void (*on_refusal)(void *arg, struct http_request *r, const struct http_view *v,
                       struct http_refusal *no);

    /* A body that is compressed has come whole, as v->sent: nothing of it has been
     * inflated. False: refused by http_answer, as in on_headers, and nothing follows. May
     * be NULL. */
    bool (*on_sent)(void *arg, struct http_request *r, const struct http_view *v);
};

/* ---- request.c ---- */

/* 128 bytes of the owner's in each request, zeroed before on_headers. */
void *http_user(struct http_request *r);

/* The connection that r came on: 1, 2, … as they were accepted. */
uint64_t http_connection(const struct http_request *r);

/* The other end of its connection, or who its PROXY header names; lives as long as r. */
struct str http_peer(const struct http_request *r);

/* In on_headers: what Content-Encoding says, and what holds instead. */
enum http_encoding http_encoding(const struct http_request *r);
void http_set_encoding(struct http_request *r, enum http_encoding how);

/* body is copied (any length; application/json). headers: "" or whole lines
 * each ending in \r\n. Never sent from inside this call: output goes out at
 * the end of the turn (http_server_flush or the loop's). Pipelined answers wait
 * for those before them. */
void http_answer(struct http_request *r, int status, const char *headers,
                 struct str body);

/* ---- preface.c ---- */

/* Whether the connection and all clients that its proxies name are of this machine. A
 * proxy that is not trusted, or names nobody, speaks for others. Before the answer. */
bool http_is_local(const struct http_request *r, const struct http_view *v) MUST_USE;

/* ---- server.c ---- */

/* limits are copied. */
struct http_server *http_server_new(struct ev_loop *loop,
                                    const struct http_limits *limits,
                                    const struct http_ops *ops, void *arg);

/* Accepts from another listening socket, which is the caller's; its place is the number of
 * those before it. fd -1: it has a place, and no connections. o NULL: all defaults. */
void http_server_listen(struct http_server *s, int fd, const struct http_listener *o);

/* Live change of the one at that place. */
void http_server_listener(struct http_server *s, uint32_t place,
                          const struct http_listener *o);

/* Live change, for connections from now on and the next request of others. */
void http_server_limits(struct http_server *s, const struct http_limits *l);

/* Sends the answers that are ready: called after each commit. */
void http_server_flush(struct http_server *s);

/* Accepts until EAGAIN, then stops accepting; idle connections close; others
 * finish with Connection: close. */
void http_server_drain(struct http_server *s);
/* While it is on, each answer closes its connection, and so do idle ones; new connections
 * are let in. */
void http_server_rest(struct http_server *s, bool on);
uint32_t http_server_open(const struct http_server *s); /* connections */
void http_server_free(struct http_server *s);           /* closes all */
