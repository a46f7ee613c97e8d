/*
 * taken - a sink's journal that another sink takes over, and the way back. The changer's
 * thread, and the supervisor before that starts.
 *
 *   KEPT has both names ─► the old one's thread ends ─► rename ─► the new one starts
 *     │                                                   │           │ live
 *     │ refused, or the process ended                     │           KEPT has the new one
 *     └─► the journal is the old one's again  ◄───────────┘
 */
#pragma once

#include <stdbool.h>

#include "base/attr.h"

struct delivery_conf;
struct err;
struct plan;
struct running_sink;
struct server;
struct sink_lua;

/* Whether the sink has a journal: 1 or 0; -1 and errno: the disk does not say. */
int taken_there(const struct server *s, const char *name) MUST_USE;

/* The journal of from is to's. */
bool taken_move(const struct server *s, const char *from, const char *to,
                struct err *e) MUST_USE;

/* The journal of a sink that runs under its old name goes to the sink of c, which is
 * started. That one's place in the spool is kept until the policy is live; when it
 * can't be started, the old one is held with its journal, and started again. lua is taken
 * when it succeeds. */
bool taken_over(struct server *s, struct running_sink *old,
                const struct delivery_conf *c, struct sink_lua *lua,
                struct err *e) MUST_USE;

/* Of a refused policy: r has its old name again, and its journal as soon as the disk lets
 * it. It is held with its place in the spool, until it can be started. */
void taken_back(struct server *s, struct running_sink *r);

/* Of one whose thread has ended: what it was under its own name stands for it. */
void taken_own(struct server *s, struct running_sink *r);

/* Of one whose thread has ended: its journal has its name. False and *e: not yet, and it
 * is held. */
bool taken_home(struct server *s, struct running_sink *r, struct err *e) MUST_USE;

/* The policy is live: the names that its sinks had mean nothing any more. */
void taken_forget_names(struct server *s);

/* At the start: a journal that another policy has taken, and never went live, comes
 * back to the sink of plan that it was taken from. False and *e: it can't, or the disk
 * does not say; the sink must not begin without it. */
bool taken_restore(struct server *s, const struct plan *plan, struct err *e) MUST_USE;
