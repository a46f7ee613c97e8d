/*
 * ffi - the C functions that hooks call. This text, minus its # lines and after that
 * of decode/event.h, is fed to LuaJIT's ffi.cdef (lua/sluice/hooks.lua): plain C only,
 * explicit lengths, no Lua state. The worker's thread, during a hook.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "decode/event.h"

#pragma GCC visibility push(default)

enum { SLUICE_FFI_VERSION = 1 };

/* A struct event as Lua's hooks hold it: without a member, so that every key is
 * looked up in the event itself, and handed over by reference, so that a number is
 * no index. Only hooks.lua makes a struct event * of it. */
struct sluice_event;

/* One a state; C fills it before it enters Lua. */
struct sluice_context {
    struct event_batch *batch;
    struct event *events; /* batch->events */
    const char *body;     /* batch->body */
    uint32_t n;
    uint32_t epoch; /* of batch; 0: no request is under way */
    double time_ms; /* wall clock of this turn */
    const struct policy_request *request;
    const struct plan *plan;
    const struct route *route;
    uint32_t from; /* where the loop over events begins */
    uint32_t at;   /* the event in hand: for the watchdog */
    uint32_t n_raised;
    uint32_t refused; /* on_request: the status, 0: go on */
    uint32_t n_kept;  /* the entries that lua/sluice/moved.lua keeps of the event */
    uint32_t unused;
    double wait_ms; /* of a 429: until the same may pass */
    double left;    /* work until sluice_spend looks at the clock */
    /* The last key and the last number that were set, as JSON text in the request's
     * arena: mostly the next event gets the same. */
    const char *key, *digits;
    uint32_t key_len, digits_len;
    uint32_t key_epoch, digits_epoch;
    double number;
    const char *location; /* what the location's function gave, in the arena; NULL */
    size_t location_len;
    char code[64]; /* on_request: NUL-terminated */
    char message[512];
};

/* A value found by name. */
struct sluice_value {
    uint32_t kind; /* enum slot_kind */
    uint32_t len;
    const char *text; /* unescaped text of strings, JSON text of the rest */
    double num;
};

/* The unescaped text of slot i. */
int sluice_text(struct sluice_context *c, struct sluice_event *ev, uint32_t i,
                struct sluice_value *out);

/* ---- path.c ---- */

/* 1 and the value at a path, edits included; 0: there is no value, or no such path; -2:
 * the time is over. A string's text lives until the next request. */
int sluice_find(struct sluice_context *c, struct sluice_event *ev, const char *path,
                size_t n, struct sluice_value *out);

/* 1: the value at path, or one that holds it, was set or removed by an edit, so that
 * the event's slot does not tell. */
int sluice_edited(struct sluice_context *c, struct sluice_event *ev, const char *path,
                  size_t n);

/* ---- ffi.c ---- */

/* Why an event was not changed; 0: it was. */
enum ffi_refusal {
    FFI_TOO_MANY = 1, /* edits of one event */
    FFI_NOT_UTF8 = 2,
    FFI_NOT_FINITE = 3,
    FFI_KEY_LONG = 4,
    FFI_NO_PATH = 5,
    FFI_BLOCKED = 6, /* a value on the way is no object, or not so long an array */
    FFI_NO_ROOM = 7, /* in the request's memory */
    FFI_LATE = 8     /* the hook's time is over */
};

/* Set the value at a path (decode/path.h); 0, or an enum ffi_refusal. */
int sluice_set_text(struct sluice_context *c, struct sluice_event *ev, const char *key,
                    size_t n, const char *p, size_t len);
int sluice_set_number(struct sluice_context *c, struct sluice_event *ev,
                      const char *key, size_t n, double v);
int sluice_set_json(struct sluice_context *c, struct sluice_event *ev, const char *key,
                    size_t n, const char *p, size_t len);
/* Also 0 when there is no such value. */
int sluice_remove(struct sluice_context *c, struct sluice_event *ev, const char *key,
                  size_t n);

/* Verdicts. */
void sluice_reject(struct sluice_context *c, struct sluice_event *ev, const char *code,
                   size_t n, const char *message, size_t len);
void sluice_drop(struct sluice_context *c, struct sluice_event *ev);
int sluice_to(struct sluice_context *c, struct sluice_event *ev, const char *stream,
              size_t n); /* 0: no such stream */
void sluice_failed(struct sluice_context *c, struct sluice_event *ev,
                   const char *message, size_t len);
void sluice_refuse(struct sluice_context *c, uint32_t status, const char *code,
                   size_t n, const char *message, size_t len);

void sluice_location(struct sluice_context *c, const char *url, size_t n);

/* A part of the request: 0 method, 1 path, 2 query, 3 peer. */
void sluice_request_part(struct sluice_context *c, int part, struct sluice_value *out);
/* One by its name: 0 parameter of the path, 1 argument of the query, 2 header, 3 basic
 * auth's user, 4 its password (without a name), 5 fact of TLS. 0: the request has no such part. The
 * text lives until the next call. */
int sluice_request_named(struct sluice_context *c, int part, const char *name, size_t n,
                         struct sluice_value *out);

/* The row of the key that was accepted: 1 and the table's place; 0: there is none. */
int sluice_request_key(struct sluice_context *c, int32_t *table, int32_t *row);

/* A claim of the accepted token: SLOT_STRING, SLOT_NUMBER, SLOT_TRUE, SLOT_FALSE; 0: there
 * is none; 9: it is not among those that the policy names. The text lives until the next
 * call. */
int sluice_request_claim(struct sluice_context *c, const char *name, size_t n,
                         struct sluice_value *out);

/* ---- policy/run/deadline.c ---- */

/* 1: Lua was refused memory in this request. */
int sluice_starved(const struct sluice_context *c);

/* Work of n bytes or steps that is not counted elsewhere, before it is done; 0: the
 * time is over, and it must not be. */
int sluice_spend(struct sluice_context *c, double n);

#pragma GCC visibility pop
