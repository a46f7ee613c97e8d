/*
 * library - the C functions of a policy's helpers (lua/sluice/library.lua). This text,
 * minus its # lines and after that of policy/library/ffi.h, is fed to LuaJIT's
 * ffi.cdef: plain C only, explicit lengths, no Lua state. The state's thread.
 *
 * A text in *out lies in an argument, or in the state's scratch memory, where the next
 * call that says "scratch" overwrites it.
 */
#pragma once

#include "policy/library/ffi.h"

#pragma GCC visibility push(default)

/* A row of a lookup file, as Lua sees it. */
struct sluice_row {
    const int32_t sluice_table, sluice_row_;
};

enum { SLUICE_TEXT_MAX = 65536 }; /* bytes of scratch */

/* ---- path.c ---- */

/* The value at a path (decode/path.h), edits included: 1 found, 0 there is none, -1
 * no such path can be, -2 the time is over. */
int sluice_get(struct sluice_context *c, struct sluice_event *ev, const char *path,
               size_t n, struct sluice_value *out);

/* ---- text.c ---- */

void sluice_trim(const char *p, size_t n, struct sluice_value *out);
int sluice_starts(const char *p, size_t n, const char *with, size_t k);
int sluice_ends(const char *p, size_t n, const char *with, size_t k);
/* The part between separators, from 1; 0: there are not so many. k > 0. */
int sluice_part(const char *p, size_t n, const char *separator, size_t k, double which,
                struct sluice_value *out);

/* Scratch. 1; 0: the argument is malformed or has no such part; -1: too long. */
int sluice_url_decode(struct sluice_context *c, const char *p, size_t n,
                      struct sluice_value *out);
int sluice_param(struct sluice_context *c, const char *query, size_t n,
                 const char *name, size_t k, struct sluice_value *out);
int sluice_mask(struct sluice_context *c, const char *p, size_t n, double keep,
                struct sluice_value *out);
int sluice_mask_ip(struct sluice_context *c, const char *p, size_t n,
                   struct sluice_value *out);
int sluice_base64_decode(struct sluice_context *c, const char *p, size_t n,
                         struct sluice_value *out);
int sluice_base64_encode(struct sluice_context *c, const char *p, size_t n,
                         struct sluice_value *out);

/* ---- plain.c ---- */

/* The place of `what` in the text, from `from` on; -1: nowhere, -2: the time is
 * over. */
int32_t sluice_index(struct sluice_context *c, const char *p, size_t n,
                     const char *what, size_t k, size_t from);

/* ---- digest.c ---- */

/* Scratch: 64 hex digits; 0: the library failed. */
int sluice_sha256(struct sluice_context *c, const char *p, size_t n,
                  struct sluice_value *out);
int sluice_hmac(struct sluice_context *c, const char *key, size_t k, const char *p,
                size_t n, struct sluice_value *out);
/* Takes as long whether equal or not; lengths are no secret. */
int sluice_equal(const char *a, size_t n, const char *b, size_t k);

/* ---- tools.c ---- */

/* A whole number below 2^53, the same in every process. */
double sluice_hash(const char *p, size_t n);
/* Below 1, from the state's own sequence. */
double sluice_random(struct sluice_context *c);
/* Scratch: 36 characters, each greater than the state's one before. */
void sluice_uuid7(struct sluice_context *c, struct sluice_value *out);

/* Scratch; 0: no time of the years 0 to 9999. */
int sluice_iso8601(struct sluice_context *c, double ms, struct sluice_value *out);
/* out->num: ms since 1970; 0: no RFC 3339 text. */
int sluice_parse_time(const char *p, size_t n, struct sluice_value *out);

/* ---- policy/run/handles.c ---- */

/* Counters, gauges and limits, by their places in the plan. Without effect while
 * the policy is loaded. */
int sluice_rehearsal(struct sluice_context *c); /* loaded, or trying its examples */
/* -1: too many series; the call counts as "other". */
int32_t sluice_series(struct sluice_context *c, int32_t metric, const char *x,
                      size_t nx, const char *y, size_t ny, const char *z, size_t nz);
void sluice_add(struct sluice_context *c, int32_t metric, int32_t series, double v);
void sluice_set(struct sluice_context *c, int32_t metric, int32_t series, double v);
void sluice_limited(struct sluice_context *c, struct sluice_event *ev, double wait_ms);

/* ---- policy/run/limits.c ---- */

/* 0: taken, or taken by the process before for this request; else the milliseconds until
 * there are so many tokens. */
double sluice_take(struct sluice_context *c, int32_t limit, const char *key, size_t n,
                   double tokens);

/* ---- policy/load/files.c ---- */

/* Tables of lookup and cidr files. -1: no such key, or no network with the address; -2:
 * the built table can't be read any more. */
int32_t sluice_row(struct sluice_context *c, int32_t table, const char *key, size_t n);
/* Scratch; 0: it can't be read any more. */
int sluice_cell(struct sluice_context *c, int32_t table, int32_t row, int32_t column,
                struct sluice_value *out);

/* ---- policy/load/databases.c ---- */

/* The value at a path of a database, by an address. 0: there is none, or no such address;
 * -1: it is no path. Scratch. */
int sluice_mmdb(struct sluice_context *c, int32_t file, const char *address, size_t n,
                const char *path, size_t k, struct sluice_value *out);

/* ---- policy/load/agent_sets.c ---- */

/* A part of a user agent (enum agent_part). 0: it has none such; -2: the time is over. The
 * text lives until the next call. */
int sluice_agent(struct sluice_context *c, int32_t reader, const char *text, size_t n,
                 int32_t part, struct sluice_value *out);

#pragma GCC visibility pop
