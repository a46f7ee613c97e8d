/*
 * agents_told - the problems that a file of user agents is told to have, as lines.
 */
#pragma once

#include <stdio.h>
#include <string.h>

#include "agents/rule.h"

struct agents_told {
    char text[16000];
};

static inline void agents_note(void *arg, uint32_t line, const char *text)
{
    struct agents_told *t = arg;
    size_t n = strlen(t->text);

    (void)snprintf(t->text + n, sizeof t->text - n, "%u: %s\n", line, text);
}
