/*
 * renewal - the certificates that new connections of the listeners get: those of the
 * live policy, and new ones when their files change. A file that is wrong changes
 * nothing.
 *
 *   renewal_new -> (renewal_set -> renewal_door*)* -> renewal_free
 *
 * The supervisor's thread. It reads small files of the disk every few seconds.
 */
#pragma once

#include <stdint.h>

struct certificates;
struct ev_loop;
struct policy;
struct renewal;
struct tls_door;
struct tls_tickets;

/* Keeps tickets, for all listeners. */
struct renewal *renewal_new(struct ev_loop *loop, struct tls_tickets *tickets);
void renewal_free(struct renewal *r); /* the workers have ended; NULL is fine */

/* The keys of tickets, of all listeners; any thread may use them. */
struct tls_tickets *renewal_tickets(struct renewal *r);

/* p is about to be live; takes what c has. c NULL: p is live, and its files are read now;
 * those that are wrong leave the certificates as they are. */
void renewal_set(struct renewal *r, struct policy *p, struct certificates *c);

/* The door of a listener's place; lives as long as r. */
struct tls_door *renewal_door(struct renewal *r, uint32_t place);
