/*
 * handover - connections that go from one server to another: their clients notice nothing,
 * also when a request has come in part.
 *
 *   http_server_last_call (of TLS) -> http_server_called
 *     -> http_server_hand_over -> (http_server_hurry | hand)* ... http_server_adopt (of
 *        the other server)
 *
 * A session of TLS is in its process alone: its connection ends with its next answer,
 * for which the last call gives time while others are accepted still. A request that
 * waits for its answer gets it from the server that has read it.
 *
 * On the loop's thread of the server.
 */
#pragma once

#include <stddef.h>

#include "http/http.h"
#include "http/peers.h"

/* Its client may have sent more already. The descriptor and the bytes are the owner's. */
struct http_handed {
    int fd;
    struct peer who;   /* for max_per_address */
    char peer[48];     /* its other end, or the client of its PROXY header */
    uint32_t listener; /* place of the one that it came by */
    bool served;       /* it has had a request */
    bool known;        /* its PROXY header is over, if it has one */
    bool ends;         /* nothing is read from it any more */
    bool let_in;       /* the request that it is within has passed on_headers */
    char *bytes;       /* by malloc; NULL: none */
    size_t n_out;      /* of them first: answers that its client has not taken yet, */
    size_t n_in;       /* then what was read of the next request */
};

/* Within http_server_hand_over, or later. Takes h->fd and h->bytes; h lives until it
 * returns. Must not block. */
typedef void http_hand_fn(void *arg, const struct http_handed *h);

void http_handed_drop(struct http_handed *h); /* closes it */

/* Connections that can't be handed over end with their next answer, from now on. */
void http_server_last_call(struct http_server *s);
/* The hand-over does not come: they are kept again. */
void http_server_no_call(struct http_server *s);
/* None of those is left that were open then; soon, because http_server_hurry ends them. */
bool http_server_called(const struct http_server *s);

/* Stops accepting. Each connection goes to hand once no request of it waits for its
 * answer; until then it is served. The other server must accept from the listening
 * socket. */
void http_server_hand_over(struct http_server *s, http_hand_fn *hand, void *arg);
/* Ends those that can't go and have had their time. To be called now and then. */
void http_server_hurry(struct http_server *s);

/* One that another server has handed over; takes h->fd and h->bytes. */
void http_server_adopt(struct http_server *s, const struct http_handed *h);
