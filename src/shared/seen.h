/*
 * seen - the keys of the last while, so that a repeat is known: for all workers,
 * in fixed memory; or, with a keystore, those that are not on disk yet.
 *
 *   seen_new (registry.c) -> seen_begin -> seen_ask ─► new ─► ... ─► seen_finish
 *                                       ├─► before: a repeat     ▲
 *                                       └─► busy ─► seen_fate ───┘ of the other
 *
 * A key that is asked for the first time is reserved; it counts as seen only once
 * it is finished as stored, and is forgotten when it was not, so that the retry of
 * a request that failed passes. Any thread; a shard's lock is held for some
 * hundred nanoseconds. Keys are kept as 128 bits of a keyed hash.
 *
 * With a keystore a stored key stays here until seen_saved says that every view of the
 * keystore has it: until then no room is made by forgetting, so that SEEN_FULL means
 * "refuse it". A caller asks the view first, then here, with that view still held.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/attr.h"
#include "base/str.h"

struct seen_conf {
    int64_t window_ms; /* > 0, from a key's first time */
    uint32_t max_keys; /* beyond, the oldest is forgotten before its time */
    bool persist;      /* max_keys: that are not saved yet; beyond, SEEN_FULL */
};

enum seen_result {
    SEEN_NEW = 0, /* reserved for the owner */
    SEEN_BEFORE,  /* a repeat of a stored event */
    SEEN_MINE,    /* a repeat of a key that the same owner has reserved */
    SEEN_BUSY,    /* another owner has reserved it: seen_fate will tell */
    SEEN_FULL,    /* all places are reserved: this one is not remembered; with
                     persist: it must not be stored */
};

struct seen;

struct seen *seen_new(const struct seen_conf *conf);
struct seen *seen_ref(struct seen *s);
void seen_unref(struct seen *s); /* NULL is fine */
/* How many references there are. */
unsigned seen_refs(const struct seen *s);
/* Whether the caller's reference is the only one. */
bool seen_unshared(const struct seen *s);
bool seen_is(const struct seen *s, const struct seen_conf *conf);

/* The owner of the keys that one request will reserve; it must be settled. */
uint64_t seen_begin(struct seen *s);

/* A key of another kind is another key. SEEN_PARTS: of several values. */
enum seen_kind { SEEN_TEXT = 0, SEEN_DIGITS = 1, SEEN_PARTS = 2 };

struct seen_hash {
    uint64_t hash[2]; /* never both 0 */
};

struct seen_hash seen_hash_of(const struct seen *s, struct str key,
                              enum seen_kind kind);

struct seen_when {
    double now_ms;     /* a monotonic clock; up to an hour behind other callers' */
    int64_t window_ms; /* with persist: the caller's; else seen_conf's counts */
};

/* *chain: the keys that this owner has reserved so far, 0: none; SEEN_NEW adds to it.
 * *other: SEEN_BUSY: the owner that has it. */
enum seen_result seen_ask(struct seen *s, const struct seen_hash *key, uint64_t owner,
                          struct seen_when when, uint32_t *chain, uint64_t *other);

/* All of chain, whose owner's events were stored or were not. */
void seen_finish(struct seen *s, uint64_t owner, uint32_t chain, bool stored);

enum seen_fate { SEEN_PENDING, SEEN_STORED, SEEN_LOST };
/* Of an owner's events. SEEN_LOST also when it is too long ago to be known. */
enum seen_fate seen_fate(const struct seen *s, uint64_t owner);

/* ---- unsaved.c: with persist; figures ---- */

struct keystore;
struct siphash_key;

/* Before the first key is asked for: they are hashed by key, and are found in store (not
 * owned; outlives s). name: of what is remembered, "app_id,event_id": another one has
 * other hashes. Once. */
void seen_attach(struct seen *s, struct keystore *store, const struct siphash_key *key,
                 const char *name);
/* NULL: none is attached. */
struct keystore *seen_store(const struct seen *s);

/* The key of an event that was stored without being asked for here, when that was at at_ms
 * of now_ms's clock (may be below 0). seen_saved will be called for it. False: there is no
 * room. */
bool seen_restore(struct seen *s, const struct seen_hash *key, double at_ms) MUST_USE;
/* The key of one event: each view of the store that is held has it; fine when s does not
 * know it. */
void seen_saved(struct seen *s, const struct seen_hash *key);
/* The same of an event of at_ms that was stored and is lost: a key that was asked for
 * later is another event's, and stays. */
void seen_lost(struct seen *s, const struct seen_hash *key, double at_ms);

/* For metrics: keys that are remembered; keys forgotten before their time; how often the
 * answer was SEEN_FULL. */
uint64_t seen_count(const struct seen *s);
uint64_t seen_forgotten(const struct seen *s);
uint64_t seen_n_full(const struct seen *s);
/* n repeats, of a request that is not refused: noted, told. */
void seen_repeated(struct seen *s, uint32_t n);
uint64_t seen_n_repeats(const struct seen *s);
/* Repeats of busy keys that were let pass all the same: noted, told. */
void seen_passed(struct seen *s);
uint64_t seen_n_passed(const struct seen *s);
