/*
 * sluice - accepts events over HTTP, lets a Lua policy decide, stores them
 * before it answers, and delivers them in batches. This file only finds the
 * subcommand.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "cli/cli.h"
#include "cli/commands.h"
#include "server/supervisor.h"

static bool is_help(const char *arg)
{
    return strcmp(arg, "--help") == 0 || strcmp(arg, "-h") == 0;
}

/* Wherever it stands: "sluice sink drop --help" names no sink. What follows "--" is for
 * another program. */
static bool asks_help(int argc, char **argv)
{
    for (int i = 1; i < argc && strcmp(argv[i], "--") != 0; i++) {
        if (is_help(argv[i])) {
            return true;
        }
    }
    return false;
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
    int code;

    if (asks_help(argc, argv)) {
        usage_show(c, stdout);
        return written(0);
    }
    code = c->run(argc, argv);
    if (code == EXIT_STUCK) {
        /* Other threads still use memory that exit would take down. */
        _exit(code);
    }
    return written(code);
}

static int unknown(const char *name)
{
    (void)fprintf(stderr, "sluice: unknown command \"%.60s\"\n\n", name);
    usage_all(stderr);
    return 2;
}

static int help(int argc, char **argv)
{
    const struct command *c = argc > 2 ? commands_find(argv[2]) : NULL;

    if (argc > 2 && c == NULL && strcmp(argv[2], "help") != 0 && !is_help(argv[2])) {
        return unknown(argv[2]);
    }
    if (c != NULL) {
        usage_show(c, stdout);
    } else {
        usage_all(stdout);
    }
    return written(0);
}

/* A caller may have closed one: then the next file, such as a segment or a socket, would get
 * its number, and with it the log's lines. A new descriptor has the lowest number. */
static bool hold_standard(void)
{
    for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++) {
        if (fcntl(fd, F_GETFD) < 0 && open("/dev/null", O_RDWR) != fd) {
            return false;
        }
    }
    return true;
}

int main(int argc, char **argv)
{
    const struct command *c;

    if (!hold_standard()) {
        return 2;
    }
    if (argc < 2) {
        usage_all(stderr);
        return 2;
    }
    if (strcmp(argv[1], "help") == 0 || is_help(argv[1])) {
        return help(argc, argv);
    }
    if (strcmp(argv[1], "--version") == 0) {
        return written(cli_version(0, NULL));
    }
    c = commands_find(argv[1]);
    if (c != NULL) {
        return run(c, argc - 1, argv + 1);
    }
    return unknown(argv[1]);
}
