#include "tables/open.h"

#include <errno.h>
#include <fcntl.h>
#include <openssl/evp.h>
#include <pthread.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include "base/err.h"
#include "base/log.h"
#include "tables/built.h"
#include "tables/guard.h"
#include "tables/internal.h"

#define SOURCE_BYTES_MAX (INT64_C(16) << 30)

/* A change within a tick of the clock leaves a file's times as they were. */
enum { TICK_MS = 20 };

/* All mapped tables of the process, so that each version is mapped once. The lock is held
 * for steps in memory only. */
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct csv_table *mapped;

/* The lock is held. One that is damaged is left to those that have it. */
static struct csv_table *find(const uint8_t id[TABLE_ID_BYTES])
{
    for (struct csv_table *l = mapped; l != NULL; l = l->next) {
        if (memcmp(l->id, id, TABLE_ID_BYTES) == 0 && !csv_table_damaged(l)) {
            return csv_table_ref(l);
        }
    }
    return NULL;
}

static struct csv_table *find_mapped(const uint8_t id[TABLE_ID_BYTES])
{
    struct csv_table *l;

    (void)pthread_mutex_lock(&lock);
    l = find(id);
    (void)pthread_mutex_unlock(&lock);
    return l;
}

/* A new one joins the list, unless another thread was faster: then that one is used. */
static struct csv_table *join(struct csv_table *l)
{
    struct csv_table *other;

    (void)pthread_mutex_lock(&lock);
    other = find(l->id);
    if (other == NULL) {
        l->next = mapped;
        mapped = l;
    }
    (void)pthread_mutex_unlock(&lock);
    if (other == NULL) {
        return l;
    }
    csv_table_unref(l);
    return other;
}

bool table_leave(struct csv_table *l)
{
    bool last;

    if (l->guard < 0) {
        return atomic_fetch_sub(&l->refs, 1) == 1;
    }
    (void)pthread_mutex_lock(&lock);
    last = atomic_fetch_sub(&l->refs, 1) == 1;
    for (struct csv_table **at = &mapped; last && *at != NULL; at = &(*at)->next) {
        if (*at == l) {
            *at = l->next;
            break;
        }
    }
    (void)pthread_mutex_unlock(&lock);
    if (last) {
        guard_remove(l->guard);
        (void)munmap((void *)l->base, l->bytes);
        (void)close(l->fd);
    }
    return last;
}

/* ---- which version it is ---- */

static void tick(const struct stat *st)
{
    struct timespec now, wait = {0, TICK_MS * 1000000L};
    int64_t age_ms;

    (void)clock_gettime(CLOCK_REALTIME, &now);
    age_ms = ((int64_t)now.tv_sec - st->st_ctim.tv_sec) * 1000 +
             (now.tv_nsec - st->st_ctim.tv_nsec) / 1000000;
    if (age_ms >= 0 && age_ms < TICK_MS) {
        (void)nanosleep(&wait, NULL);
    }
}

static bool identify(const struct table_source *source, const struct stat *st,
                     uint8_t id[TABLE_ID_BYTES])
{
    const int64_t facts[] = {
        TABLE_VERSION,       (int64_t)st->st_ino, st->st_size,
        st->st_mtim.tv_sec,  st->st_mtim.tv_nsec, st->st_ctim.tv_sec,
        st->st_ctim.tv_nsec, source->delimiter,   source->key.p == NULL};
    EVP_MD_CTX *md = EVP_MD_CTX_new();
    unsigned n = 0;
    bool ok = md != NULL && EVP_DigestInit_ex(md, EVP_sha256(), NULL) == 1 &&
              EVP_DigestUpdate(md, facts, sizeof facts) == 1 &&
              EVP_DigestUpdate(md, source->key.p, source->key.n) == 1 &&
              EVP_DigestUpdate(md, source->rules_id.p, source->rules_id.n) == 1 &&
              EVP_DigestFinal_ex(md, id, &n) == 1;

    EVP_MD_CTX_free(md);
    return ok;
}

static int open_source(const struct table_source *source, struct stat *st,
                       struct err *e)
{
    /* A FIFO without a writer must not keep the loader. */
    int fd = open(source->path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);

    if (fd < 0) {
        (void)err_errno(e, errno, "%s", source->path);
        return -1;
    }
    if (fstat(fd, st) != 0 || !S_ISREG(st->st_mode) || st->st_size > SOURCE_BYTES_MAX) {
        (void)err_set(e, "%s: no regular file of at most 16 GiB", source->path);
        (void)close(fd);
        return -1;
    }
    tick(st);
    return fd;
}

/* ---- one that is there ---- */

/* NULL: there is none, *why is empty; or it can't be used. */
static struct csv_table *use(const char *dir, const uint8_t id[TABLE_ID_BYTES],
                             struct err *why)
{
    struct csv_table *l = find_mapped(id);
    int fd;

    why->text[0] = '\0';
    if (l != NULL || dir == NULL) {
        return l;
    }
    fd = built_find(dir, id, why);
    l = fd < 0 ? NULL : built_map(fd, id, true, why);
    return l == NULL ? NULL : join(l);
}

struct csv_table *table_open(const struct table_source *source, csv_problem_fn *problem,
                             void *arg, struct stat *st, struct err *e)
{
    uint8_t id[TABLE_ID_BYTES];
    char quoted[ERR_TEXT_MAX], file[ERR_TEXT_MAX];
    struct csv_table *l = NULL;
    struct err why;
    int fd = open_source(source, st, e), image;

    if (fd < 0) {
        return NULL;
    }
    if (!identify(source, st, id)) {
        (void)err_set(e, "%s: its digest can't be made", source->path);
        (void)close(fd);
        return NULL;
    }
    l = use(source->dir, id, &why);
    if (l == NULL) {
        if (why.text[0] != '\0') {
            log_write(LOG_WARN, "table_not_used", "file=%s why=%s",
                      log_quote(file, sizeof file, source->path),
                      log_quote(quoted, sizeof quoted, why.text));
        }
        image = built_make(source, fd, st, id, problem, arg, e);
        l = image < 0 ? NULL : built_map(image, id, false, e);
        l = l == NULL ? NULL : join(l);
    }
    (void)close(fd);
    return l;
}

struct csv_table *table_open_built(const char *dir, const uint8_t id[TABLE_ID_BYTES],
                                   struct err *e)
{
    struct csv_table *l = use(dir, id, e);

    if (l == NULL && e->text[0] == '\0') {
        (void)err_set(e, "its built table is gone from %s", dir);
    }
    return l;
}
