/*
 * cpus - the processors that this process may use.
 */
#pragma once

/* From 1: what the affinity mask allows, as taskset and container runtimes set it. */
unsigned cpus_allowed(void);
