/*
 * meter - the view of an endpoint's breaker: its metrics, and its changes in the log.
 *
 *   meter_init -> (meter_count, meter_show)* -> meter_end
 *
 * The sink's thread.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "sink/breaker.h"
#include "stats/stats.h"

struct meter {
    char sink[96];
    const char *endpoint;
    enum breaker_state shown;
    stats_cell *state, *to[3], *requests[2], *failing;
    struct stats_owner series; /* all of the endpoint */
};

/* endpoint lives as long as the meter. */
void meter_init(struct meter *m, const char *sink, const char *endpoint);

/* The state as of now, also when only time has changed it. */
void meter_show(struct meter *m, struct breaker *b, int64_t now_ms);

void meter_count(struct meter *m, bool ok); /* a request is over */
void meter_passes(struct meter *m);         /* one that was counted as failed before */

/* Nothing goes there any more: its series go. Once more, or without meter_init, is fine. */
void meter_end(struct meter *m);
