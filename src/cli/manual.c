/* sluice manual: the table of commands as a manual page, sluice.1. */
#include <stdbool.h>
#include <stdio.h>

#include "cli/cli.h"
#include "cli/commands.h"
#include "server/supervisor.h"

/* As roff takes it: a backslash or a point at the begin of a line means something else. */
static void put_part(const char *text)
{
    bool begin = true;

    for (; *text != '\0'; text++) {
        if (begin && (*text == '.' || *text == '\'')) {
            (void)fputs("\\&", stdout);
        }
        if (*text == '\\') {
            (void)fputs("\\e", stdout);
        } else if (*text == '-') {
            (void)fputs("\\-", stdout);
        } else if (*text == '\n' && text[1] == '\n') {
            (void)fputs("\n.PP\n", stdout);
            text++;
        } else {
            (void)putchar(*text);
        }
        begin = *text == '\n';
    }
}

static void put(const char *text)
{
    put_part(text);
    (void)putchar('\n');
}

static void put_options(const struct command_option *o)
{
    for (; o != NULL && o->name != NULL; o++) {
        (void)fputs(".TP\n\\fB", stdout);
        put_part(o->name);
        (void)fputs("\\fR", stdout);
        if (o->value != NULL) {
            (void)fputs(" \\fI", stdout);
            put_part(o->value);
            (void)fputs("\\fR", stdout);
        }
        (void)putchar('\n');
        put(o->help);
    }
}

static void put_command(const struct command *c)
{
    (void)printf(".SS %s\n", c->name);
    for (const char *const *form = c->forms; *form != NULL; form++) {
        (void)printf("%s.B ", form == c->forms ? "" : ".br\n");
        put(*form);
    }
    (void)fputs(".PP\n", stdout);
    put(c->summary);
    put_options(c->options);
    if (c->about != NULL) {
        (void)fputs(".PP\n", stdout);
        put(c->about);
    }
    if (c->asks) {
        (void)fputs(".PP\nIt asks a running server: see below.\n", stdout);
    }
}

int cli_manual(int argc, char **argv)
{
    size_t n;
    const struct command *list = commands_list(&n);

    (void)argv;
    if (argc != 1) {
        return usage_wrong("manual");
    }
    (void)printf(".TH SLUICE 1 \"\" \"sluice %s\"\n"
                 ".SH NAME\nsluice \\- take events over HTTP, store and deliver them\n"
                 ".SH SYNOPSIS\n.B sluice\n.I COMMAND\n[OPTION]...\n",
                 SLUICE_VERSION);
    for (int g = 0; g < N_GROUPS; g++) {
        (void)printf(".SH \"%s\"\n", commands_group((enum command_group)g));
        for (size_t i = 0; i < n; i++) {
            if (list[i].group == (enum command_group)g) {
                put_command(&list[i]);
            }
        }
    }
    (void)fputs(
        ".SH \"Which server\"\nCommands to a running server take these options, "
        "too.\n",
        stdout);
    put_options(commands_asking());
    (void)fputs(".SH FILES\n.TP\n.I data/spool/ADMIN\nwhere a running server has noted "
                "its admin address\n",
                stdout);
    return EXIT_OK;
}
