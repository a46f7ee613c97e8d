/*
 * segments_seen - the segments of a spool as a search has listed them, those of a shard one
 * after the other. One thread.
 *
 *   segments_seen_add* -> segments_seen_find* -> segments_seen_free
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

struct spool_segment_info;

struct segment_seen {
    uint32_t stream; /* among the looked */
    uint32_t epoch, worker;
    uint64_t number, first, end; /* end: of the next one's first, or unknown */
    uint64_t read_end;           /* after the last event that was read; 0: none */
    uint64_t next;               /* after its last event; 0: not known */
    int64_t from_ms;             /* of its first event; 0: it was not read */
    bool wanted, read;
    bool apart; /* the one after it in the shard is gone: end is too high */
};

struct segments_seen {
    struct segment_seen *list;
    uint32_t n, room;
    uint32_t found; /* the last one: a visit meets them in the order of the list */
};

void segments_seen_add(struct segments_seen *s, uint32_t stream,
                       const struct spool_segment_info *i);
/* NULL: it is a new one, whose events came after the search began. */
struct segment_seen *segments_seen_find(struct segments_seen *s, uint32_t stream,
                                        const struct spool_segment_info *i);
/* Whether a shard of the stream had events, accepted at since_ms or later, before its first
 * segment or between two. */
bool segments_seen_left(const struct segments_seen *s, uint32_t stream,
                        int64_t since_ms);
/* The first event that the shard's segments may have; 0: it has none. */
uint64_t segments_seen_first(const struct segments_seen *s, uint32_t stream,
                             uint32_t epoch, uint32_t worker);
/* After the last event of the shard that was read; 0: it has no segment, UINT64_MAX: its
 * last one was not read. */
uint64_t segments_seen_end(const struct segments_seen *s, uint32_t stream,
                           uint32_t epoch, uint32_t worker);
void segments_seen_free(struct segments_seen *s);
