/*
 * launch - this program once more: the same words and environment, and what binary
 * stands in its path now.
 *
 * Any thread.
 */
#pragma once

#include <stdbool.h>
#include <sys/types.h>

#include "base/attr.h"

struct err;

/* note ("NAME=TEXT") joins the environment, which loses WATCHDOG_PID; fd stays open in the new process, which has
 * no other descriptor of this one but those without FD_CLOEXEC, all signals at their
 * defaults and none blocked. False and *e: it does not run. */
bool launch(const char *note, int fd, pid_t *pid, struct err *e) MUST_USE;
