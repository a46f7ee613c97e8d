/*
 * rights - who may connect to the Unix sockets of a server: their files get the mode and
 * owner of the live policy.
 *
 * The supervisor's thread.
 */
#pragma once

#include <stdbool.h>

#include "base/attr.h"

struct err;
struct plan;
struct server;

/* Those of p, which has the same listeners. False: *e names the file and why; others may
 * have changed. */
bool rights_follow(struct server *s, const struct plan *p, struct err *e) MUST_USE;

/* The same for what is live; a failure is told in the log. */
void rights_restore(struct server *s);
