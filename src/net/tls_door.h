/*
 * tls_door - the context that a listener's new connections get. Renewed certificates
 * are set here, by any thread, while workers take it; connections keep theirs.
 *
 *   tls_door_new -> (tls_door_set | tls_door_take)* -> tls_door_free
 */
#pragma once

struct tls_context;
struct tls_door;

struct tls_door *tls_door_new(struct tls_context *c); /* takes c; NULL: none yet */
void tls_door_set(struct tls_door *d, struct tls_context *c); /* takes c */
struct tls_context *tls_door_take(struct tls_door *d);        /* a reference, or NULL */
void tls_door_free(struct tls_door *d);                       /* NULL is fine */
