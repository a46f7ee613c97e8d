/* MaxMind databases: one in memory for all snapshots whose file has the same bytes. */
#include <lauxlib.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "base/mem.h"
#include "plan/mmdb.h"
#include "policy/library/tools.h"
#include "policy/load/files.h"
#include "policy/load/internal.h"

_Static_assert((int)MMDB_JSON_MAX == (int)SLUICE_TEXT_MAX,
               "a map fits into scratch memory");

struct open {
    struct mmdb *database;
    uint32_t users;
};

/* Also workers come here, when they free a snapshot: nothing takes long under the lock. */
static struct {
    pthread_mutex_t lock;
    struct open *list;
    uint32_t n;
} all = {.lock = PTHREAD_MUTEX_INITIALIZER};

static struct open *entry_of(const struct mmdb *m)
{
    uint32_t i = 0;

    while (all.list[i].database != m) {
        i++;
    }
    return &all.list[i];
}

struct mmdb *databases_share(struct mmdb *m)
{
    (void)pthread_mutex_lock(&all.lock);
    entry_of(m)->users++;
    (void)pthread_mutex_unlock(&all.lock);
    return m;
}

void databases_close(struct mmdb *m)
{
    bool last;

    (void)pthread_mutex_lock(&all.lock);
    last = --entry_of(m)->users == 0;
    if (last) {
        *entry_of(m) = all.list[--all.n];
    }
    (void)pthread_mutex_unlock(&all.lock);
    if (last) {
        mmdb_free(m);
    }
}

static void add(struct mmdb *m)
{
    (void)pthread_mutex_lock(&all.lock);
    all.list = mem_realloc(all.list, (all.n + 1) * sizeof *all.list);
    all.list[all.n++] = (struct open){m, 1};
    (void)pthread_mutex_unlock(&all.lock);
}

/* The n-th that is as long, with one user more; NULL: there are not so many. */
static struct mmdb *candidate(size_t bytes, uint32_t n)
{
    struct mmdb *m = NULL;

    (void)pthread_mutex_lock(&all.lock);
    for (uint32_t i = 0; m == NULL && i < all.n; i++) {
        if (mmdb_bytes(all.list[i].database).n == bytes && n-- == 0) {
            m = all.list[i].database;
            all.list[i].users++;
        }
    }
    (void)pthread_mutex_unlock(&all.lock);
    return m;
}

/* The one with these bytes, with one user more; NULL: none is open. That one is missed
 * whose place changes meanwhile is no harm: there are two then. */
static struct mmdb *find(struct str file)
{
    struct mmdb *m;

    for (uint32_t i = 0; (m = candidate(file.n, i)) != NULL; i++) {
        if (str_eq(mmdb_bytes(m), file)) {
            return m;
        }
        databases_close(m);
    }
    return NULL;
}

bool databases_open(struct snapshot_file *f, struct err *e)
{
    struct str file = {f->text, f->n};
    struct mmdb *m;

    if (f->database != NULL) {
        return true;
    }
    m = find(file);
    if (m == NULL) {
        m = mmdb_new(file, e);
        if (m == NULL) {
            return false;
        }
        add(m);
    }
    free(f->text);
    f->text = (char *)mmdb_bytes(m).p;
    f->database = m;
    return true;
}

/* The entry of an address; mostly it is that of the call before. False: there is none. */
static bool entry_of_address(struct policy_state *s, int32_t file, struct str address,
                             uint32_t *entry)
{
    const struct mmdb *m = s->policy->files[file].database;
    struct address a;

    if (m == NULL || address.n > sizeof s->asked.text) {
        return false;
    }
    if (s->asked.file != file ||
        !str_eq((struct str){s->asked.text, s->asked.n}, address)) {
        s->asked.file = file;
        s->asked.n = (uint32_t)address.n;
        memcpy(s->asked.text, address.p, address.n);
        s->asked.found =
            address_read(address, &a) && mmdb_entry(m, &a, &s->asked.entry);
    }
    *entry = s->asked.entry;
    return s->asked.found;
}

int sluice_mmdb(struct sluice_context *c, int32_t file, const char *address, size_t n,
                const char *path, size_t k, struct sluice_value *out)
{
    struct policy_state *s = OUTER(c, struct policy_state, context);
    struct mmdb_value v;
    struct path at;
    uint32_t entry;

    at.n = 0;
    if (k > 0 && !path_parse((struct str){path, k}, &at)) {
        return -1;
    }
    if ((uint32_t)file >= s->policy->n_files ||
        !entry_of_address(s, file, (struct str){address, n}, &entry) ||
        !mmdb_value(s->policy->files[file].database, entry, &at, tools_of(c)->scratch,
                    &v)) {
        return 0;
    }
    out->kind = v.kind;
    out->text = v.text.p;
    out->len = (uint32_t)v.text.n;
    out->num = v.num;
    return 1;
}
