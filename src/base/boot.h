/*
 * boot - whether the machine has started since something was noted. Any thread.
 */
#pragma once

#include <stdint.h>

/* Of this start of the machine, another one than of any before it; 0: the system does not
 * tell. */
int64_t boot_number(void);
