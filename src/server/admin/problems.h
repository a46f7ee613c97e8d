/*
 * problems - the loader's problems with a policy, as JSON for editors and scripts:
 * [{"file","line","column","end_column","severity","message","path","suggestion"}].
 */
#pragma once

struct cJSON;
struct policy_report;

/* The caller's. Problems first, then notes. */
struct cJSON *problems_json(const struct policy_report *report);
