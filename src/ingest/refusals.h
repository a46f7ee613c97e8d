/*
 * refusals - what a route refuses, kept as records in a stream of its policy's choice
 * (on_refused). A refusal that can't be kept is counted; the client's answer is the
 * same in each case.
 *
 *   refusals_bind (with its policy) -> refusals_events, refusals_body* -> commit.c
 *
 * The worker's thread.
 */
#pragma once

#include <stdbool.h>

#include "base/attr.h"
#include "decode/scan.h"

struct binding;
struct http_view;
struct ingest;
struct outcome;
struct refused;
struct request_state;
struct stream_writer;

/* The counters of the streams that b's routes keep refusals in. */
void refusals_bind(struct ingest *in, const struct binding *b);

/* Keeps the refused events of in->batch, which was decided as o says; or a body that was
 * refused as a whole. Only where the route has on_refused. True: records are pending, and
 * the answer is due after the commit. May commit the turn: before the request's own
 * events are pending. */
bool refusals_events(struct ingest *in, const struct request_state *p,
                     const struct http_view *v, const struct outcome *o) MUST_USE;
bool refusals_body(struct ingest *in, const struct request_state *p,
                   const struct http_view *v, const struct refused *no) MUST_USE;

/* The pending records of the stream are stored, or lost. */
void refusals_committed(struct stream_writer *o, bool stored);
