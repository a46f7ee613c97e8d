/*
 * launch - the process that is to take this one's place is started and signalled: directly,
 * or in the sandbox through the launcher (process/launcher.h).
 *
 *   launch_watch -> (launch -> launch_signal*)* -> launch_unwatch
 *
 * The main thread.
 */
#pragma once

#include <stdbool.h>
#include <sys/types.h>

#include "base/attr.h"

struct err;
struct process;
struct server;

/* Makes the launcher, which becomes one of use only when the process enters the sandbox. */
void launch_prepare(struct process *p);

/* Tells in the log when the launcher ends. Nothing without one. */
void launch_watch(struct server *s);
void launch_unwatch(struct server *s);

/* This program once more: the same words and environment, and what binary stands in its path
 * now. It finds the channel's end fd there (channel_join). *pid 0: the launcher was asked, and
 * successor_launched hears of it. False and *e: it does not run. */
bool launch(struct process *p, int fd, pid_t *pid, struct err *e) MUST_USE;

/* The launcher has not answered in time (*e says so), or nobody wants its answer any more:
 * it is lost. */
void launch_late(struct server *s, struct err *e);

/* pid: the last one that was started. False: it has ended, or can't be signalled. */
bool launch_signal(struct process *p, pid_t pid, int number);

/* Kills it and waits for its end. One that can't be killed is not waited for: it ends once
 * its channel is closed. */
void launch_kill(struct process *p, pid_t pid);
