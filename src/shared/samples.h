/*
 * samples - the last refusal of each route and code, so that an operator sees what was
 * refused: for all workers, in fixed memory.
 *
 *   samples_new (one a process) -> samples_put* (any thread) -> samples_each (any
 *   thread) -> samples_free
 *
 * A worker never waits: while another thread is at the table, its sample is left out.
 * When all places are taken, the oldest sample is replaced. Samples hold bytes of
 * clients: only the operator may see them.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/attr.h"

enum {
    SAMPLES_MAX = 256,
    SAMPLE_ROUTE = 160,
    SAMPLE_CODE = 64,
    SAMPLE_FIELD = 128,
    SAMPLE_MESSAGE = 256,
    SAMPLE_RAW = 512
};

/* Texts are cut between two characters. */
struct sample {
    int64_t at_ms;                /* wall clock */
    uint64_t generation;          /* of the policy that decided; 0: none has */
    int status;                   /* 0: not refused, but its hook raised an error */
    int32_t index;                /* in its batch, from 0; -1: the whole request */
    uint64_t bytes;               /* of the whole event or body */
    char route[SAMPLE_ROUTE];     /* "POST /v1/events", "none" */
    char code[SAMPLE_CODE];       /* as in sluice_refusals_total */
    char field[SAMPLE_FIELD];     /* "": none */
    char message[SAMPLE_MESSAGE]; /* "": none */
    char path[SAMPLE_ROUTE];      /* as sent, without the query */
    char raw[SAMPLE_RAW];         /* as sent, cut; "": not kept */
};

struct samples;

struct samples *samples_new(void);
void samples_free(struct samples *s); /* NULL is fine */

/* False: left out. */
bool samples_put(struct samples *s, const struct sample *x);

/* seen(arg, x) for each; x is valid for the call, which must be short. */
void samples_each(struct samples *s, void (*seen)(void *arg, const struct sample *x),
                  void *arg);
