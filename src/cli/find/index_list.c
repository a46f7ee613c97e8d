#include "cli/find/index_list.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "base/err.h"
#include "base/mem.h"
#include "base/read.h"
#include "cli/find/id_scan.h"
#include "index/fields.h"
#include "index/names.h"
#include "index/reader.h"
#include "index/removed.h"

/* Files that are open at once, and as many that the disk reads before: after a restart of the
 * machine none is in the page cache, and one after the other they take two seeks each. */
enum { AHEAD = 64 };

bool index_lists_has(const char *spool, const char *stream)
{
    char path[PATH_MAX];

    (void)snprintf(path, sizeof path, "%s/%s/" INDEX_FOLDER, spool, stream);
    return access(path, F_OK) == 0 || (errno != ENOENT && errno != ENOTDIR);
}

static int is_name(const struct dirent *d)
{
    return d->d_name[0] != '.';
}

int index_lists_names(const char *spool, struct dirent ***names)
{
    const int all = scandir(spool, names, is_name, alphasort);
    int n = 0;

    for (int i = 0; i < all; i++) {
        if (index_lists_has(spool, (*names)[i]->d_name)) {
            (*names)[n++] = (*names)[i];
        } else {
            free((*names)[i]);
        }
    }
    return all < 0 ? -1 : n;
}

struct index_list *index_lists_add(struct index_lists *l)
{
    l->list = mem_realloc(l->list, (l->n + 1) * sizeof *l->list);
    l->list[l->n] = (struct index_list){.n = 0};
    return &l->list[l->n++];
}

void index_list_free(struct index_list *l)
{
    free(l->runs);
    free(l->aside);
    free(l->policies);
    index_account_free(&l->account);
}

void index_lists_free(struct index_lists *l)
{
    for (uint32_t i = 0; i < l->n; i++) {
        index_list_free(&l->list[i]);
    }
    free(l->list);
    *l = (struct index_lists){.n = 0};
}

static void add_field(struct index_list *l, const char *field)
{
    for (uint32_t i = 0; i < l->n_fields; i++) {
        if (strcmp(l->fields[i], field) == 0) {
            return;
        }
    }
    if (l->n_fields < INDEX_LIST_FIELDS && field[0] != '\0') {
        (void)snprintf(l->fields[l->n_fields++], sizeof l->fields[0], "%s", field);
    }
}

/* The path of the ids now, and those of policies before: events that no file has are read
 * by them. */
static void read_fields(struct index_list *l, const char *dir)
{
    char path[PATH_MAX];

    if (l->policies == NULL) {
        l->policies = mem_alloc(sizeof *l->policies);
    }
    (void)snprintf(path, sizeof path, "%s/" INDEX_FIELD_FILE, dir);
    index_fields_read(l->policies, path);
    for (uint32_t i = l->policies->n; i-- > 0;) {
        add_field(l, l->policies->list[i].path);
    }
}

uint32_t index_list_epoch(const char *spool)
{
    char path[PATH_MAX], text[32] = "";
    int fd;

    (void)snprintf(path, sizeof path, "%s/EPOCH", spool);
    fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd >= 0) {
        ssize_t n = read_at(fd, text, sizeof text - 1, 0);

        text[n < 0 ? 0 : n] = '\0';
        (void)close(fd);
    }
    return (uint32_t)strtoul(text, NULL, 10);
}

/* After the files: what was removed meanwhile is not missed then. */
static void read_account(struct index_list *l, const char *dir)
{
    char path[PATH_MAX], aside[PATH_MAX + 16];
    struct err e;

    (void)snprintf(path, sizeof path, "%s/" INDEX_ACCOUNT_FILE, dir);
    (void)snprintf(aside, sizeof aside, "%s" INDEX_ASIDE, path);
    switch (index_account_read(&l->account, path, &e)) {
    case ACCOUNT_READ:
        l->has_account = true;
        break;
    case ACCOUNT_NONE: /* of an older sluice, or one that was set aside just now */
        l->n_damaged += access(aside, F_OK) == 0;
        break;
    case ACCOUNT_BAD:
    case ACCOUNT_UNREADABLE:
        l->n_damaged++;
        break;
    }
    if (!l->has_account) {
        l->account.begin = UINT32_MAX;
    }
    index_account_read_marks(&l->account, path, UINT32_MAX, 0);
    l->has_account |= l->account.n_gaps > 0;
    for (uint32_t i = 0; i < l->account.n_epochs; i++) {
        add_field(l, l->account.epochs[i].field);
    }
}

static void add_run(struct index_run **runs, uint32_t *n, uint32_t *room,
                    const struct index_run *r)
{
    if (*n == *room) {
        *room = *room == 0 ? 64 : 2 * *room;
        *runs = mem_realloc(*runs, *room * sizeof **runs);
    }
    (*runs)[(*n)++] = *r;
}

static bool list_names(struct index_list *l, const char *dir, struct err *e)
{
    DIR *at = opendir(dir);
    struct dirent *d;
    int rc;

    if (at == NULL) {
        return errno == ENOENT || err_errno(e, errno, "%s", dir);
    }
    while (errno = 0, (d = readdir(at)) != NULL) {
        struct index_run r = {.end = 0};

        if (index_name_read(d->d_name, &r.epoch, &r.worker, &r.first)) {
            add_run(&l->runs, &l->n, &l->room, &r);
        } else if (index_name_is_aside(d->d_name, &r.epoch, &r.worker, &r.first)) {
            add_run(&l->aside, &l->n_aside, &l->aside_room, &r);
        }
    }
    rc = errno;
    (void)closedir(at);
    index_runs_sort(l->runs, l->n);
    return rc == 0 || err_errno(e, rc, "%s", dir);
}

static void count(struct index_list *l, const struct index_head *h)
{
    const uint32_t field = index_list_field(l, h->field);

    l->n_events += h->n_events;
    if (field < l->n_fields) {
        l->of[field].n_events += h->n_events;
        l->of[field].n_ids += h->n_ids;
    }
    l->n_lost += h->n_lost;
    if (h->n_events > 0) {
        l->oldest_ms = l->oldest_ms == 0 || h->oldest_ms < l->oldest_ms ? h->oldest_ms
                                                                        : l->oldest_ms;
        l->newest_ms = h->newest_ms > l->newest_ms ? h->newest_ms : l->newest_ms;
    }
}

/* f->fd < 0: it is not there, or not good. */
static void open_file(struct index_list *l, struct index_file *f, const char *dir,
                      const struct index_run *r)
{
    char path[PATH_MAX];
    struct err e;

    (void)index_path(path, sizeof path, dir, r->epoch, r->worker, r->first);
    switch (index_open(f, path, &e)) {
    case INDEX_OPENED:
        add_field(l, f->head.field);
        break;
    case INDEX_UNREADABLE:
        l->n_damaged += access(path, F_OK) == 0;
        break;
    case INDEX_NOT_ONE:
        l->n_damaged++;
        break;
    }
}

/* Whether the file is the shard's, and fn believes it. */
static bool read_file(struct index_list *l, struct index_file *f, struct index_run *r,
                      index_list_fn *fn, void *arg)
{
    const bool good = f->head.epoch == r->epoch && f->head.worker == r->worker &&
                      f->head.first == r->first && fn(arg, f);

    r->end = f->head.end;
    if (good) {
        count(l, &f->head);
    } else {
        l->n_damaged++;
    }
    index_close(f);
    return good;
}

/* File i, if there is one. */
static void expect(const struct index_list *l, const char *dir, uint32_t i)
{
    char path[PATH_MAX];

    if (i < l->n) {
        const struct index_run *r = &l->runs[i];

        (void)index_path(path, sizeof path, dir, r->epoch, r->worker, r->first);
        index_expect(path);
    }
}

/* That may be open at once. */
static uint32_t how_many(void)
{
    struct rlimit most;

    if (getrlimit(RLIMIT_NOFILE, &most) == 0 && most.rlim_cur < 2 * AHEAD) {
        return 1;
    }
    return AHEAD;
}

/* In their order: the disk reads what one needs while others are read. Those that are good stay
 * in the list. */
static void read_files(struct index_list *l, const char *dir, const uint64_t *print,
                       index_list_fn *fn, void *arg)
{
    struct index_file *files = mem_zalloc(AHEAD * sizeof *files);
    /* Without a print fn reads the rows of each, whose memory one after the other uses. */
    const uint32_t all = l->n, many = print == NULL ? 1 : how_many();
    uint32_t n = 0;

    for (uint32_t i = 0; i < AHEAD; i++) {
        files[i].fd = -1;
        expect(l, dir, i);
    }
    for (uint32_t first = 0; first < all; first += many) {
        const uint32_t end = all - first < many ? all : first + many;

        for (uint32_t i = first; i < end; i++) {
            expect(l, dir, i + AHEAD);
            open_file(l, &files[i - first], dir, &l->runs[i]);
            if (files[i - first].fd >= 0 && print != NULL) {
                index_expect_find(&files[i - first], *print);
            }
        }
        for (uint32_t i = first; i < end; i++) {
            if (files[i - first].fd >= 0 &&
                read_file(l, &files[i - first], &l->runs[i], fn, arg)) {
                l->runs[n++] = l->runs[i];
            }
            if (many > 1 && files[i - first].has_rows) {
                index_free(&files[i - first]); /* it had a hit: most have none */
            }
        }
    }
    l->n = n;
    for (uint32_t i = 0; i < AHEAD; i++) {
        index_free(&files[i]);
    }
    free(files);
}

bool index_list_read(struct index_list *l, const char *spool, const char *stream,
                     const uint64_t *print, index_list_fn *fn, void *arg, struct err *e)
{
    char dir[PATH_MAX - 64];

    (void)snprintf(dir, sizeof dir, "%s/%s/" INDEX_FOLDER, spool, stream);
    read_fields(l, dir);
    if (!list_names(l, dir, e)) {
        return false;
    }
    read_files(l, dir, print, fn, arg);
    read_account(l, dir);
    if (index_removed_read(dir, &l->removed_ms) == INDEX_REMOVED_BAD) {
        l->removed_ms = l->newest_ms;
    }
    l->epoch = index_list_epoch(spool);
    return true;
}

uint64_t index_list_covered(const struct index_list *l, uint32_t epoch, uint32_t worker,
                            uint64_t seq)
{
    for (uint32_t i = 0; i < l->n; i++) {
        const struct index_run *r = &l->runs[i];

        if (r->epoch == epoch && r->worker == worker && r->first <= seq &&
            seq < r->end) {
            seq = r->end;
        }
    }
    return seq;
}

uint64_t index_list_next(const struct index_list *l, uint32_t epoch, uint32_t worker,
                         uint64_t seq)
{
    uint64_t next = UINT64_MAX;

    for (uint32_t i = 0; i < l->n; i++) {
        const struct index_run *r = &l->runs[i];

        if (r->epoch == epoch && r->worker == worker && r->end > seq + 1) {
            const uint64_t first = r->first > seq ? r->first : seq + 1;

            next = first < next ? first : next;
        }
    }
    return next;
}

uint64_t index_list_end(const struct index_list *l, uint32_t epoch, uint32_t worker,
                        int64_t since_ms)
{
    const int64_t until_ms = index_account_end(&l->account, epoch);
    uint64_t end = 0;

    for (uint32_t i = 0; i < l->n; i++) {
        const struct index_run *r = &l->runs[i];

        if (r->epoch == epoch && r->worker == worker && r->end > end) {
            end = r->end;
        }
    }
    for (uint32_t i = 0; i < l->account.n_shards && end > 0; i++) {
        const struct index_account_shard *a = &l->account.shards[i];

        if (a->epoch == epoch && a->worker == worker && a->end > end) {
            end = a->end;
        }
    }
    return until_ms != 0 && until_ms < since_ms ? 0 : end;
}

/* Whether the files of some path but that of now have events, and no id of them. */
static bool was_strange(const struct index_list *l)
{
    for (uint32_t i = 1; i < l->n_fields; i++) {
        if (l->of[i].n_events > 0 && l->of[i].n_ids == 0) {
            return true;
        }
    }
    return false;
}

bool index_list_strange(const struct index_list *l, const struct id_scan *scan)
{
    const bool filed = l->of[0].n_events > 0,
               met = filed ? id_scan_met_first(scan) : id_scan_met(scan);

    return was_strange(l) ||
           ((filed || id_scan_asked(scan)) && l->of[0].n_ids == 0 && !met);
}

uint32_t index_list_field(const struct index_list *l, const char *path)
{
    uint32_t i = 0;

    while (i < l->n_fields && strcmp(l->fields[i], path) != 0) {
        i++;
    }
    return i;
}

uint32_t index_list_field_of(const struct index_list *l, uint32_t epoch,
                             uint64_t policy8)
{
    const char *path =
        l->policies == NULL ? NULL : index_fields_of(l->policies, policy8);

    if (path != NULL) {
        return index_list_field(l, path);
    }
    /* A policy without an index, or one of an older sluice. */
    for (uint32_t i = 0; l->n_fields > 1 && i < l->account.n_epochs; i++) {
        const struct index_account_epoch *p = &l->account.epochs[i];

        if (p->epoch == epoch && p->on && path != NULL && strcmp(path, p->field) != 0) {
            return l->n_fields;
        }
        path = p->epoch == epoch && p->on ? p->field : path;
    }
    return l->n_fields <= 1 ? 0
           : path == NULL   ? l->n_fields
                            : index_list_field(l, path);
}

uint64_t index_list_missing(const struct index_list *l, const struct index_run *runs,
                            uint32_t n)
{
    uint64_t missing = 0;

    for (uint32_t i = 0; i < l->n_aside; i++) {
        const struct index_run *a = &l->aside[i];
        bool has = index_list_covered(l, a->epoch, a->worker, a->first) > a->first;

        for (uint32_t k = 0; !has && k < n; k++) {
            has = runs[k].epoch == a->epoch && runs[k].worker == a->worker &&
                  runs[k].first <= a->first && a->first < runs[k].end;
        }
        missing += !has;
    }
    return missing;
}
