/*
 * cpus - the processors that this process may use.
 */
#pragma once

/* From 1: the number of CPUs that the affinity mask allows, as taskset and container
 * runtimes set it. */
unsigned cpus_allowed(void);
