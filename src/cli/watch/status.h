/*
 * status - a running server on one screen, printed once.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

struct ask_options;

/* Measures for ms; returns the exit code of sluice status. */
int status_show(const struct ask_options *o, int64_t ms, bool json);
