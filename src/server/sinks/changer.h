/*
 * changer - the thread that alters sinks and streams. A disk, or a sink's thread, may
 * keep it waiting; the supervisor goes on answering and taking signals meanwhile.
 *
 *   changer_init -> changer_post* (any thread) -> changer_start -> changer_stop
 *
 * Jobs run one by one, in the order in which they are posted. After changer_stop they
 * are not run any more, and their done is called all the same.
 */
#pragma once

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/attr.h"
#include "base/latch.h"

struct change_job;
struct err;
struct mailbox;

struct changer {
    pthread_mutex_t lock;
    pthread_cond_t changed;
    struct change_job *first, **tail;
    struct mailbox *mail; /* the supervisor's */
    pthread_t thread;
    struct latch ended;
    bool runs, stopped; /* the thread; no job is begun any more */
    char at[96];        /* the sink that it is at; "": none */
    uint64_t began_ns;  /* the job under way (clock_mono_ns); 0: none */
};

/* mail outlives it. */
void changer_init(struct changer *c, struct mailbox *mail);
bool changer_start(struct changer *c, struct err *e) MUST_USE;

/* run(arg) on its thread, then done(arg) on the supervisor's; NULL: nothing then. */
typedef void changer_fn(void *arg);
void changer_post(struct changer *c, changer_fn *run, changer_fn *done, void *arg);

/* Its own thread says which sink it is at, for a caller that asks why it takes long. */
void changer_at(struct changer *c, const char *sink);
/* Whether one job has been under way for that long; the sink that it is at. */
bool changer_late(struct changer *c, uint64_t ns, char *sink, size_t bytes);

/* False: by until_ns (clock_mono_ns) it has not come back from a call; it still uses
 * its job's memory, and may be asked to stop again. */
bool changer_stop(struct changer *c, uint64_t until_ns) MUST_USE;
