/*
 * sluice - accepts events over HTTP, lets a Lua policy decide, stores them
 * before it answers, and delivers them in batches. This file only finds the
 * subcommand.
 */
#include <errno.h>
#include <getopt.h>
#include <stdbool.h>
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
    {"key", cli_key,
     "make an API key and its hash for a file of keys: key [--prefix TEXT | --stdin]"},
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
    {"upgrade", cli_upgrade,
     "have a new process take the place of a running server, and wait until it serves: "
     "upgrade [--admin ADDRESS] [--status]"},
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

static bool is_help(const char *arg)
{
    return strcmp(arg, "--help") == 0 || strcmp(arg, "-h") == 0;
}

/* Every command tells its usage for an option that it does not know, as an error: asked
 * for, it is none. */
static int show_usage(const struct command *c)
{
    char name[32], option[] = "--help";
    char *argv[] = {name, option, NULL};

    (void)snprintf(name, sizeof name, "%s", c->name);
    (void)fflush(stdout);
    (void)dup2(STDOUT_FILENO, STDERR_FILENO);
    opterr = 0;
    (void)c->run(2, argv);
    return 0;
}

/* What was to be written has to be there: a full disk must not pass for an answer. */
static int written(int code)
{
    errno = 0;
    if (fflush(stdout) == 0 && ferror(stdout) == 0) {
        return code;
    }
    (void)fprintf(stderr, "sluice: the output can't be written whole%s%s\n",
                  errno != 0 ? ": " : "", errno != 0 ? strerror(errno) : "");
    return code == 0 ? 2 : code;
}

static int run(const struct command *c, int argc, char **argv)
{
    /* "sluice sink drop --help" names no sink. */
    bool deep = strcmp(c->name, "sink") == 0 || strcmp(c->name, "dead") == 0;
    int code;

    if ((argc > 1 && is_help(argv[1])) || (deep && argc > 2 && is_help(argv[2]))) {
        return show_usage(c);
    }
    code = c->run(argc, argv);
    if (code == EXIT_STUCK) {
        /* Other threads still use memory that exit would take down. */
        _exit(code);
    }
    return written(code);
}

int main(int argc, char **argv)
{
    if (argc < 2) {
        return help(stderr, 2);
    }
    if (strcmp(argv[1], "help") == 0 || is_help(argv[1])) {
        return written(help(stdout, 0));
    }
    if (strcmp(argv[1], "--version") == 0) {
        return written(show_version(0, NULL));
    }
    for (size_t i = 0; i < N_ELEMS(commands); i++) {
        if (strcmp(argv[1], commands[i].name) == 0) {
            return run(&commands[i], argc - 1, argv + 1);
        }
    }
    (void)fprintf(stderr, "sluice: unknown command \"%s\"\n\n", argv[1]);
    return help(stderr, 2);
}
