/* folder - a temporary folder of a test, for cmocka_unit_test_setup_teardown. */
#pragma once

#include <stdio.h>
#include <stdlib.h>

static char dir[64];

static inline int folder_set_up(void **state)
{
    (void)state;
    (void)snprintf(dir, sizeof dir, "/tmp/sluice-test-XXXXXX");
    return mkdtemp(dir) == NULL;
}

static inline int folder_tear_down(void **state)
{
    char command[128];

    (void)state;
    (void)snprintf(command, sizeof command, "rm -rf '%s'", dir);
    return system(command);
}
