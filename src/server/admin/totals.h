/*
 * totals - what /status reads from the registry of metrics, in one walk: events and refusals
 * since the start, and figures of streams.
 *
 *   totals_look -> totals_events, totals_refusals, totals_of_stream -> totals_free
 *
 * The supervisor's thread. The caller owns what they return.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

struct cJSON;
struct totals;

struct totals *totals_look(void);
void totals_free(struct totals *t); /* NULL is fine */

/* {"received":N,"stored":N,"rejected":N,"dropped":N,"duplicate":N,"dead":N,"refused":N} */
struct cJSON *totals_events(const struct totals *t);

/* Adds "faults":{"hook_errors":N,"store_failures":N,"damaged_blocks":N,"damaged_events":N},
 * since the start, and "certificates":[{"listener":"127.0.0.1:8443","expires_seconds":N}] of
 * the first that expires of each TLS listener; 0: it has expired. */
void totals_add_faults(const struct totals *t, struct cJSON *to);

/* Adds "refusals":[{"route":"POST /v1/events","code":"missing_field","status":422,
 * "events":N}], the most frequent first, at most 500, without routes that are long gone; of
 * the others, "refusals_more" has the number and "refusals_more_events" their events. */
void totals_add_refusals(const struct totals *t, struct cJSON *to);

/* Adds "hook_errors":[{"route":"POST /v1/events","hook":"on_event","errors":N}], the most
 * frequent first, at most 500. */
void totals_add_raised(const struct totals *t, struct cJSON *to);

/* The sum over all cells of a metric that begins with sluice_spool_bytes or
 * sluice_stored_events_total; stream: as in its label. */
uint64_t totals_of_stream(const struct totals *t, const char *name, const char *stream);

/* The value of a label at *at without its escapes, cut to fit; *at is after it and its comma
 * then. name: as 'route="'. "": another label is there. */
void totals_label(const char **at, const char *name, char *out, size_t bytes);
