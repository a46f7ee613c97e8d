/* A store in the folder; its keys, files and merges. */
#pragma once

#include <dirent.h>
#include <stdatomic.h>

#include "keys/keystore.h"
#include "unit/keys/fixture.h"

enum { WINDOW_S = 1000 };

static struct err e;
static atomic_bool stop;

static inline struct keystore *opened(void)
{
    struct keystore *ks =
        keystore_open(&(struct keystore_conf){.dir = folder, .window_s = WINDOW_S}, &e);

    if (ks == NULL) {
        print_error("%s\n", e.text);
    }
    assert_non_null(ks);
    return ks;
}

/* Keys from..to - 1, seen at that second. */
static inline void add(struct keystore *ks, uint64_t from, uint64_t to, uint32_t time_s)
{
    struct keys_place places[] = {{3, 0, to}, {3, 1, 7}};
    struct key *keys = malloc((to - from) * sizeof *keys);

    for (uint64_t i = from; i < to; i++) {
        keys[i - from] = nth(i, time_s);
    }
    assert_true(keystore_add(ks, keys, (uint32_t)(to - from), places, 2, &e));
    free(keys);
}

static inline enum keys_found find(struct keystore *ks, uint64_t i, uint32_t now_s)
{
    struct keyview *v = keystore_view(ks);
    struct key k = nth(i, 0);
    enum keys_found found;

    keyview_prefetch(v, &k);
    found = keyview_find(v, k, now_s, WINDOW_S);
    keyview_release(v);
    return found;
}

static inline void assert_keys(struct keystore *ks, uint64_t from, uint64_t to,
                               enum keys_found expected)
{
    for (uint64_t i = from; i < to; i++) {
        assert_int_equal(expected, find(ks, i, 2000));
    }
}

static inline unsigned n_files(const char *tail)
{
    DIR *dir = opendir(folder);
    struct dirent *d;
    unsigned n = 0;

    while ((d = readdir(dir)) != NULL) {
        size_t len = strlen(d->d_name);

        n += len > strlen(tail) && strcmp(d->d_name + len - strlen(tail), tail) == 0;
    }
    (void)closedir(dir);
    return n;
}

static inline void merge_all(struct keystore *ks, uint32_t now_s)
{
    enum keystore_merged r;

    while ((r = keystore_merge(ks, now_s, &stop, &e)) == KEYSTORE_MERGED) {
    }
    assert_int_equal(KEYSTORE_ENOUGH, r);
}
