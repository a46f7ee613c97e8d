/*
 * supervisor - the main thread: policy, spool, sinks, workers, admin, signals.
 *
 *   supervisor_run: start -> serve -> (reload)* -> drain -> stop
 *
 * Blocks until SIGTERM or SIGINT. The main thread only.
 */
#pragma once

#include "base/attr.h"

struct supervisor_conf {
    const char *policy_path;
    const char *listen;   /* NULL: the policy's */
    const char *admin;    /* NULL: the policy's */
    const char *data_dir; /* made if missing */
};

/* Exit codes of the program. */
enum {
    EXIT_OK = 0,
    EXIT_POLICY = 1, /* the policy is wrong; nothing was started */
    EXIT_USAGE = 2,
    EXIT_SETUP = 3,  /* a socket, the spool or a sink can't be used */
    EXIT_STUCK = 70, /* a hook did not come back */
    EXIT_PANIC = 71  /* Lua ran out of memory outside of a call: policy/run/run.h */
};

int supervisor_run(const struct supervisor_conf *c) MUST_USE;
