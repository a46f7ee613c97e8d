/*
 * sluice - accepts events over HTTP, lets a Lua policy decide, stores them
 * before it answers, and delivers them in batches. This file only finds the
 * subcommand.
 */
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/attr.h"
#include "cli/cli.h"
#include "server/supervisor.h"

static int show_version(int argc, char **argv)
{
    (void)argc;
    (void)argv;
    (void)puts("sluice " SLUICE_VERSION);
    return 0;
}

struct command {
    const char *name;
    int (*run)(int argc, char **argv); /* argv[0] is the command's name */
    const char *help;
};

static const struct command commands[] = {
    {"run", cli_run,
     "serve a policy: run [--listen A] [--admin A] [--data DIR] "
     "POLICY.lua"},
    {"check", cli_check,
     "report every mistake of a policy: check [--json] "
     "POLICY.lua"},
    {"dead", cli_dead,
     "dead letters: dead list DIR | show FILE | replay --sink NAME "
     "[--admin A] [--dry-run] | replay FILE (--to URL | "
     "--dry-run) | purge FILE [--all]"},
    {"inspect", cli_inspect,
     "show what a spool holds: inspect [--verify | --salvage OUT] "
     "DIR"},
    {"reference", cli_reference,
     "print the words of a policy: reference [--markdown | --meta | --luacheck]"},
    {"schema", cli_schema,
     "print the table that a policy needs: schema --clickhouse "
     "POLICY.lua"},
    {"replay", cli_replay,
     "show what a policy does with stored events: replay "
     "--policy NEW.lua [--old OLD.lua] DIR"},
    {"sink", cli_sink,
     "drop the events of a removed sink, repair a journal: "
     "sink drop NAME [--admin A | --spool DIR] | repair NAME "
     "--spool DIR [--yes]"},
    {"test", cli_test,
     "run the specs beside a policy: test [DIR|FILE]... "
     "[-- BUSTED_OPTION...]"},
    {"version", show_version, "print the version"},
};

static int help(FILE *to, int code)
{
    (void)fputs("usage: sluice COMMAND ...\n\n", to);
    for (size_t i = 0; i < N_ELEMS(commands); i++) {
        (void)fprintf(to, "  %-9s %s\n", commands[i].name, commands[i].help);
    }
    return code;
}

int main(int argc, char **argv)
{
    if (argc < 2) {
        return help(stderr, 2);
    }
    if (strcmp(argv[1], "help") == 0 || strcmp(argv[1], "--help") == 0 ||
        strcmp(argv[1], "-h") == 0) {
        return help(stdout, 0);
    }
    if (strcmp(argv[1], "--version") == 0) {
        return show_version(0, NULL);
    }
    for (size_t i = 0; i < N_ELEMS(commands); i++) {
        if (strcmp(argv[1], commands[i].name) == 0) {
            int code = commands[i].run(argc - 1, argv + 1);

            if (code == EXIT_STUCK) {
                /* Other threads still use memory that exit would take down. */
                _exit(code);
            }
            return code;
        }
    }
    (void)fprintf(stderr, "sluice: unknown command \"%s\"\n\n", argv[1]);
    return help(stderr, 2);
}
