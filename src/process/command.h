/*
 * command - how this program was started, for starting it once more: its words, its
 * environment, and what binary stands in its path by then.
 *
 *   command_own -> command_spawn | command_exec -> command_free
 *
 * Any thread.
 */
#pragma once

#include <stdbool.h>
#include <sys/types.h>

#include "base/attr.h"

struct err;

enum { COMMAND_WORDS_MAX = 64 };

struct command {
    char *text; /* all words lie in it */
    char *words[COMMAND_WORDS_MAX + 1];
    char **with; /* the environment */
};

/* The environment is a copy, with note ("NAME=TEXT") and without WATCHDOG_PID and
 * LISTEN_PID, which are about this process alone. False and *e: the command can't be read;
 * there is nothing to free. */
bool command_own(struct command *c, const char *note, struct err *e) MUST_USE;
void command_free(struct command *c);

/* Starts it: fd stays open in it, and of the others those without FD_CLOEXEC; all signals
 * are at their defaults and none is blocked. 0, or an error number: it does not run. */
int command_spawn(const struct command *c, int fd, pid_t *pid) MUST_USE;

/* This process becomes it. Returns only the error number. */
int command_exec(const struct command *c);
