/*
 * away - a spool for tests that move its directories away, as fixture.h's, and what both of
 * them need. One test at a time.
 */
#pragma once

#include <stdio.h>
#include <stdlib.h>

#include "fixture.h"

static char away[80]; /* a place beside the spool's, of the same file system */

static void move(const char *from, const char *to)
{
    assert_int_equal(0, rename(from, to));
}

static int set_up_away(void **state)
{
    int rc = set_up(state);

    (void)snprintf(away, sizeof away, "%s.away", dir);
    return rc;
}

static int tear_down_away(void **state)
{
    char command[160];

    (void)snprintf(command, sizeof command, "rm -rf '%s'", away);
    return system(command) + tear_down(state);
}

/* Of a process before, so that its file is opened to be read. */
static void write_two(void)
{
    struct spool *s = open_spool();
    struct spool_writer *w;
    uint64_t last = 0;

    w = spool_writer_open(s, open_stream(s, 64 * SEGMENT, false), 0, on_wake, NULL);
    assert_int_equal(SPOOL_OK, commit(w, "1", &last));
    assert_int_equal(SPOOL_OK, commit(w, "2", &last));
    spool_writer_close(w);
    spool_close(s);
}
