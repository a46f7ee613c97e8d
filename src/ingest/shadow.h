/*
 * shadow - a policy that decides on copies of a worker's requests after the live
 * one, and only counts where it would have decided otherwise.
 *
 *   shadow_new (supervisor, with its binding) -> shadow_body*, shadow_head* ->
 *   shadow_free (with its binding)
 *
 * The worker's thread; the counters are read by the supervisor at any time.
 */
#pragma once

#include <stdint.h>

#include "base/str.h"
#include "ingest/contrast.h"
#include "stats/stats.h"

struct binding;
struct http_view;
struct ingest;
struct request_state;
struct refused;

enum { SHADOW_CODES = 16, SHADOW_TEXT = 400 };

/* One event that it would have decided otherwise. The taker frees it. */
struct shadow_sample {
    uint64_t generation;
    enum contrast kind;
    char code[64];           /* of the refusal; "": none */
    char route[160];         /* "POST /v1/events" */
    char event[SHADOW_TEXT]; /* as sent, cut; "": refused before its body came */
};

/* Events that only this policy refuses, by code; the last place is for all the
 * rest. */
struct shadow_code {
    char code[64];
    stats_cell n;
};

struct shadow_counts {
    stats_cell differ[N_CONTRASTS]; /* events */
    struct shadow_code codes[SHADOW_CODES];
    _Atomic uint32_t n_codes; /* those below it have their text */
};

struct shadow;
struct shadow *shadow_new(uint32_t n_samples);
void shadow_free(struct shadow *sh); /* NULL is fine */
const struct shadow_counts *shadow_counts(const struct shadow *sh);

/* The live policy refused the request at its head, for the code. */
void shadow_head(struct ingest *in, struct binding *b, const struct http_view *v,
                 const char *code);

/* What the live policy has decided of a body, over in->batch. */
struct shadow_live {
    const struct outcome *outcome; /* NULL: refused as a whole, for the code */
    const char *code;
    bool unknown; /* it does not know who has sent the body: no sample has any of it */
};

void shadow_body(struct ingest *in, struct binding *b, const struct http_view *v,
                 const struct request_state *p, const struct shadow_live *l);
