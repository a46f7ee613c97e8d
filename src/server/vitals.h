/*
 * vitals - what the kernel knows of this process, in /metrics: the names that every
 * Prometheus client gives, and the version.
 */
#pragma once

/* Once a process; asked for with each scrape, from /proc, which does not block. */
void vitals_show(void);
