/*
 * regex_file - the YAML of a file of user agents (uap-core's regexes.yaml) as lists of
 * rules. Pure; the thread that loads.
 *
 *   regex_file_read -> regex_file_fini
 *
 * A file has the sections user_agent_parsers, os_parsers and device_parsers, each a list
 * of maps of plain texts. All else is a mistake: aliases, anchors, tags, nested values,
 * unknown keys. Reading stops where the nesting is too deep, so that memory stays small.
 */
#pragma once

#include "agents/rule.h"
#include "base/attr.h"

struct regex_file {
    struct agent_rules sections[AGENT_SECTIONS];
};

/* False after problems, each told with its line; *f is empty then. */
bool regex_file_read(struct str text, struct regex_file *f, agent_problem_fn *problem,
                     void *arg) MUST_USE;
void regex_file_fini(struct regex_file *f);

/* "os_v1_replacement"; NULL: the section has no such part. */
const char *regex_file_key(enum agent_section section, uint32_t part);
