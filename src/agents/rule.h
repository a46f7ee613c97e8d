/*
 * rule - one parser of a file of user agents: a regular expression and the values that it
 * gives. A plain record; its texts belong to the list that has it.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/str.h"

/* The sections of a file, in the order of the format's description. */
enum agent_section { AGENT_BROWSER, AGENT_OS, AGENT_DEVICE, AGENT_SECTIONS };

enum {
    AGENT_PARTS_MAX = 5,    /* values of a section: a family and its version */
    AGENT_GROUPS_MAX = 9,   /* $1 … $9 */
    AGENT_RULES_MAX = 8192, /* of a file */
    AGENT_REGEX_BYTES_MAX = 4096,
    AGENT_TEMPLATE_BYTES_MAX = 512,
    AGENT_FILE_BYTES_MAX = 4 << 20
};

struct agent_rule {
    uint32_t line; /* of the regex in the file, from 1 */
    bool caseless;
    struct str regex;
    struct str templates[AGENT_PARTS_MAX]; /* p NULL: the section's default */
};

struct agent_rules {
    struct agent_rule *list;
    uint32_t n;
    bool given; /* the file has the section */
};

/* line 0: the file as a whole. */
typedef void agent_problem_fn(void *arg, uint32_t line, const char *text);
