/*
 * sampling - which refusals become samples (shared/samples.h): for each route and code of
 * a worker one in SAMPLE_PAUSE_MS, and few in all.
 *
 * The worker's thread. A refusal that is no sample costs one comparison.
 */
#pragma once

#include <stdbool.h>

struct account;
struct answer_error;
struct binding;
struct http_view;
struct ingest;
struct outcome;
struct request_state;

enum { SAMPLE_PAUSE_MS = 2000, SAMPLES_A_SECOND = 20 };

/* Counts the refused events of in->batch by their codes, and samples them. */
void sampling_events(struct ingest *in, const struct request_state *p,
                     const struct http_view *v, const struct outcome *o);

/* The on_event of p's route raised an error, and refused nothing by that. */
void sampling_raised(struct ingest *in, const struct request_state *p,
                     const struct http_view *v);

/* A request was refused as a whole by b's policy (NULL: by none), and counted; secret: nothing
 * of its body is kept. */
void sampling_whole(struct ingest *in, const struct binding *b, struct account *a,
                    const struct http_view *v, int status, const struct answer_error *e,
                    bool secret);
