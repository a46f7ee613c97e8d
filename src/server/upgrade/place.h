/*
 * place - what a process leaves to the one that takes its place: its listening sockets,
 * and its connections. The same process, when the other fails.
 *
 *   place_init -> place_socket* -> place_connection* -> place_take_socket* -> place_fini
 *
 * The main thread.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "http/handover.h"

struct policy;

enum { PLACE_ADDRESS = 160 };

struct place_socket {
    char address[PLACE_ADDRESS]; /* listening_key: as the policy or command names it */
    int fd;                      /* -1: taken */
};

struct place_connection {
    char listener[PLACE_ADDRESS]; /* the key of the listener that it came to */
    struct http_handed conn;
};

struct place {
    int channel; /* to the other process: channel.h; -1: none */
    pid_t
        pid; /* of that one, when it is the next; 0: it is the one before, or has ended */
    bool taken; /* the process before left no word: its lock may last a moment */
    struct policy *policy; /* the one that was live, for a start that the other process
                              did not come to; NULL: the file's */
    bool joining;          /* connections of the process before are still to come */
    bool drains;           /* who serves is to end at once */
    bool reloads;          /* who serves is to read the policy's file once more */
    bool resting;          /* who serves sends clients elsewhere: an operator's word */
    pid_t below;           /* the process that stands in for this one: stand_in.h */
    int link;              /* to that one: link.h; -1: none */
    struct place_socket *sockets;
    uint32_t n_sockets;
    struct place_connection *connections;
    uint32_t n_connections, room;
};

void place_init(struct place *p);
void place_fini(struct place *p); /* closes what nobody took */

/* Both take the descriptor, and the bytes. */
void place_socket(struct place *p, const char *address, int fd);
void place_connection(struct place *p, const char *listener,
                      const struct http_handed *h);

/* One that was only accepted, and waits for the start. */
void place_accepted(struct place *p, const char *listener, int fd);

/* A listening socket of that address, the caller's from now on; -1: none is left. */
int place_take_socket(struct place *p, const char *address);
