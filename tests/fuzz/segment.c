/* A segment's bytes behind a good first page, changed at will: no crash, no block is
 * believed whose checksum does not hold, and lost events are counted. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "spool/blocks.h"
#include "spool/format.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

enum { SALT = 0x5A17 };

static size_t make_block(char *out, uint64_t first)
{
    static const char text[] = "{\"a\":1}\n{\"b\":22}\n\0\0\0\0\0\0\0";
    struct spool_entry entries[2] = {{.off = 0, .len = 7}, {.off = 8, .len = 8}};
    struct block_head h = {.first = first, .n = 2, .payload_bytes = 17};

    block_seal(&h, SALT, text, entries, NULL);
    memcpy(out, &h, sizeof h);
    memcpy(out + sizeof h, text, 24);
    memcpy(out + sizeof h + 24, entries, sizeof entries);
    return h.block_bytes;
}

/* A file of a page, blocks and a recorded end, changed at will: the walk ends, each block
 * that it gives is one of ours, in order, and none is counted twice. */
static void walk(const uint8_t *data, size_t n)
{
    enum { BLOCKS = 6 };
    static const char zeros[PAGE_BYTES];
    char file[BLOCKS * 256 + BLOCK_HEAD_BYTES];
    size_t size = 0;
    uint64_t next = 5, events = 0, lost = 0;
    enum blocks_result r;
    struct spool_block b;
    struct blocks w;
    int fd = memfd_create("segment", 0);

    for (int i = 0; i < BLOCKS; i++, next += 2) {
        size += make_block(file + size, next);
    }
    block_seal_closed(file + size, SALT, next);
    size += BLOCK_HEAD_BYTES;
    for (size_t i = 0; i + 2 < n && i < 60; i += 3) {
        file[(data[i] << 8 | data[i + 1]) % size] = (char)data[i + 2];
    }
    if (write(fd, zeros, sizeof zeros) != (ssize_t)sizeof zeros ||
        write(fd, file, size) != (ssize_t)size) {
        abort();
    }
    blocks_init(&w, fd, SALT, PAGE_BYTES + size, 5);
    do {
        r = blocks_next(&w, &b);
        events += r == BLOCKS_BLOCK ? b.n : 0;
        lost += r == BLOCKS_DAMAGE ? w.damage.lost : 0;
    } while (r == BLOCKS_BLOCK || r == BLOCKS_DAMAGE);
    if (r == BLOCKS_UNREAD || events + lost > 2 * BLOCKS ||
        (r == BLOCKS_CLOSED && events + lost != 2 * BLOCKS)) {
        abort();
    }
    blocks_fini(&w);
    (void)close(fd);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    char block[256], before[256];
    size_t size = make_block(block, 5), need;
    struct spool_block b;
    char *copy;

    walk(data, n);
    /* Raw bytes as a block and as a page. */
    copy = malloc(n > 0 ? n : 1);
    memcpy(copy, data, n);
    if (block_open(copy, n, SALT, &b, &need) == BLOCK_OK && n < 64) {
        abort();
    }
    if (n >= PAGE_BYTES) {
        struct page p;

        (void)page_decode((const unsigned char *)copy, &p);
    }
    free(copy);
    /* A good block with some of its bytes changed. */
    memcpy(before, block, size);
    for (size_t i = 0; i + 1 < n; i += 2) {
        block[data[i] % size] = (char)data[i + 1];
    }
    if (block_open(block, size, SALT, &b, &need) == BLOCK_OK &&
        memcmp(block, before, size) != 0) {
        abort();
    }
    return 0;
}
