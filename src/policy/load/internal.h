/*
 * internal - the parts that the files of this room share. No other file includes it.
 */
#pragma once

#include "policy/internal.h"
#include "policy/load/load.h"

/* ---- snapshot.c ---- */

/* text is taken. */
void snapshot_add(struct policy *p, const char *path, char *text, size_t n);
void snapshot_copy(struct policy *p, const struct snapshot_file *f);
void snapshot_file_fini(struct snapshot_file *f);
bool snapshot_read(struct policy *p, const char *path, size_t max_bytes, struct err *e);
/* A file that was read is not the one that is on the disk now. */
bool snapshot_changed(const struct policy *p);

struct stat;
struct snapshot_id snapshot_id_of(const struct stat *st);

/* A file of the snapshot; NULL: none. */
const struct snapshot_file *snapshot_find(const struct policy *p, const char *path);

/* ---- databases.c ---- */

enum { DATABASE_BYTES_MAX = 512 << 20 };

/* f's text becomes that of the database of the same bytes, which all snapshots of the
 * process share. False and *e: it is none. */
bool databases_open(struct snapshot_file *f, struct err *e) MUST_USE;
struct mmdb *databases_share(struct mmdb *m); /* one user more */
void databases_close(struct mmdb *m);         /* one less */

/* ---- files.c ---- */

/* t's texts are copied, its reference is taken. */
void snapshot_add_table(struct policy *p, const struct table *t);

/* ---- load.c ---- */

/* An empty snapshot; one with its files to a policy, taken; NULL and a
 * report. reading: files that it lacks are read. */
struct policy *snapshot_new(void);
struct policy *snapshot_load(struct policy *p, bool reading,
                             struct policy_report *report);

/* ---- diag.c ---- */

/* The problems of the result on top. */
void diag_report(lua_State *L, struct policy_report *report);
/* The only problem, of the file as a whole; text names it as it should read. */
void diag_plain(struct policy_report *report, const char *file, const char *text);
/* The loader's remarks, of the result on top, as notes. */
void diag_remarks(lua_State *L, struct policy_report *report);
void diag_note(struct policy_report *report, const char *file, int line,
               const char *message);
