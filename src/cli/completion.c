/* sluice completion bash|zsh|fish: the table of commands for a shell that completes. */
#include <stdio.h>
#include <string.h>

#include "cli/cli.h"
#include "cli/commands.h"
#include "server/supervisor.h"

/* Runs fn for each option of a command, also those of all that ask a server. */
static void each_option(const struct command *c,
                        void (*fn)(const struct command *c,
                                   const struct command_option *o))
{
    static const struct command_option help = {"--help", NULL, "say how it is called"};

    for (const struct command_option *o = c->options; o != NULL && o->name != NULL;
         o++) {
        fn(c, o);
    }
    for (const struct command_option *o = commands_asking(); c->asks && o->name != NULL;
         o++) {
        fn(c, o);
    }
    fn(c, &help);
}

/* Between single quotes; each of special gets a backslash. */
static void put_quoted(const char *text, const char *special)
{
    for (; *text != '\0'; text++) {
        if (*text == '\'') {
            (void)fputs("'\\''", stdout);
            continue;
        }
        if (strchr(special, *text) != NULL) {
            (void)putchar('\\');
        }
        (void)putchar(*text);
    }
}

/* "help" is no command of the list: its word is one of them. */
static const char HELP[] = "say how a command is called";

static void put_names(const struct command *list, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        (void)printf("%s%s", i == 0 ? "" : " ", list[i].name);
    }
}

/* ---- bash ---- */

static void bash_option(const struct command *c, const struct command_option *o)
{
    (void)c;
    (void)printf(" %s", o->name);
}

static void bash(const struct command *list, size_t n)
{
    (void)fputs("# bash completion of sluice\n"
                "_sluice() {\n"
                "  local cur=${COMP_WORDS[COMP_CWORD]} options= words=\n"
                "  COMPREPLY=()\n"
                "  if [ \"$COMP_CWORD\" -eq 1 ]; then\n"
                "    words='help ",
                stdout);
    put_names(list, n);
    (void)fputs("'\n"
                "    mapfile -t COMPREPLY < <(compgen -W \"$words\" -- \"$cur\")\n"
                "    return\n"
                "  fi\n"
                "  case ${COMP_WORDS[1]} in\n"
                "  help) words='",
                stdout);
    put_names(list, n);
    (void)fputs("' ;;\n", stdout);
    for (size_t i = 0; i < n; i++) {
        (void)printf("  %s) options='", list[i].name);
        each_option(&list[i], bash_option);
        (void)printf("' words='%s' ;;\n", list[i].words == NULL ? "" : list[i].words);
    }
    (void)fputs("  esac\n"
                "  if [ \"${cur#-}\" != \"$cur\" ]; then\n"
                "    mapfile -t COMPREPLY < <(compgen -W \"$options\" -- \"$cur\")\n"
                "  elif [ \"$COMP_CWORD\" -eq 2 ] && [ -n \"$words\" ]; then\n"
                "    mapfile -t COMPREPLY < <(compgen -W \"$words\" -- \"$cur\")\n"
                "  else\n"
                "    # Only here: a word such as dead may be a folder's name, too.\n"
                "    compopt -o filenames 2>/dev/null\n"
                "    mapfile -t COMPREPLY < <(compgen -f -- \"$cur\")\n"
                "  fi\n"
                "}\n"
                "complete -F _sluice sluice\n",
                stdout);
}

/* ---- zsh ---- */

static void zsh_option(const struct command *c, const struct command_option *o)
{
    (void)c;
    (void)printf(" \\\n      '%s[", o->name);
    put_quoted(o->help, "[]:\\");
    (void)putchar(']');
    if (o->value != NULL) {
        (void)putchar(':');
        put_quoted(o->value, "[]:\\");
        (void)fputs(":_files", stdout);
    }
    (void)putchar('\'');
}

static void zsh(const struct command *list, size_t n)
{
    (void)fputs("#compdef sluice\n"
                "local -a commands\n"
                "commands=(\n",
                stdout);
    for (size_t i = 0; i < n; i++) {
        (void)printf("  '%s:", list[i].name);
        put_quoted(list[i].summary, ":\\");
        (void)fputs("'\n", stdout);
    }
    (void)printf("  'help:%s'\n", HELP);
    (void)fputs(")\n"
                "if (( CURRENT == 2 )); then\n"
                "  _describe command commands\n"
                "  return\n"
                "fi\n"
                "local command=$words[2]\n"
                "shift words\n"
                "(( CURRENT-- ))\n"
                "case $command in\n"
                "  help)\n    _arguments '1:command:(",
                stdout);
    put_names(list, n);
    (void)fputs(")' ;;\n", stdout);
    for (size_t i = 0; i < n; i++) {
        (void)printf("  %s)\n    _arguments", list[i].name);
        each_option(&list[i], zsh_option);
        if (list[i].words != NULL) {
            (void)printf(" \\\n      '1:word:(%s)'", list[i].words);
        }
        (void)fputs(" \\\n      '*:file:_files' ;;\n", stdout);
    }
    (void)fputs("esac\n", stdout);
}

/* ---- fish ---- */

/* Between single quotes; in fish a backslash escapes one. */
static void put_fish(const char *text)
{
    for (; *text != '\0'; text++) {
        if (*text == '\'' || *text == '\\') {
            (void)putchar('\\');
        }
        (void)putchar(*text);
    }
}

static void fish_option(const struct command *c, const struct command_option *o)
{
    (void)printf("complete -c sluice -n '__sluice_is %s' -l %s%s -d '", c->name,
                 o->name + 2, o->value == NULL ? "" : " -r");
    put_fish(o->help);
    (void)fputs("'\n", stdout);
}

static void fish(const struct command *list, size_t n)
{
    /* fish's own __fish_seen_subcommand_from takes replay for a command in "dead replay". */
    (void)fputs("# fish completion of sluice\n"
                "function __sluice_is\n"
                "  set -l words (commandline -opc)\n"
                "  test (count $words) -ge 2; and test $words[2] = $argv[1]\n"
                "end\n"
                "function __sluice_begins\n"
                "  __sluice_is $argv[1]; and test (count (commandline -opc)) -eq 2\n"
                "end\n",
                stdout);
    for (size_t i = 0; i < n; i++) {
        (void)printf("complete -c sluice -n __fish_use_subcommand -f -a %s -d '",
                     list[i].name);
        put_fish(list[i].summary);
        (void)fputs("'\n", stdout);
        if (list[i].words != NULL) {
            (void)printf("complete -c sluice -n '__sluice_begins %s' -f -a '%s'\n",
                         list[i].name, list[i].words);
        }
        each_option(&list[i], fish_option);
    }
    (void)printf("complete -c sluice -n __fish_use_subcommand -f -a help -d '%s'\n"
                 "complete -c sluice -n '__sluice_begins help' -f -a '",
                 HELP);
    put_names(list, n);
    (void)fputs("'\n", stdout);
}

int cli_completion(int argc, char **argv)
{
    size_t n;
    const struct command *list = commands_list(&n);

    if (argc != 2) {
        return usage_wrong("completion");
    }
    if (strcmp(argv[1], "bash") == 0) {
        bash(list, n);
    } else if (strcmp(argv[1], "zsh") == 0) {
        zsh(list, n);
    } else if (strcmp(argv[1], "fish") == 0) {
        fish(list, n);
    } else {
        return usage_wrong("completion");
    }
    return EXIT_OK;
}
