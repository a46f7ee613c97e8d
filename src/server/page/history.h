/*
 * history - the last half hour of the process's figures, a row a second, so that a page
 * that is opened after something happened shows when it began.
 *
 *   history_new (start) -> history_write* -> history_free (stop)
 *
 * The supervisor's thread. Memory is fixed: about 150 kB.
 */
#pragma once

#include <ev.h>
#include <stdint.h>

#include "stats/stats.h"

struct history;

enum { HISTORY_ROWS = 1800 };

struct history *history_new(struct ev_loop *loop);
void history_free(struct history *h); /* NULL is fine */

/* A row now, as the timer takes one; elapsed_s: since the one before. For tests, too. */
void history_take(struct history *h, double elapsed_s);

/* For how long 4 % of all events or more have been refused, in seconds, with breaks of a
 * minute at most; half an hour is the most that is known. 0: not in the last minute. */
double history_refusing_s(const struct history *h);

/* Rows ever: it changes with each. */
uint64_t history_seq(const struct history *h);

/* Appends "columns":[...],"seq":N,"rows":[[...],...] to put: the rows after row number
 * since (0: all). A figure that nothing was measured of is null. */
void history_write(const struct history *h, uint64_t since, stats_put_fn *put,
                   void *arg);

/* Appends "stages":[{"stage":...,"p50":...}]: milliseconds of the last minute. */
void history_stages(const struct history *h, stats_put_fn *put, void *arg);
