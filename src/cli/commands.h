/*
 * commands - the one table of what the program can do. main.c runs a command from it, and
 * usage.c, completion.c and manual.c write its words for people and for shells.
 *
 * Constant; any thread. A new command is a row here, a function in cli.h and a file.
 */
#pragma once

#include <stddef.h>
#include <stdio.h>

struct command_option {
    const char *name;  /* "--json" */
    const char *value; /* "FILE"; NULL: it takes none */
    const char *help;  /* one sentence without its full stop */
};

enum command_group { GROUP_SERVE, GROUP_RUNNING, GROUP_STORED, GROUP_TOOLS, N_GROUPS };

/* What stands behind the options, for a shell that completes. */
enum command_operand { OPERAND_NONE, OPERAND_FILE, OPERAND_FOLDER, OPERAND_WORD };

struct command {
    const char *name;
    int (*run)(int argc, char **argv); /* argv[0] is the command's name */
    enum command_group group;
    const char *summary;                  /* one line, no full stop */
    const char *const *forms;             /* without "sluice"; ends with NULL */
    const struct command_option *options; /* ends with a name of NULL; NULL: none */
    const char *about;                    /* paragraphs; NULL: none */
    enum command_operand operand;
    const char *words; /* the first operand is one of these, with spaces; NULL */
    int asks;          /* it asks a running server: the options of ask.h */
};

const struct command *commands_list(size_t *n);
const struct command *commands_find(const char *name); /* NULL: there is none */
const char *commands_group(enum command_group g);      /* its title */
/* Those of every command that asks a running server; ends with a name of NULL. */
const struct command_option *commands_asking(void);

/* ---- usage.c ---- */

void usage_show(const struct command *c, FILE *to);
void usage_all(FILE *to);
/* For wrong arguments: the forms of the command to standard error; returns 2. */
int usage_wrong(const char *name);
/* The same for a value that an option, without its "--", can't have. */
int usage_value(const char *name, const char *option, const char *value);
