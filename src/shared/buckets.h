/*
 * buckets - a token bucket for each key, for all workers at once.
 *
 *   buckets_new (registry.c) -> buckets_take* -> buckets_unref
 *
 * Any thread, without locks: a bucket is one word, the time at which it will be
 * full again (the generic cell rate algorithm, ITU-T I.371), beside 24 bits of the
 * key's hash. A bucket that is full again is as good as none, so its place is
 * free; memory is fixed. When eight keys that hash alike are all in debt, the
 * one least in debt is forgotten, which is counted: it may take its burst again.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/str.h"

struct buckets_conf {
    double rate;       /* tokens a second, > 0 */
    uint32_t burst;    /* tokens of a full bucket, > 0 */
    uint32_t max_keys; /* keys in debt at once that surely find a place */
    /* > 0: each call gives its key's rate, and rate and burst are 0. So many units of
     * time are a millisecond: 2^39 of them are the most that a bucket can be empty. */
    double units_per_ms;
};

struct bucket_rate {
    double rate, burst; /* > 0 */
};

/* What a limit says of a key, whatever kind it is. */
struct limit_view {
    double limit, left; /* of a full bucket, or of a window */
    double wait_ms;     /* until so many are there; 0: they are; LIMIT_NEVER */
    double reset_ms;    /* until the bucket is full again, or the next window begins */
    double window_s;
};

#define LIMIT_NEVER ((double)UINT32_MAX)

struct buckets;

struct buckets *buckets_new(const struct buckets_conf *conf);
struct buckets *buckets_ref(struct buckets *b);
void buckets_unref(struct buckets *b); /* NULL is fine */
/* Whether the caller's reference is the only one. */
bool buckets_unshared(const struct buckets *b);
/* Whether conf asks for the same. */
bool buckets_are(const struct buckets *b, const struct buckets_conf *conf);

/* Takes n tokens of key's bucket, all or none. now_ms never goes back by much: the
 * caller's turn's monotonic clock. 0: taken; else the milliseconds, at least 1, until
 * there are so many; UINT32_MAX: there never will be. */
uint32_t buckets_take(struct buckets *b, struct str key, double n, double now_ms);

/* The same of a bucket with the rate of this call; NULL: the table's own. */
uint32_t buckets_take_at(struct buckets *b, const struct bucket_rate *r, struct str key,
                         double n, double now_ms);
/* What was taken in this turn is there again. */
void buckets_give(struct buckets *b, const struct bucket_rate *r, struct str key,
                  double n, double now_ms);
/* Takes nothing. */
void buckets_look(const struct buckets *b, const struct bucket_rate *r, struct str key,
                  double n, double now_ms, struct limit_view *out);
/* For a caller that has looked and refuses. */
void buckets_count_refused(struct buckets *b);

/* Forgets buckets that are full. Between two calls at most buckets_sweep_ms: a word has
 * room for the time of a round only, and one that is full for half of it would look empty.
 * Any thread; reads the whole table. */
void buckets_sweep(struct buckets *b, double now_ms);
double buckets_sweep_ms(const struct buckets *b);

/* Since the start; for metrics. */
uint64_t buckets_refused(const struct buckets *b);
uint64_t buckets_forgotten(const struct buckets *b);
