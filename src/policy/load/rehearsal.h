/*
 * rehearsal - a policy's examples, run before it is used. The state's thread.
 */
#pragma once

#include "base/arena.h"
#include "decode/event.h"

struct policy_state;

/* The events of a state's examples. They stay as long as the state does, because a hook
 * may have kept one, and have epochs that no worker's requests come to: it then reads
 * an event of an earlier request, not freed memory. */
struct rehearsal {
    struct arena arena;
    struct event_batch batch;
};
enum { REHEARSAL_EPOCH = 1 << 30 };

void rehearsal_free(struct rehearsal *r); /* NULL is fine */

/* Runs those of the result on top; problems are added to it. */
void examples_run(struct policy_state *s);
