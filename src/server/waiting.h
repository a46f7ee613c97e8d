/*
 * waiting - a start for which the disk has no room: the server is there, says why it is
 * not ready, and sends clients away for a while, until there is room.
 */
#pragma once

#include <stdbool.h>

struct waiting {
    char listen[80], admin[80]; /* as the policy or the command names them; once bound,
                                   with their ports */
    char data_dir[4096];
    char why[512];              /* what the start came to, */
    char told[512];             /* and what the log has of it */
};

/* Returns when the start may be tried again (true), or the process is to end. */
bool waiting_for_room(struct waiting *w);
