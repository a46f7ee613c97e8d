/* A segment's bytes behind a good first page, changed at will: no crash, and no
 * block is believed whose checksum does not hold. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "spool/format.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

enum { SALT = 0x5A17 };

static size_t make_block(char *out)
{
    static const char text[] = "{\"a\":1}\n{\"b\":22}\n\0\0\0\0\0\0\0";
    struct spool_entry entries[2] = {{.off = 0, .len = 7},
                                     {.off = 8, .len = 8}};
    struct block_head h = {.first = 5, .n = 2, .payload_bytes = 17};

    block_seal(&h, SALT, text, entries);
    memcpy(out, &h, sizeof h);
    memcpy(out + sizeof h, text, 24);
    memcpy(out + sizeof h + 24, entries, sizeof entries);
    return h.block_bytes;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    char block[256], before[256];
    size_t size = make_block(block), need;
    struct spool_block b;
    char *copy;

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
