/*
 * mailbox - tasks handed to another thread's loop, run there in order.
 *
 *   mailbox_init (owner) -> mailbox_post* (any thread) -> mailbox_fini (owner)
 *
 * Not for events: for reloads, stops and wake-ups.
 */
#pragma once

#include <ev.h>
#include <pthread.h>
#include <stdbool.h>

typedef void mailbox_fn(void *arg);

struct mailbox_task;

struct mailbox {
    struct ev_loop *loop;
    ev_async wake;
    pthread_mutex_t lock;
    struct mailbox_task *first, *last;
};

void mailbox_init(struct mailbox *m, struct ev_loop *loop);

/* fn(arg) will run on the owner's thread in a later turn. */
void mailbox_post(struct mailbox *m, mailbox_fn *fn, void *arg);

/* Runs the remaining letters, then stops the watcher. */
void mailbox_fini(struct mailbox *m);
