/*
 * stand_in - a process whose place another one has taken, but whose own parent waits for
 * it: a shell, a service manager, a container. It passes signals on, and ends as the
 * server ends. There is at most one, however often the server is replaced: the next
 * one's number is told to it.
 */
#pragma once

#include <sys/types.h>

/* Waits for pid, a child, and for those that take its place. Returns the exit code; a
 * signal that ends the server ends this process. Signals are blocked by the caller. */
int stand_in(pid_t pid);

/* This process, which has that stand-in above it, is followed by pid. One that was killed
 * is not told, nor who has its children now: the signal would end that. */
void stand_in_tell(pid_t stand_in, pid_t pid);
