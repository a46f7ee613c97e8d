/*
 * peers - how many connections each client address has open.
 *
 *   peers_new -> (peers_enter -> peers_leave)* -> peers_free
 *
 * One loop thread. Memory: one entry for each address that has a connection.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>

#include "base/address.h"

struct peers;

/* One client: an IPv4 address, also one mapped into IPv6, or the first 64 bits of an
 * IPv6 address, because a client may choose the others. */
struct peer {
    uint8_t bytes[16];
};

/* The other end of a connection: the client's, or the last proxy's before sluice. */
struct conn_origin {
    struct address address;
    bool local;   /* a Unix socket: no address */
    bool unknown; /* another family */
};

struct conn_origin origin_of(const struct sockaddr_storage *sa);
struct conn_origin origin_of_text(struct str peer); /* as peer_show wrote it */

struct peers *peers_new(void);
void peers_free(struct peers *p); /* NULL is fine */

struct peer peer_of(const struct sockaddr_storage *sa);
struct peer peer_of_address(const struct address *a);

/* The address as text, IPv4 ones as such: "10.0.0.7"; "unix"; "" for other families. */
void peer_show(const struct sockaddr_storage *sa, char *out, size_t n);

uint32_t peers_count(const struct peers *p, const struct peer *who);
void peers_enter(struct peers *p, const struct peer *who);
void peers_leave(struct peers *p, const struct peer *who); /* had entered */
