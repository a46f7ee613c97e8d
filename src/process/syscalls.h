/*
 * syscalls - the system calls that this process may make from now on.
 *
 * One that is on no list fails with ENOSYS, as on a kernel that does not have it: libraries
 * then use what older kernels have. One that only an attacker has a use for fails with
 * EPERM. Neither ends the process.
 */
#pragma once

#include <stdbool.h>

#include "base/attr.h"

struct err;

/* For all threads. False and *e: nothing is restricted. */
bool syscalls_restrict(struct err *e) MUST_USE;
