/* Any bytes as an index file, also with a head and tables whose checksums are right: no
 * read passes its end. And any ids in a file of their own: each is found at each of its
 * sequences, and nothing else is. */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/crc32c.h"
#include "base/err.h"
#include "base/mem.h"
#include "index/builder.h"
#include "index/reader.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

enum { IDS_MAX = 2000 };

static void check(bool good)
{
    if (!good) {
        abort();
    }
}

/* ---- hostile bytes ---- */

static bool on_any(void *arg, uint64_t seq)
{
    (void)seq;
    return ++*(uint32_t *)arg < 5000;
}

static void look(const char *path, const uint8_t *data, size_t n)
{
    struct index_file f = {.fd = -1};
    struct index_id ids[INDEX_GROUP];
    uint32_t hits = 0, n_ids;
    uint64_t print = 0;
    struct err e;

    memcpy(&print, data, n < 8 ? n : 8);
    if (index_open(&f, path, &e) == INDEX_OPENED) {
        bool rows = index_rows(&f, &e);

        (void)!index_find(&f, print, on_any, &hits, &e);
        for (uint32_t g = 0; g < index_groups(f.head.n_ids) && g < 20; g++) {
            if (index_group(&f, g, ids, &n_ids, &e) && n_ids > 0 && rows) {
                (void)index_row_of(&f, f.head.first + ids[0].ordinal);
                (void)!index_find(&f, ids[0].print << 8, on_any, &hits, &e);
            }
        }
        index_close(&f);
    }
    index_free(&f);
}

/* The checksums of what the head says, as far as the bytes go. */
static void seal(uint8_t *file, size_t n)
{
    unsigned char head[INDEX_HEAD_BYTES];
    struct index_head h;
    uint64_t rows, groups;

    memcpy(&h, file, sizeof h);
    h.n_ids %= INDEX_GROUP * 3u;
    h.n_rows %= 64;
    h.uuid[sizeof h.uuid - 1] = h.stream[sizeof h.stream - 1] =
        h.field[sizeof h.field - 1] = '\0';
    rows = index_rows_at(&h);
    groups = index_groups_at(&h);
    if (groups <= n) {
        h.fences_crc = crc32c(1, file + INDEX_HEAD_BYTES, rows - INDEX_HEAD_BYTES);
        h.rows_crc = crc32c(2, file + rows, groups - rows);
    }
    index_head_encode(&h, head);
    memcpy(file, head, sizeof head);
}

static void hostile(const char *path, int fd, const uint8_t *data, size_t n)
{
    uint8_t *file = mem_zalloc(INDEX_HEAD_BYTES + n);
    struct index_head h;

    memcpy(file, data, n);
    check(ftruncate(fd, 0) == 0 && pwrite(fd, data, n, 0) == (ssize_t)n);
    look(path, data, n);
    seal(file, INDEX_HEAD_BYTES + n);
    memcpy(&h, file, sizeof h);
    check(pwrite(fd, file, INDEX_HEAD_BYTES + n, 0) > 0 &&
          ftruncate(fd, (off_t)index_bytes(&h)) == 0);
    look(path, data, n);
    free(file);
}

/* ---- ids ---- */

struct search {
    const uint8_t *ids[IDS_MAX];
    size_t lengths[IDS_MAX];
    uint32_t n, hits;
    uint64_t print;
};

static bool on_hit(void *arg, uint64_t seq)
{
    struct search *s = arg;

    check(seq >= 5 && seq - 5 < s->n);
    check(index_stored_print(index_print(s->ids[seq - 5], s->lengths[seq - 5])) ==
          index_stored_print(s->print));
    s->hits++;
    return true;
}

static uint32_t slow_hits(const struct search *s)
{
    uint32_t n = 0;

    for (uint32_t i = 0; i < s->n; i++) {
        n += index_stored_print(index_print(s->ids[i], s->lengths[i])) ==
             index_stored_print(s->print);
    }
    return n;
}

/* Ids are as long as the byte before them says, up to 15; every fourth block is later. */
static void found(const char *path, const uint8_t *data, size_t n)
{
    static const struct index_place place = {.uuid = "u", .stream = "s", .field = "f"};
    struct index_builder *b = index_builder_new(5);
    struct search s = {.n = 0};
    struct index_file f = {.fd = -1};
    uint64_t bytes, left;
    struct err e;

    for (size_t at = 0; at < n && s.n < IDS_MAX;) {
        size_t length = data[at] % 16u;

        length = length < n - at - 1 ? length : n - at - 1;
        s.ids[s.n] = data + at + 1;
        s.lengths[s.n] = length;
        if (s.n == 0 || data[at] >= 64) {
            index_block(b, 1700000000000 + data[at] * 997, data[at] / 64);
        }
        index_add(b, (const char *)s.ids[s.n], length);
        s.n++;
        at += 1 + length;
    }
    if (s.n > 0 && index_write(b, &place, path, &bytes, &e)) {
        check(index_open(&f, path, &e) == INDEX_OPENED && index_rows(&f, &e));
        left = s.n;
        for (uint32_t i = 0; i < f.head.n_rows; i++) {
            left -= f.rows[i].n;
        }
        check(left == 0);
        for (uint32_t i = 0; i < s.n; i += 1 + s.n / 16) {
            s.print = index_print(s.ids[i], s.lengths[i]);
            s.hits = 0;
            check(index_find(&f, s.print, on_hit, &s, &e) && s.hits == slow_hits(&s) &&
                  index_row_of(&f, 5 + i) != NULL);
        }
        index_close(&f);
        (void)unlink(path);
    }
    index_free(&f);
    index_builder_free(b);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    static char path[64], own[64];
    static int fd = -1;

    if (fd < 0) {
        fd = memfd_create("index", 0);
        (void)snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
        (void)snprintf(own, sizeof own, "/dev/shm/sluice-fuzz-%ld", (long)getpid());
    }
    if (n > 1 && data[0] % 8 != 0) {
        hostile(path, fd, data + 1, n - 1);
    } else if (n > 1) {
        found(own, data + 1, n - 1);
    }
    return 0;
}
