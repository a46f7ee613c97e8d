/* sluice version */
#include <stdio.h>

#include "cli/cli.h"

int cli_version(int argc, char **argv)
{
    (void)argc;
    (void)argv;
    (void)puts("sluice " SLUICE_VERSION);
    return 0;
}
