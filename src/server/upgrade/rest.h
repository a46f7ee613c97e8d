/*
 * rest - what comes to rest before another process takes this one's place: reloads, sinks,
 * workers. The main thread; nothing here waits.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

struct server;

/* Sinks finish the batches in hand, until then at most, and take no others. */
void rest_ask_sinks(struct server *s, uint64_t until_ns);
bool rest_of_sinks(struct server *s);

/* A stream whose clients wait for its sinks needs them until the last request. */
bool rest_needs_sinks(const struct server *s);

/* A reload whose loader or change of the sinks is under way uses what stop_all ends. */
bool rest_of_reloads(struct server *s);

bool rest_of_workers(const struct server *s);
