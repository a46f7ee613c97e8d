#include "sink/folders.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/err.h"
#include "base/mem.h"

struct owned {
    struct owned *next;
    char *dir;
    char sink[96];
    dev_t dev;
    ino_t ino;
};

struct folders {
    pthread_mutex_t lock;
    struct owned *list;
};

struct folders *folders_new(void)
{
    struct folders *f = mem_zalloc(sizeof *f);

    (void)pthread_mutex_init(&f->lock, NULL);
    return f;
}

static void drop(struct owned **at)
{
    struct owned *o = *at;

    *at = o->next;
    free(o->dir);
    free(o);
}

void folders_free(struct folders *f)
{
    if (f == NULL) {
        return;
    }
    while (f->list != NULL) {
        drop(&f->list);
    }
    (void)pthread_mutex_destroy(&f->lock);
    free(f);
}

/* Of a folder that was removed the inode may be another's by now. */
static bool same_folder(const struct owned *o, const struct stat *st)
{
    struct stat now;

    return st != NULL && o->dev == st->st_dev && o->ino == st->st_ino &&
           stat(o->dir, &now) == 0 && now.st_dev == o->dev && now.st_ino == o->ino;
}

static struct owned **find(struct folders *f, const char *dir, const struct stat *st)
{
    struct owned **at = &f->list;

    while (*at != NULL && strcmp((*at)->dir, dir) != 0 && !same_folder(*at, st)) {
        at = &(*at)->next;
    }
    return at;
}

static void put(struct folders *f, const char *dir, const char *sink,
                const struct stat *st)
{
    struct owned *o = mem_zalloc(sizeof *o);

    o->dir = mem_strdup(dir);
    (void)snprintf(o->sink, sizeof o->sink, "%s", sink);
    o->dev = st->st_dev;
    o->ino = st->st_ino;
    o->next = f->list;
    f->list = o;
}

static bool take(struct folders *f, const char *dir, const char *sink, const char *was,
                 const struct stat *st, struct err *e)
{
    struct owned **at = find(f, dir, st);

    if (*at == NULL) {
        put(f, dir, sink, st);
        return true;
    }
    if (strcmp((*at)->sink, sink) == 0 ||
        (was != NULL && strcmp((*at)->sink, was) == 0)) {
        drop(at);
        put(f, dir, sink, st);
        return true;
    }
    return err_set(e,
                   "the folder %s belongs to the sink \"%s\": give each its own "
                   "folder; a sink that was renamed says was = \"%s\"",
                   dir, (*at)->sink, (*at)->sink);
}

bool folders_take(struct folders *f, const char *dir, const char *sink, const char *was,
                  struct err *e)
{
    struct stat st;
    bool ok;

    if (f == NULL) {
        return true;
    }
    if (stat(dir, &st) != 0) {
        return err_errno(e, errno, "%s", dir);
    }
    (void)pthread_mutex_lock(&f->lock);
    ok = take(f, dir, sink, was, &st, e);
    (void)pthread_mutex_unlock(&f->lock);
    return ok;
}

void folders_leave(struct folders *f, const char *dir, const char *sink)
{
    struct owned **at;

    if (f == NULL) {
        return;
    }
    (void)pthread_mutex_lock(&f->lock);
    at = find(f, dir, NULL);
    if (*at != NULL && strcmp((*at)->sink, sink) == 0) {
        drop(at);
    }
    (void)pthread_mutex_unlock(&f->lock);
}
