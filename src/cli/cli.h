/*
 * cli - the subcommands of the program. Each takes the arguments after its own name and
 * returns an exit code: 0, 1 for a problem with what it looked at, 2 for wrong usage, 3 if
 * the server can't be asked. commands.h has their words.
 */
#pragma once

/* ---- run.c, check.c, completion.c, dead/dead.c, drain.c, find/find.c, inspect.c, key.c,
 * ledger/ledger.c, manual.c, reference.c, replay/replay.c, schema.c, sink.c, watch/status.c,
 * watch/tap.c, test.c, watch/top.c, upgrade.c, version.c ---- */

int cli_run(int argc, char **argv);
int cli_check(int argc, char **argv);
int cli_completion(int argc, char **argv);
int cli_dead(int argc, char **argv);
int cli_drain(int argc, char **argv);
int cli_find(int argc, char **argv);
int cli_inspect(int argc, char **argv);
int cli_key(int argc, char **argv);
int cli_ledger(int argc, char **argv);
int cli_manual(int argc, char **argv);
int cli_reference(int argc, char **argv);
int cli_replay(int argc, char **argv);
int cli_schema(int argc, char **argv);
int cli_sink(int argc, char **argv);
int cli_status(int argc, char **argv);
int cli_tap(int argc, char **argv);
int cli_test(int argc, char **argv);
int cli_top(int argc, char **argv);
int cli_upgrade(int argc, char **argv);
int cli_version(int argc, char **argv);

/* ---- orders.c ---- */

int cli_reload(int argc, char **argv);
int cli_rollback(int argc, char **argv);
int cli_promote(int argc, char **argv);
int cli_loglevel(int argc, char **argv);
