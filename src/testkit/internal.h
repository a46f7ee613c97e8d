/*
 * internal - the parts that the files of this room share. No other file includes it.
 *
 *   load.c      a policy loaded
 *   ask.c       a request decided, and the lines that it would leave
 *   sink.c      its functions' decisions for a sink
 *   describe.c  its plan as JSON
 */
#pragma once

#include "base/arena.h"
#include "decode/event.h"
#include "policy/load/load.h"
#include "policy/run/run.h"
#include "sink/hooks.h"
#include "testkit/testkit.h"

struct encoding;
struct sink_lua;

struct sluice_kit {
    struct policy *policy; /* NULL: it is bad */
    struct policy_state *state;
    struct policy_report report;
    struct policy_env env;
    struct sink_lua *sinks[PLAN_SINKS_MAX]; /* made on first use */
    struct sink_hooks hooks[PLAN_SINKS_MAX];
    bool asked[PLAN_SINKS_MAX];
    char *plan_json;    /* NULL: not asked for yet */
    struct arena arena; /* of the request in hand */
    struct event_batch batch;
    struct encoding *encoding;
    struct arena answer; /* the memory that the last answer points to */
};
