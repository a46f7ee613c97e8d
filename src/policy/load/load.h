/*
 * load - a policy file to a snapshot: read once, checked, its plan, its examples run.
 *
 *   policy_load (supervisor) -> policy_plan, states (policy/run/run.h) -> policy_unref
 *
 * A snapshot (struct policy) is immutable and counted. A load that fails changes
 * nothing.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/attr.h"
#include "base/str.h"
#include "plan/plan.h"

struct err;
struct policy;

/* One mistake, or a note: for editors. Lines and columns from 1, in bytes. */
struct policy_problem {
    char *file;
    int line;               /* 0: the file as a whole */
    int column, end_column; /* end: after the last; equal: the spot is not known */
    bool note;
    char *path;       /* "kafka \"bus\".batch.linger"; NULL: of no statement */
    char *message;    /* without the path */
    char *suggestion; /* the word that was probably meant; NULL: no word is near */
};

/* The loader's report on a file: all mistakes together, as shown in the operator's
 * terms (file:line: path: what ... with source line and marker), and the same one by
 * one. */
struct policy_report {
    char *text; /* NUL-terminated, "" when clean; free with policy_report_fini */
    struct policy_problem *list; /* problems, then notes */
    unsigned n_problems;
    unsigned n_notes; /* things worth knowing: "on_event has a loop: interpreted" */
};

/* Reads path and the files that it requires once, checks it, builds the plan, runs its
 * examples. NULL when anything is wrong: report tells; a clean load may carry notes.
 * Caller owns one reference. */
struct policy *policy_load(const char *path, struct policy_report *report) MUST_USE;

/* The same for a server: tables of large lookup files are built in tables_dir, and found
 * there again. Without it each load builds them for itself. */
struct policy *policy_load_in(const char *path, const char *tables_dir,
                              struct policy_report *report) MUST_USE;

/* Replacements of the process's own environment for a policy. */
struct policy_env {
    struct pair_plan *pairs; /* all that env() finds */
    uint32_t n;
    uint64_t seed; /* of sample() and uuid7() */
};

/* The same with an environment of its own; env outlives the policy. text.p NULL:
 * the file at path is read. */
struct policy *policy_load_with(const char *path, struct str text,
                                const struct policy_env *env,
                                struct policy_report *report) MUST_USE;

/* The same for text already in memory (the embedded quickstart, tests). */
struct policy *policy_load_text(const char *name, struct str text,
                                struct policy_report *report) MUST_USE;

/* p's files as they were read, loaded again: a policy of its own. */
struct policy *policy_again(const struct policy *p,
                            struct policy_report *report) MUST_USE;

struct policy *policy_ref(struct policy *p);
void policy_unref(struct policy *p);
/* The paths of its files, the policy's own first; NULL after the last. */
const char *policy_file(const struct policy *p, uint32_t i);
/* Its text as it was read, while p lives; {NULL, 0}: it is no Lua file, or there are no
 * more. */
struct str policy_file_text(const struct policy *p, uint32_t i);
/* Whether that word stands as a text in one of its Lua files (literals.h). Any thread. */
bool policy_says(const struct policy *p, const char *word) MUST_USE;
const char *policy_secret_file(const struct policy *p, uint32_t i);
/* The same of its large lookup tables, which are not among the files. */
const char *policy_table_file(const struct policy *p, uint32_t i);
const struct plan *policy_plan(const struct policy *p); /* lives with p */
struct plan *policy_plan_mutable(struct policy *p);     /* before publish only */

/* The memory of that stream's keys lives as long as p, also while p has no state yet. One
 * thread. */
struct seen;
void policy_keep(struct policy *p, uint32_t stream, struct seen *seen);

/* Before p's first state: the registry that keeps its counters, limits and memories.
 * Without it p has its own, which goes with it. */
struct registry;
void policy_share(struct policy *p, struct registry *registry);

/* ---- diag.c ---- */

/* Adds a problem of the file as a whole to a clean report. */
void policy_report_problem(struct policy_report *r, const char *file, const char *text);
/* Adds a note about the file as a whole to a clean report. */
void policy_report_note(struct policy_report *r, const char *file, const char *text);
void policy_report_fini(struct policy_report *r);

/* ---- saved.c ---- */

/* p's files as one file at path, whole or not at all, on stable storage; and that file
 * as a policy again. Results of env() are not in it: env() is called again. Nor are large
 * lookup files: it names their built tables, which are in tables_dir. */
bool policy_save(const struct policy *p, const char *path, struct err *e) MUST_USE;
struct policy *policy_load_saved(const char *path, const char *tables_dir,
                                 struct policy_report *report) MUST_USE;

/* The ids of the built tables that a saved policy names. False: it may name others, for
 * it can't be read to its end; one that is not there names none. */
typedef void policy_saved_table_fn(void *arg, const char *id_hex);
bool policy_saved_tables(const char *path, policy_saved_table_fn *told,
                         void *arg) MUST_USE;

/* ---- reference.c ---- */

/* The words of a policy: form is "markdown", "meta" (LuaCATS) or "luacheck" (a std).
 * free() it; NULL and *e. */
char *policy_reference(const char *form, struct err *e) MUST_USE;
