/*
 * stand_in - a process whose place another one has taken, but whose own parent waits for
 * it: a shell, a service manager, a container. It passes signals on, and ends as the
 * server ends. There is at most one, however often the server is replaced: the next
 * one's number is told to it. It may be in the sandbox: it signals no other process.
 */
#pragma once

#include <stdbool.h>
#include <sys/types.h>

/* Waits for pid, a child, and for those that take its place. link: this process's end of
 * the link to it (link.h). Returns the exit code; a signal that ends the server ends this
 * process. Signals are blocked by the caller. */
int stand_in(pid_t pid, int link);

/* Whether it passes that signal on. */
bool stand_in_passes(int number);
