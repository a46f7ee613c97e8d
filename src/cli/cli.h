/*
 * cli - the subcommands of the program. Each takes the arguments after its own name
 * and returns an exit code: 0, 1 for a problem with the input, 2 for wrong usage.
 */
#pragma once

/* ---- run.c, check.c, dead.c, key.c, reference.c, schema.c, sink.c, test.c, replay.c,
 * inspect.c, upgrade.c ---- */

int cli_run(int argc, char **argv);   /* run [options] POLICY.lua */
int cli_check(int argc, char **argv); /* check [--json] POLICY.lua */
int cli_dead(int argc, char **argv);
int cli_key(int argc, char **argv);       /* key [--prefix TEXT | --stdin] */
int cli_reference(int argc, char **argv); /* reference [--markdown | ...] */
int cli_schema(int argc, char **argv);    /* schema --clickhouse POLICY.lua */
int cli_sink(int argc, char **argv);      /* sink drop NAME [--admin A | --spool DIR] */
int cli_test(int argc, char **argv);      /* test [DIR|FILE]... [-- OPTION...] */
int cli_replay(int argc, char **argv);    /* replay --policy NEW.lua PATH */
int cli_inspect(int argc, char **argv);   /* inspect DIR */
int cli_upgrade(int argc, char **argv);   /* upgrade [--admin A] [--status] */
