/*
 * waiting - a start for which the disk has no room: the server is there, says why it is
 * not ready, and sends clients away for a while, until there is room.
 */
#pragma once

#include <ev.h>
#include <stdbool.h>

#include "server/certificates.h"
#include "server/listening.h"

struct policy;

struct waiting {
    struct listenings listeners; /* n 0: not known yet */
    struct listening admin;
    struct policy *policy;            /* that names them: whom they trust and let in */
    struct certificates certificates; /* of these: clients of TLS get answers, too */
    char data_dir[4096];
    char why[512];       /* the result of the start, */
    char told[512];      /* and its line in the log */
    ev_signal guards[3]; /* of waiting_guard */
    bool guarded;
};

/* From here on signals that come between two tries of the start wait for the next loop,
 * and do not kill. Called before the first try lets its own watchers go. */
void waiting_guard(struct waiting *w);

enum waiting_end {
    WAITING_AGAIN = 0, /* the start may be tried again */
    WAITING_TOLD,      /* SIGTERM or SIGINT */
    WAITING_FAILED     /* its ports can't be had: the log says why */
};

/* w lives as long as the process. */
enum waiting_end waiting_for_room(struct waiting *w);

/* The start has come to its end: nothing of the wait is kept. */
void waiting_over(struct waiting *w);
