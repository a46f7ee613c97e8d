#include "decode/keys.h"

#include <stdlib.h>

#include "base/err.h"
#include "base/mem.h"
#include "decode/path.h"

static struct key_child *add_child(struct scan_keys *k, uint16_t node, struct str key)
{
    uint16_t i = (uint16_t)k->n_children++;

    k->children[i] = (struct key_child){.key = {mem_strndup(key.p, key.n), key.n},
                                        .slot = KEY_NONE,
                                        .node = KEY_NONE,
                                        .next = k->first[node]};
    k->first[node] = i;
    return &k->children[i];
}

static struct key_child *child(struct scan_keys *k, uint16_t node, struct str key)
{
    for (uint16_t i = k->first[node]; i != KEY_NONE; i = k->children[i].next) {
        if (str_eq(k->children[i].key, key)) {
            return &k->children[i];
        }
    }
    return k->n_children == N_ELEMS(k->children) ? NULL : add_child(k, node, key);
}

static bool add_path(struct scan_keys *k, struct str text, uint16_t slot, struct err *e)
{
    struct path path;
    uint16_t node = 0;

    if (!path_parse(text, &path)) {
        return err_set(e, "%.*s is not a path", (int)text.n, text.p);
    }
    for (uint32_t i = 0; i < path.n; i++) {
        struct key_child *c;

        if (path.parts[i].at > 0) {
            return err_set(e, "%.*s names an item of an array", (int)text.n, text.p);
        }
        c = child(k, node, path.parts[i].key);
        if (c == NULL) {
            return err_set(e, "the schema's paths have too many parts");
        }
        if (i + 1 == path.n) {
            if (c->slot != KEY_NONE) {
                return err_set(e, "%.*s is given twice", (int)text.n, text.p);
            }
            c->slot = slot;
            break;
        }
        if (c->node == KEY_NONE) {
            c->node = (uint16_t)k->n_nodes++;
            k->first[c->node] = KEY_NONE;
        }
        node = c->node;
    }
    return true;
}

/* Each path ends in a byte that UTF-8 never has. */
static uint64_t hash_paths(const struct str *paths, unsigned n)
{
    uint64_t h = STR_HASH;

    for (unsigned i = 0; i < n; i++) {
        h = str_hash(str_hash(h, paths[i]), STR("\xFF"));
    }
    return h;
}

struct scan_keys *scan_keys_new(const struct str *paths, unsigned n, struct err *e)
{
    struct scan_keys *k;

    if (n > SCHEMA_FIELDS_MAX) {
        (void)err_set(e, "a schema has at most %d fields", SCHEMA_FIELDS_MAX);
        return NULL;
    }
    k = mem_zalloc(sizeof *k);
    k->hash = hash_paths(paths, n);
    k->n_slots = n;
    k->n_nodes = 1;
    k->first[0] = KEY_NONE;
    for (unsigned i = 0; i < n; i++) {
        if (!add_path(k, paths[i], (uint16_t)i, e)) {
            scan_keys_free(k);
            return NULL;
        }
    }
    return k;
}

void scan_keys_free(struct scan_keys *k)
{
    if (k == NULL) {
        return;
    }
    for (unsigned i = 0; i < k->n_children; i++) {
        free((void *)(uintptr_t)k->children[i].key.p);
    }
    free(k);
}
