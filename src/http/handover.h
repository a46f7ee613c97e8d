/*
 * handover - connections that go from one server to another between two requests: their
 * clients notice nothing.
 *
 *   http_server_hand_over -> hand* ... http_server_adopt (of the other server)
 *
 * On the loop's thread of the server.
 */
#pragma once

#include "http/http.h"
#include "http/peers.h"

/* Its client may have sent the next request already. The descriptor is the owner's. */
struct http_handed {
    int fd;
    struct peer who;   /* for max_per_address */
    char peer[48];     /* its other end, or the client of its PROXY header */
    uint32_t listener; /* place of the one that it came by */
    bool served;       /* it has had a request */
};

/* Within http_server_hand_over, or later. Takes h->fd; h lives until it returns. Must
 * not block. */
typedef void http_hand_fn(void *arg, const struct http_handed *h);

/* Stops accepting. Each connection goes to hand once it is between two requests; until
 * then it is served. The other server must accept from the listening socket. */
void http_server_hand_over(struct http_server *s, http_hand_fn *hand, void *arg);

/* One that another server has handed over; takes h->fd. */
void http_server_adopt(struct http_server *s, const struct http_handed *h);
