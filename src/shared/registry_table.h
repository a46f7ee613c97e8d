/*
 * registry_table - what a registry holds, for its two files.
 *
 *   registry.c          asked for at load, by name; let go
 *   registry_rounds.c   looked through now and then: quotas to save, buckets to sweep
 */
#pragma once

#include <pthread.h>
#include <stdatomic.h>

#include "shared/registry.h"
#include "stats/stats.h"

/* A thing that one or more generations ask for in the same words. */
struct table {
    struct table *next;
    /* One of the three, a reference: */
    struct buckets *buckets;
    struct quota *quota;
    struct seen *seen;
    char *key;       /* of seen */
    double swept_ms; /* buckets; 0: not yet */
};

/* A limit or a stream's memory of keys, under its name; tables come and go. It goes with
 * registry_tidy, when it has none. */
struct named {
    struct named *next;
    struct registry *registry;
    char *name;
    bool limit;
    struct table *tables;
    /* Of the tables that went, so that counters do not go back. */
    uint64_t refused, forgotten, repeats, unsure, full;
    struct stats_owner shown;
};

struct shown {
    struct metric *metric;
    uint32_t users; /* > 0 */
    bool published;
};

struct registry {
    atomic_uint refs;
    bool published;
    atomic_uint stripe;
    pthread_mutex_t lock;
    struct shown *metrics;
    size_t n_metrics;
    struct named *named;
    registry_quota_fn *restore; /* NULL: quotas begin unused */
    void *restore_arg;
};
