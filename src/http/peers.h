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

struct peers;

/* One client: an IPv4 address, also one mapped into IPv6, or the first 64 bits of an
 * IPv6 address, because a client may choose the others. */
struct peer {
    uint8_t bytes[16];
};

struct peers *peers_new(void);
void peers_free(struct peers *p); /* NULL is fine */

struct peer peer_of(const struct sockaddr_storage *sa);

/* The address as text, IPv4 ones as such: "10.0.0.7"; "unix"; "" for other families. */
void peer_show(const struct sockaddr_storage *sa, char *out, size_t n);

uint32_t peers_count(const struct peers *p, const struct peer *who);
void peers_enter(struct peers *p, const struct peer *who);
void peers_leave(struct peers *p, const struct peer *who); /* had entered */
