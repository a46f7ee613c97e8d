/*
 * vitals - what the kernel knows of this process, in /metrics: the names that every
 * Prometheus client gives, and the version.
 */
#pragma once

/* Once a process; asked for with each scrape, from /proc, which does not block. *start_s
 * gets when the process started, and lives as long: a clock that is set or slewed later
 * would make another time of it, which reads as a restart. */
void vitals_show(double *start_s);
