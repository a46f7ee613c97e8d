/*
 * totals - events and refusals since the start, read from the registry of metrics, for
 * /status. The supervisor's thread. The caller owns what they return.
 */
#pragma once

struct cJSON;

/* {"received":N,"stored":N,"rejected":N,"dropped":N,"duplicate":N,"dead":N,"refused":N} */
struct cJSON *totals_events(void);

/* [{"route":"POST /v1/events","code":"missing_field","status":422,"events":N}], the most
 * frequent first. */
struct cJSON *totals_refusals(void);
