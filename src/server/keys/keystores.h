/*
 * keystores - the collectors of the streams whose dedup has persist: at most one a
 * stream, from the first policy that asks for it to the end of the process.
 *
 *   keystores_open at the start, and by the changer for each policy -> keystores_close
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/attr.h"

struct err;
struct policy;
struct server;

/* The policy's streams, whose ids in the spool are given, remember on disk from now on.
 * False and *e: one can't. */
bool keystores_open(struct server *s, struct policy *policy, const int *ids,
                    struct err *e) MUST_USE;

/* Scrapes show the series of the streams that keep keys by the live policy. */
void keystores_show(struct server *s);

/* After the workers, before the spool is closed. False: a thread hangs. */
bool keystores_close(struct server *s, uint64_t until_ns) MUST_USE;
