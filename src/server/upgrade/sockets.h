/*
 * sockets - what a process that leaves gives the next one first: its listening sockets, and
 * the keys of TLS tickets, because it may be killed before it says more. The main thread.
 */
#pragma once

#include <stdbool.h>

#include "base/attr.h"

struct err;
struct server;

/* May block for 10 s. False and *e: the next one does not hear all of it. */
bool sockets_tell(const struct server *s, int channel, struct err *e) MUST_USE;
