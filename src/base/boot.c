#include "base/boot.h"

#include <inttypes.h>
#include <stdio.h>

int64_t boot_number(void)
{
    FILE *f = fopen("/proc/sys/kernel/random/boot_id", "re");
    int64_t n = 0;

    if (f != NULL) {
        uint64_t high = 0, low = 0; /* 12 of 32 random digits */

        n = fscanf(f, "%8" SCNx64 "-%4" SCNx64, &high, &low) == 2
                ? (int64_t)(high << 16 | low)
                : 0;
        (void)fclose(f);
    }
    return n;
}
