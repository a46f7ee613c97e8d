/*
 * collector - the identities of one stream's events, from the spool to its keystore, so
 * that what dedup remembers outlives the process.
 *
 *   collector_open -> collector_attach (each memory of its keys) -> collector_start
 *                  -> collector_attach -> collector_close
 *
 * An identity is saved once its event is on stable storage, and its event's segment is
 * kept until then. So the keys on disk are those of stored events, whatever ends the
 * process, and what is not saved yet is read from the spool by the next one.
 *
 * Two threads of its own: one reads the spool and saves, one merges. The functions below
 * are for the thread that alters sinks.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/attr.h"
#include "keys/keystore.h"

struct collector;
struct err;
struct seen;
struct spool;

struct collector_conf {
    struct spool *spool;
    int stream;
    const char *name; /* the stream's */
    const char *dir;  /* of the keystore; made if missing */
    int64_t window_ms;
};

/* Reads what earlier processes left unsaved; what the disk does not give soon is read once
 * it does, and requests are refused until then. NULL and *e: the folder can't be used, or
 * the disk does not give a file of keys. */
struct collector *collector_open(const struct collector_conf *conf,
                                 struct err *e) MUST_USE;

/* seen asks the keystore from now on. name: of its key. A reference is kept until no
 * policy has seen any more, and all its keys are saved; so each policy attaches it. False
 * and *e: there is no room for it. */
bool collector_attach(struct collector *c, struct seen *seen, const char *name,
                      struct err *e) MUST_USE;

/* Whether scrapes show its series. */
void collector_hide(struct collector *c, bool hidden);

/* Keys are dropped after the longest window that a policy had. */
void collector_window(struct collector *c, int64_t window_ms);

/* ---- save.c ---- */

/* False and *e: no thread. */
bool collector_start(struct collector *c, struct err *e) MUST_USE;

/* Saves what can be saved by until_ns (clock_mono_ns). False: a thread hangs, and c and
 * what it uses must stay. Before the spool is closed. */
bool collector_close(struct collector *c, uint64_t until_ns) MUST_USE;
