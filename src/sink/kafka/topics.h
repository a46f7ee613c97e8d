/*
 * topics - a table of topics by name, with the state of each: a producer's handles, and
 * those that a cluster lacks.
 *
 *   topics_new -> (topics_find, topics_add)* -> topics_free
 *
 * One owner.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/attr.h"
#include "base/str.h"
#include "sink/kafka/topic.h"

struct rd_kafka_topic_s;

struct topic {
    struct rd_kafka_topic_s *handle; /* the owner's; NULL: none yet */
    uint64_t lacking_ns; /* monotonic: the cluster has lacked it since; 0: no */
    bool refused;        /* its events become dead letters, and the log says so */
    size_t n;
    char name[TOPIC_BYTES_MAX + 1];
};

struct topics;

struct topics *topics_new(void) MUST_USE;
void topics_free(struct topics *t); /* not the handles; NULL is fine */

struct topic *topics_find(struct topics *t, struct str name); /* or NULL */
/* The topic of that name, made if need be; stays where it is. NULL: max are there. */
struct topic *topics_add(struct topics *t, struct str name, uint32_t max);
uint32_t topics_count(const struct topics *t);
struct topic *topics_at(struct topics *t, uint32_t i);
