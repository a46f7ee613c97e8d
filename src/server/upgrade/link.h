/*
 * link - a pair of sockets between a process that stands in for the server (stand_in.h) and
 * the server, which passes its end on to the one that takes its place. In the sandbox neither
 * may signal the other one.
 *
 *   stand-in   link_pair -> link_signal* link_hear_next*
 *   server     link_watch -> (link_next) -> link_unwatch
 *
 * Each end: one thread, which link_* never blocks.
 */
#pragma once

#include <stdbool.h>
#include <sys/types.h>

#include "base/attr.h"

struct err;
struct server;

bool link_pair(int ends[2], struct err *e) MUST_USE;

/* A signal that the stand-in got: the server is to get it. */
void link_signal(int end, int number);

/* The server is followed by pid, which has its end of the link. */
void link_next(int end, pid_t pid);

/* What the server has told about the next one; false: nothing more. */
bool link_hear_next(int end, pid_t *pid);

/* Raises the signals that come over the link of s's place, if it has one. */
void link_watch(struct server *s);
void link_unwatch(struct server *s);
