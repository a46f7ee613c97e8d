/*
 * topic - names of Kafka topics. Pure.
 */
#pragma once

#include <stdbool.h>

#include "base/str.h"

enum { TOPIC_BYTES_MAX = 249 }; /* as brokers have it */

/* 1 to 249 of a-z, A-Z, 0-9, '.', '_' and '-'. */
bool topic_is_valid(struct str name);
