/* A spool in a folder of its own, for the tests of this folder. Behind cmocka.h. */
#pragma once

#include <semaphore.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/err.h"
#include "spool/spool.h"

enum { SEGMENT = 1 << 20 };

static char dir[64];
static sem_t woken;

static inline void on_wake(void *arg)
{
    (void)arg;
    (void)sem_post(&woken);
}

static inline struct spool *open_spool(void)
{
    const struct spool_conf conf = {dir, SEGMENT, 1, 0};
    struct err e = {""};
    struct spool *s = spool_open(&conf, &e);

    if (s == NULL) {
        fail_msg("%s", e.text);
    }
    return s;
}

static inline int open_stream(struct spool *s, uint64_t max_bytes, bool synced)
{
    const struct spool_stream_conf conf = {"events", max_bytes, synced, false};
    struct err e;

    return spool_stream(s, &conf, &e);
}

static inline struct spool_consumer *open_consumer(struct spool *s, int stream)
{
    const struct spool_consumer_conf conf = {.name = "sink", .wake = on_wake};

    return spool_consumer_open(s, stream, &conf);
}

static inline bool put(struct spool_writer *w, const char *text)
{
    char *p = spool_writer_room(w, strlen(text));

    if (p == NULL) {
        return false;
    }
    memcpy(p, text, strlen(text));
    spool_writer_append(w, (uint32_t)strlen(text), 0, 0, 0);
    return true;
}

/* The housekeeper prepares segments in the background: tries again for a while. */
static inline enum spool_result commit(struct spool_writer *w, const char *text,
                                       uint64_t *last)
{
    const struct timespec ms = {0, 1000000};
    enum spool_result r = SPOOL_FULL;

    for (int i = 0; i < 3000 && r == SPOOL_FULL; i++) {
        assert_true(put(w, text));
        r = spool_writer_commit(w, 5, 6, last);
        if (r == SPOOL_FULL) {
            (void)nanosleep(&ms, NULL);
        }
    }
    return r;
}

static inline void until_synced(struct spool_writer *w, uint64_t seq)
{
    const struct timespec ms = {0, 1000000};

    for (int i = 0; i < 10000 && spool_writer_synced(w) < seq; i++) {
        (void)nanosleep(&ms, NULL);
    }
    assert_true(spool_writer_synced(w) >= seq);
}

static inline int set_up(void **state)
{
    (void)state;
    (void)snprintf(dir, sizeof dir, "/tmp/sluice-test-XXXXXX");
    (void)sem_init(&woken, 0, 0);
    return mkdtemp(dir) == NULL;
}

static inline int tear_down(void **state)
{
    char command[128];

    (void)state;
    (void)sem_destroy(&woken);
    (void)snprintf(command, sizeof command, "rm -rf '%s'", dir);
    return system(command);
}
