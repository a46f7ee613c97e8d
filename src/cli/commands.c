#include "cli/commands.h"

#include <string.h>

#include "base/attr.h"
#include "cli/cli.h"

#define FORMS(...) ((const char *const[]){__VA_ARGS__, NULL})
#define OPTIONS(...) ((const struct command_option[]){__VA_ARGS__, {NULL, NULL, NULL}})

static const struct command list[] = {
    {.name = "run",
     .run = cli_run,
     .group = GROUP_SERVE,
     .summary = "serve a policy",
     .forms = FORMS("run [--listen HOST:PORT] [--admin HOST:PORT] [--data DIR] "
                    "POLICY.lua"),
     .options = OPTIONS(
         {"--listen", "HOST:PORT",
          "the address of the policy's first listener, instead of its "
          "own"},
         {"--admin", "HOST:PORT",
          "the address of the admin listener, instead of the policy's"},
         {"--data", "DIR", "where the spool and the dead letters are (default: data)"}),
     .operand = OPERAND_FILE},
    {.name = "check",
     .run = cli_check,
     .group = GROUP_SERVE,
     .summary = "report every mistake of a policy",
     .forms = FORMS("check [--json] POLICY.lua|FOLDER|-..."),
     .options = OPTIONS({"--json", NULL, "a list of problems, for editors"}),
     .about =
         "A folder stands for its policies: files *.lua that have a route, or take in "
         "a file with one, and that no other policy takes in by require or include. - "
         "is standard input.\n\nExit code 0: all are good, 1: one has "
         "a mistake.",
     .operand = OPERAND_FILE},
    {.name = "test",
     .run = cli_test,
     .group = GROUP_SERVE,
     .summary = "run the specs beside a policy",
     .forms = FORMS("test [DIR|FILE]... [-- BUSTED_OPTION...]"),
     .operand = OPERAND_FILE},
    {.name = "status",
     .run = cli_status,
     .group = GROUP_RUNNING,
     .asks = 1,
     .summary = "say whether a running server loses, delays or refuses events",
     .forms = FORMS("status [--json] [--during TIME]"),
     .options = OPTIONS({"--json", NULL, "the same facts as one JSON object"},
                        {"--during", "TIME",
                         "how long rates are measured, such as 200ms: at most 1h "
                         "(default: 1s)"}),
     .about =
         "Exit code 0: all is well, 1: something is wrong, as the first lines say, "
         "3: no server answers."},
    {.name = "top",
     .run = cli_top,
     .group = GROUP_RUNNING,
     .asks = 1,
     .summary = "the same as status, again and again, with keys",
     .forms = FORMS("top [--every TIME]"),
     .options =
         OPTIONS({"--every", "TIME", "between two looks: 50ms to 1h (default: 1s)"}),
     .about =
         "Keys: q quits, a shows a little of everything, c clients, r refusals, k "
         "sinks with their endpoints, p the policy; s sorts by backlog, rate or name; "
         "space holds the picture; arrows and pages scroll. Where there is no terminal "
         "it prints one screen, as status does."},
    {.name = "tap",
     .run = cli_tap,
     .group = GROUP_RUNNING,
     .asks = 1,
     .summary = "show events as they pass, with what became of them",
     .forms = FORMS("tap [--refused] [--where FIELD=VALUE] [OPTION]..."),
     .options = OPTIONS(
         {"--route", "\"POST /v1/events\"", "events of this route only"},
         {"--stream", "NAME", "events that this stream gets only"},
         {"--refused", NULL, "only what is rejected, refused or a dead letter"},
         {"--where", "FIELD=VALUE",
          "events whose field, such as user.id, has this value (a number, true, or a "
          "text's characters)"},
         {"--sample", "SHARE", "this share of those that pass all that, such as 1%"},
         {"--raw", NULL,
          "with the bytes of refused events and dead letters, which no hook has "
          "masked"},
         {"--count", "N", "end after so many"}),
     .about =
         "Prints a JSON object a line, until Ctrl-C. An event stands as it is stored, "
         "after all that the policy hides. A line {\"dropped\":N} says that N events "
         "passed and were not shown: a server shows at most some thousand a second, "
         "and "
         "never waits for who looks.\n\nExit code 0: --count was reached, 1: the "
         "server refuses, 3: there is no server, or it has ended."},
    {.name = "reload",
     .run = cli_reload,
     .group = GROUP_RUNNING,
     .asks = 1,
     .summary = "load the policy's file again",
     .forms = FORMS("reload [--json]"),
     .options = OPTIONS({"--json", NULL, "the server's answer as it is"}),
     .about =
         "Exit code 0: the policy is live, or tried as a canary or shadow, 1: it is "
         "refused, and the policy before is live, 3: no server answers."},
    {.name = "rollback",
     .run = cli_rollback,
     .group = GROUP_RUNNING,
     .asks = 1,
     .summary = "end a canary or shadow, or go back to the policy before",
     .forms = FORMS("rollback [--json]"),
     .options = OPTIONS({"--json", NULL, "the server's answer as it is"})},
    {.name = "promote",
     .run = cli_promote,
     .group = GROUP_RUNNING,
     .asks = 1,
     .summary = "make a canary or shadow the live policy",
     .forms = FORMS("promote [--json]"),
     .options = OPTIONS({"--json", NULL, "the server's answer as it is"})},
    {.name = "drain",
     .run = cli_drain,
     .group = GROUP_RUNNING,
     .asks = 1,
     .summary = "send clients elsewhere, and wait until sinks have all events",
     .forms = FORMS("drain [--wait TIME]", "drain --undo"),
     .options =
         OPTIONS({"--wait", "TIME", "for so long at most: up to 30d (default: 10m)"},
                 {"--undo", NULL, "take part again"}),
     .about =
         "The server's health turns to 503 and each answer closes its connection; it "
         "takes what still comes, and does not end.\n\nExit code 0: nothing is left, "
         "1: something is left, 3: no server answers."},
    {.name = "loglevel",
     .run = cli_loglevel,
     .group = GROUP_RUNNING,
     .asks = 1,
     .summary = "log more or less, until the next reload or restart",
     .forms = FORMS("loglevel debug|info|warn|error"),
     .operand = OPERAND_WORD,
     .words = "debug info warn error"},
    {.name = "upgrade",
     .run = cli_upgrade,
     .group = GROUP_RUNNING,
     .summary = "have a new process take the place of a running server",
     .forms = FORMS("upgrade [--status]"),
     .asks = 1,
     .options = OPTIONS({"--status", NULL, "say how the last one ended"}),
     .about =
         "The new process is of the binary and the policy that are there now. Exit "
         "code 0: it serves, 1: the old one still does, 3: no server answers; with "
         "--status 0: none is under way and none has failed, 1: the last one has "
         "failed, "
         "4: one is under way."},
    {.name = "sink",
     .run = cli_sink,
     .group = GROUP_RUNNING,
     .summary = "drop the events of a removed sink, repair a journal",
     .forms =
         FORMS("sink drop NAME [--spool DIR]", "sink repair NAME --spool DIR [--yes]"),
     .asks = 1,
     .options = OPTIONS({"--yes", NULL, "repair it; without it nothing changes"}),
     .about = "With --spool DIR, drop also works while no server has that spool. Exit "
              "code 0: done, 1: refused, 3: no server answers.",
     .operand = OPERAND_WORD,
     .words = "drop repair"},
    {.name = "dead",
     .run = cli_dead,
     .group = GROUP_STORED,
     .summary = "list, show, send again and remove dead letters",
     .forms = FORMS("dead list [DIR]", "dead show FILE", "dead purge FILE [--all]",
                    "dead replay --sink NAME [--dry-run | --stop]",
                    "dead replay FILE (--to URL | --dry-run)"),
     .options =
         OPTIONS({"--sink", "NAME", "send a sink's dead letters to that sink again"},
                 {"--to", "URL",
                  "post dead letters to a route; its schema and hooks run "
                  "again"},
                 {"--dry-run", NULL, "say what would be sent"},
                 {"--stop", NULL, "end a replay that is under way"},
                 {"--all", NULL, "remove the letters that were not sent, too"}),
     .asks = 1,
     .about =
         "Without DIR, list reads data/dead. With --sink it asks a running server, "
         "otherwise it reads files. Exit code of list and show 0: all files are read, "
         "1: one can't be; of purge and replay 0: nothing is left, 1: something is "
         "left "
         "or refused; 3: no server answers.",
     .operand = OPERAND_WORD,
     .words = "list show purge replay"},
    {.name = "find",
     .run = cli_find,
     .group = GROUP_STORED,
     .summary = "tell where an event is, and what each sink made of it",
     .forms =
         FORMS("find --id ID [--since AGE] [--stream NAME] [--field PATH] [--json] "
               "[DIR]"),
     .options = OPTIONS(
         {"--id", "ID", "the event's id: the text or number of the stream's index"},
         {"--since", "AGE", "only events accepted within that time, such as 1h"},
         {"--stream", "NAME", "only that stream"},
         {"--field", "PATH",
          "where the id is, in streams without an index of it: reads all their "
          "segments"},
         {"--json", NULL, "the answer as one JSON object"}),
     .about =
         "DIR is the data directory or a spool (default: data), also of a running "
         "server; the command only reads it. Exit code 0: found, 1: not found, 3: the "
         "spool can't be read, or not all of it could be looked at and the event was "
         "not "
         "in the rest.",
     .operand = OPERAND_FOLDER},
    {.name = "ledger",
     .run = cli_ledger,
     .group = GROUP_STORED,
     .summary = "compare what was accepted with what each sink confirmed, by minute",
     .forms =
         FORMS("ledger [--since AGE] [--until AGE] [--stream NAME] [--all] [--json] "
               "[DIR]",
               "ledger --clickhouse URL --table TABLE --time SQL [--id SQL] "
               "[--user NAME] [DIR]",
               "ledger --kafka SINK --policy POLICY.lua [--topic NAMES] "
               "[--timeout TIME] [--memory SIZE] [DIR]"),
     .options = OPTIONS(
         {"--since", "AGE",
          "only events accepted within that time, such as 1h, from a whole minute on"},
         {"--until", "AGE", "only events accepted before that, up to a whole minute"},
         {"--stream", "NAME", "only that stream; by default all that have an index"},
         {"--all", NULL, "also the minutes in which all is confirmed"},
         {"--json", NULL, "the answer as one JSON object"},
         {"--clickhouse", "URL",
          "compare with a table of that server; the password is in "
          "CLICKHOUSE_PASSWORD"},
         {"--table", "TABLE", "the table"},
         {"--time", "SQL",
          "the seconds since 1970 at which a row's event was accepted"},
         {"--id", "SQL", "a row's id as a text (default: toString(FIELD))"},
         {"--user", "NAME", "the user of the server"},
         {"--kafka", "SINK",
          "compare with the topic of that sink: reads its messages, joins no consumer "
          "group"},
         {"--policy", "FILE",
          "the policy that has the sink, with its brokers and options"},
         {"--topic", "NAMES",
          "topics or patterns (events-*) with commas between, instead of the sink's "
          "own"},
         {"--timeout", "TIME",
          "without a message or an answer of a broker (default: 30s, 1s to 1h)"},
         {"--memory", "SIZE",
          "for the ids of minutes that differ (default: 256MiB, at least 1MiB); for "
          "more ids the topics are read again"}),
     .about =
         "DIR is the data directory or a spool (default: data), also of a running "
         "server; the command only reads it. Exit code 0: every sink has confirmed "
         "every event, or the table or topic has each once, 1: not so, 3: it can't be "
         "compared.",
     .operand = OPERAND_FOLDER},
    {.name = "inspect",
     .run = cli_inspect,
     .group = GROUP_STORED,
     .summary = "show what a spool holds",
     .forms = FORMS("inspect [--verify | --salvage OUT] DIR"),
     .options = OPTIONS({"--verify", NULL,
                         "check every block; exit code 1 if one is damaged or can't be "
                         "read"},
                        {"--salvage", "OUT",
                         "make the directory OUT and write all readable events to "
                         "OUT/STREAM.ndjson"}),
     .about =
         "DIR is the data directory or a spool, such as data/spool. The command only "
         "reads it, also while a server runs.",
     .operand = OPERAND_FOLDER},
    {.name = "replay",
     .run = cli_replay,
     .group = GROUP_STORED,
     .summary = "show what a policy does with stored events",
     .forms = FORMS("replay --policy NEW.lua [--old OLD.lua] [OPTION]... PATH"),
     .options = OPTIONS(
         {"--policy", "NEW.lua", "the policy to try"},
         {"--old", "OLD.lua", "compare with this one"},
         {"--route", "\"POST /v1/events\"", "the route that takes the events"},
         {"--stream", "NAME", "events of this stream only"},
         {"--header", "\"Name: value\"", "a header of each request; repeatable"},
         {"--time", "FIELD", "the field with the time of arrival"},
         {"--at", "TIME", "the time of arrival of all"},
         {"--samples", "N", "how many changed events are shown"},
         {"--json", NULL, "the report as one JSON object"}),
     .about =
         "PATH is a spool such as data/spool, a folder of .ndjson, .gz or .zst files, "
         "or one such file.\n\nExit code 0: no event changes, 1: some events "
         "change, 2: the replay failed.",
     .operand = OPERAND_FILE},
    {.name = "key",
     .run = cli_key,
     .group = GROUP_TOOLS,
     .summary = "make an API key and its hash for a file of keys",
     .forms = FORMS("key [--prefix TEXT | --stdin]"),
     .options = OPTIONS(
         {"--prefix", "TEXT",
          "what the key begins with: at most 64 letters, digits, _, - and "
          "dots"},
         {"--stdin", NULL, "print the SHA-256 of a key that stands in one line"}),
     .about = "Makes a key of 256 random bits and its SHA-256 for a file of keys."},
    {.name = "schema",
     .run = cli_schema,
     .group = GROUP_TOOLS,
     .summary = "print the table that a policy needs",
     .forms = FORMS("schema --clickhouse POLICY.lua"),
     .options = OPTIONS({"--clickhouse", NULL, "as a CREATE TABLE of ClickHouse"}),
     .operand = OPERAND_FILE},
    {.name = "reference",
     .run = cli_reference,
     .group = GROUP_TOOLS,
     .summary = "print the words of a policy",
     .forms = FORMS("reference [--markdown | --meta | --luacheck]"),
     .options = OPTIONS({"--markdown", NULL, "for people (the default)"},
                        {"--meta", NULL, "annotations for a language server"},
                        {"--luacheck", NULL, "a standard for luacheck"})},
    {.name = "completion",
     .run = cli_completion,
     .group = GROUP_TOOLS,
     .summary = "print what a shell needs to complete these commands",
     .forms = FORMS("completion bash|zsh|fish"),
     .about = "For bash: source <(sluice completion bash)",
     .operand = OPERAND_WORD,
     .words = "bash zsh fish"},
    {.name = "manual",
     .run = cli_manual,
     .group = GROUP_TOOLS,
     .summary = "print the manual page, sluice.1",
     .forms = FORMS("manual")},
    {.name = "version",
     .run = cli_version,
     .group = GROUP_TOOLS,
     .summary = "print the version",
     .forms = FORMS("version")},
};

const struct command *commands_list(size_t *n)
{
    *n = N_ELEMS(list);
    return list;
}

const struct command *commands_find(const char *name)
{
    for (size_t i = 0; i < N_ELEMS(list); i++) {
        if (strcmp(name, list[i].name) == 0) {
            return &list[i];
        }
    }
    return NULL;
}

const char *commands_group(enum command_group g)
{
    static const char *const titles[N_GROUPS] = {[GROUP_SERVE] = "Serve and check",
                                                 [GROUP_RUNNING] = "A running server",
                                                 [GROUP_STORED] = "Stored events",
                                                 [GROUP_TOOLS] = "Tools"};

    return titles[g];
}

const struct command_option *commands_asking(void)
{
    static const struct command_option options[] = {
        {"--admin", "ADDRESS",
         "the server's admin listener: HOST:PORT, unix:/path or https://HOST:PORT "
         "(default: $SLUICE_ADMIN)"},
        {"--spool", "DIR",
         "the server of this spool or data directory, such as data/spool: it notes its "
         "address there"},
        {"--token-file", "FILE",
         "a file with the admin token (default: $SLUICE_ADMIN_TOKEN)"},
        {"--cacert", "FILE",
         "the certificates that https trusts, instead of the system's"},
        {NULL, NULL, NULL}};

    return options;
}
