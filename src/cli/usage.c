/* The table of commands as text for people. */
#include <string.h>

#include "cli/commands.h"
#include "cli/show.h"
#include "server/supervisor.h"

enum { WIDTH = 78, INDENT = 2, COLUMN = 22 };

/* Words of text from column at on; lines after the first begin at column indent. */
static void wrap(FILE *to, const char *text, size_t at, size_t indent)
{
    while (*text != '\0') {
        size_t n = strcspn(text, " \n");

        if (at > indent && at + 1 + n > WIDTH) {
            (void)fprintf(to, "\n%*s", (int)indent, "");
            at = indent;
        } else if (at > indent) {
            (void)fputc(' ', to);
            at++;
        }
        (void)fprintf(to, "%.*s", (int)n, text);
        at += n;
        text += n;
        if (strncmp(text, "\n\n", 2) == 0) {
            (void)fprintf(to, "\n\n%*s", (int)indent, "");
            at = indent;
        }
        text += strspn(text, " \n");
    }
    (void)fputc('\n', to);
}

static void show_options(const struct command_option *o, FILE *to)
{
    for (; o != NULL && o->name != NULL; o++) {
        int n = fprintf(to, "%*s%s%s%s", INDENT, "", o->name,
                        o->value == NULL ? "" : " ", o->value == NULL ? "" : o->value);

        if (n + 2 > COLUMN) {
            (void)fprintf(to, "\n%*s", COLUMN, "");
        } else {
            (void)fprintf(to, "%*s", COLUMN - n, "");
        }
        wrap(to, o->help, COLUMN, COLUMN);
    }
}

static char first_up(char c)
{
    return c >= 'a' && c <= 'z' ? (char)(c - 'a' + 'A') : c;
}

static void show_forms(const struct command *c, FILE *to)
{
    for (const char *const *form = c->forms; *form != NULL; form++) {
        (void)fprintf(to, "%s sluice %s\n", form == c->forms ? "usage:" : "      ",
                      *form);
    }
}

void usage_show(const struct command *c, FILE *to)
{
    show_forms(c, to);
    (void)fprintf(to, "\n%c%s.\n", first_up(c->summary[0]), c->summary + 1);
    if (c->options != NULL) {
        (void)fputc('\n', to);
        show_options(c->options, to);
    }
    if (c->asks) {
        (void)fprintf(to, "\nWhich server, and how:\n");
        show_options(commands_asking(), to);
    }
    if (c->about != NULL) {
        (void)fputc('\n', to);
        wrap(to, c->about, 0, 0);
    }
}

void usage_all(FILE *to)
{
    size_t n;
    const struct command *list = commands_list(&n);

    (void)fputs("usage: sluice COMMAND ...\n", to);
    for (int g = 0; g < N_GROUPS; g++) {
        (void)fprintf(to, "\n%s:\n", commands_group((enum command_group)g));
        for (size_t i = 0; i < n; i++) {
            if (list[i].group == (enum command_group)g) {
                (void)fprintf(to, "  %-10s %s\n", list[i].name, list[i].summary);
            }
        }
    }
    (void)fputs("\nsluice COMMAND --help says more of one.\n", to);
}

int usage_wrong(const char *name)
{
    show_forms(commands_find(name), stderr);
    return EXIT_USAGE;
}

int usage_value(const char *name, const char *option, const char *value)
{
    const struct command_option *o = commands_find(name)->options;

    while (o->name != NULL && strcmp(o->name + 2, option) != 0) {
        o++;
    }
    if (o->name == NULL) {
        show_line(stderr, "sluice: --%s can't be \"%.60s\"", option, value);
    } else {
        show_line(stderr, "sluice: --%s can't be \"%.60s\"; %s %s: %s", option, value,
                  o->name, o->value, o->help);
    }
    return usage_wrong(name);
}
