/*
 * place - where the messages of a batch are in the topic, in words for people.
 *
 * The sink's thread.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

enum { PLACE_PARTITIONS = 16 };

/* Where one message is; partition -1: not known. */
struct message_place {
    int64_t offset;
    int32_t partition;
};

/* "topic=bus p0=17..20 p3=5": of each partition the first and the last offset among
 * the n places, in the order in which they are met, PLACE_PARTITIONS at most. topic NULL:
 * they are in several. Returns out. */
const char *place_text(const char *topic, const struct message_place *places,
                       uint32_t n, char *out, size_t max);
