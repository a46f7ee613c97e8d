/*
 * newest - what time it is at least. A machine may start with a clock that is behind, or have
 * it set back, and what the spool has stored is not as old as that says.
 */
#pragma once

#include <stdint.h>

/* ms, or when the stream's segments in that folder were written last. */
int64_t newest_write_ms(const char *stream_dir, int64_t ms);
