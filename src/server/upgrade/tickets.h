/*
 * tickets - the keys of session tickets on their way to the process that takes this one's
 * place, so that clients resume their sessions there. Through the channel, in memory alone.
 *
 *   old   tickets_tell (when the new process is ready, and again when workers have ended)
 *   new   tickets_heard*
 *
 * The main thread.
 */
#pragma once

#include <stdbool.h>

#include "base/attr.h"

struct channel_message;
struct err;
struct tls_tickets;

/* False and *e: the other process does not listen. */
bool tickets_tell(int channel, struct tls_tickets *t, struct err *e) MUST_USE;

/* A message of kind CHANNEL_TICKETS, whose keys are wiped. One of another form leaves t
 * its own keys: sessions of before are not resumed then. */
void tickets_heard(struct channel_message *m, struct tls_tickets *t);
