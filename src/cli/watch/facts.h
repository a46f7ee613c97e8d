/*
 * facts - what an operator asks first of a running server, as one JSON object: is anything
 * lost, which sink is behind and why, what clients see, why events are refused.
 *
 *   {"ok","problems":[{"what","subject","text","next"}],"notes":[…],"server","clients","events",
 *    "refusals","lost","sinks","spool","streams","policy"}
 *
 * Made from /status and from two answers of /metrics. Pure; one thread.
 */
#pragma once

#include <stdbool.h>

struct cJSON;
struct series_list;

/* before and now are seconds apart; status: of /status. The caller's. */
struct cJSON *facts_new(const struct cJSON *status, const struct series_list *before,
                        const struct series_list *now, double seconds);

/* For those who read it; 0 and "" for what is not there. */
double facts_number(const struct cJSON *o, const char *name);
const char *facts_text(const struct cJSON *o, const char *name);
bool facts_true(const struct cJSON *o, const char *name);
