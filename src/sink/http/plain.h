/*
 * plain - the meaning of any HTTP server's answer for a batch: by its status, because
 * nothing else is common to all. Pure; any thread.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "sink/http/data_error.h"

/* status 0: no answer came; sent: the whole body had gone out. after_ms: of
 * Retry-After, 0: none. */
struct data_error plain_data_error(int status, bool sent, int64_t after_ms);
