/*
 * keystore - the keys of one stream that were seen, on disk: runs of sorted keys, merged
 * as they grow.
 *
 *   DIR/MANIFEST      which runs, and how far the stream's events are in them
 *   DIR/N.keys        a run
 *
 *   keystore_open -> keystore_view -> keyview_find* -> keyview_release  (any thread)
 *                 -> keystore_add                                       (one thread)
 *                 -> keystore_merge                                     (one thread)
 *                 -> keystore_close
 *
 * A run holds keys of events that are on stable storage and of no others. So each whole
 * run may be used, whether MANIFEST names it or not, and after a loss of MANIFEST the
 * stream's events are read again, which adds nothing new.
 */
#pragma once

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/attr.h"
#include "keys/key.h"
#include "keys/manifest.h"

struct err;
struct keystore;
struct keyview;

struct keystore_conf {
    const char *dir;   /* made if missing */
    uint32_t window_s; /* from a key's first time: how long merges keep it */
};

/* NULL and *e: the folder can't be made, or the disk does not give a file. Damaged files
 * are logged and passed over. */
struct keystore *keystore_open(const struct keystore_conf *conf,
                               struct err *e) MUST_USE;
void keystore_close(
    struct keystore *ks); /* no views are held; the two threads are over */

/* It was made by keystore_open, and nothing was added yet. */
bool keystore_is_fresh(const struct keystore *ks);

/* Merges keep keys for the longest window that was ever given: a policy that is only tried
 * must not cost the others their keys. Any thread. */
void keystore_window(struct keystore *ks, uint32_t window_s);
uint32_t keystore_longest_s(const struct keystore *ks); /* of all windows; any thread */

/* Whether keys that belong in it are still to be read from elsewhere: a key that is not
 * found is unknown then. False once they can be found here, or where askers look next. Any
 * thread. */
void keystore_incomplete(struct keystore *ks, bool incomplete);

/* The key of the hash whose first 96 bits a struct key has; the same after a restart. */
const struct siphash_key *keystore_key(const struct keystore *ks);

/* How far that shard's events are in the runs: the first sequence that is in none; 1:
 * unknown shard. The adding thread. */
uint64_t keystore_place(const struct keystore *ks, uint32_t epoch, uint32_t worker);

/* ---- view.c: any thread ---- */

/* The runs as they are now. Held for a request, not for long: keystore_add waits for it.
 */
struct keyview *keystore_view(struct keystore *ks);
void keyview_release(struct keyview *v);

enum keys_found {
    KEYS_ABSENT = 0,
    KEYS_FOUND, /* within the window */
    KEYS_UNREAD /* the disk did not give the page, or it is incomplete: unknown */
};

/* k: its hash. window_s: the asker's, not above the store's. May read one page of a run,
 * and blocks while the disk does. */
enum keys_found keyview_find(struct keyview *v, struct key k, uint32_t now_s,
                             uint32_t window_s);
/* Asks memory for what keyview_find will read first. */
void keyview_prefetch(const struct keyview *v, const struct key *k);

/* ---- keystore.c: adding ---- */

/* Writes the n keys as a run (sorts them), notes the places (those of other shards are
 * forgotten), and returns when all views that lack the run are released. False and *e:
 * nothing is changed. */
bool keystore_add(struct keystore *ks, struct key *keys, uint32_t n,
                  const struct keys_place *places, uint32_t n_places,
                  struct err *e) MUST_USE;

/* ---- merge.c ---- */

enum keystore_merged { KEYSTORE_MERGED = 0, KEYSTORE_ENOUGH, KEYSTORE_FAILED };

/* When the store was last merged or added to, by the clock of keystore_merge; unknown: its
 * newest key; 0: there is none. */
uint32_t keystore_clock(struct keystore *ks);
/* Whether the window of a key in it may be over at now_s. */
bool keystore_has_over(struct keystore *ks, uint32_t now_s);

/* Makes one run of two or more that are alike in size, and drops runs whose window is
 * over. now_s: of a clock that is believed, since keys go for good. stop: looked at now and then; the merge is given up. KEYSTORE_FAILED and *e: all
 * is as before. Takes seconds to minutes. */
enum keystore_merged keystore_merge(struct keystore *ks, uint32_t now_s,
                                    const atomic_bool *stop, struct err *e) MUST_USE;

/* ---- keystore.c: figures; any thread ---- */

struct keystore_figures {
    uint64_t n_keys, disk_bytes, memory_bytes;
    uint32_t n_runs;
    uint64_t n_damaged; /* pages and files whose keys are lost */
};

struct keystore_figures keystore_figures(struct keystore *ks);
