/*
 * settings - checks of a policy's settings that only a library can make, before they
 * are used: for `sluice check`, and before a start.
 */
#pragma once

#include <stdbool.h>

#include "base/attr.h"

struct policy;
struct policy_report;

/* False: a library refuses a sink's options, or a listener's certificates are wrong;
 * *report, which was clean, says which. True: it may have notes. */
bool settings_try(const struct policy *p, struct policy_report *report) MUST_USE;
