/*
 * findings - facts while they are made: where problems and notes are told, and what the
 * metrics say of now and of a moment ago.
 *
 *   facts_new: findings_tell*, findings_total*, ... -> the facts
 *
 * Pure; one thread.
 */
#pragma once

#include "base/attr.h"
#include "cli/watch/series.h"

struct cJSON;

struct findings {
    struct cJSON *facts, *problems, *notes;
    const struct cJSON *status;
    const struct series_list *before, *now;
    double seconds; /* between them */
};

/* "just now", or of a long look "in the last 1 h"; returns out. */
enum { FINDINGS_WHEN = 48 };
const char *findings_when(const struct findings *m, char out[FINDINGS_WHEN]);

/* To problems or notes, with what an operator does about it: advice.h. Returns what was
 * added, the list's. */
PRINTF(4, 5)
struct cJSON *findings_tell(struct cJSON *list, const char *what, const char *subject,
                            const char *fmt, ...);

void findings_put(struct cJSON *o, const char *name, double value);
void findings_copy(struct cJSON *to, const struct cJSON *from, const char *name);

/* Sums over the series of a name whose labels have pair; NULL: over all. */
double findings_total(const struct findings *m, const char *name, const char *pair);
double findings_during(const struct findings *m, const char *name, const char *pair);
double findings_rate(const struct findings *m, const char *name, const char *pair);

/* What one series of now has grown by; a counter that a restart has reset counts from 0. */
double findings_grown(const struct findings *m, const struct series *x);
