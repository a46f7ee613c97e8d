#include "base/crc32c.h"

#include <stdbool.h>
#include <string.h>

/* Reflected 0x1EDC6F41. A nibble at a time: small, and only the fallback. */
static const uint32_t nibbles[16] = {
    0x00000000, 0x105EC76F, 0x20BD8EDE, 0x30E349B1, 0x417B1DBC, 0x5125DAD3,
    0x61C69362, 0x7198540D, 0x82F63B78, 0x92A8FC17, 0xA24BB5A6, 0xB21572C9,
    0xC38D26C4, 0xD3D3E1AB, 0xE330A81A, 0xF36E6F75};

uint32_t crc32c_portable(uint32_t seed, const void *data, size_t n)
{
    const unsigned char *p = data;
    uint32_t c = ~seed;

    for (; n > 0; n--, p++) {
        c ^= *p;
        c = nibbles[c & 15] ^ c >> 4;
        c = nibbles[c & 15] ^ c >> 4;
    }
    return ~c;
}

#if defined(__x86_64__)
__attribute__((target("sse4.2"))) static uint32_t
crc32c_sse42(uint32_t seed, const void *data, size_t n)
{
    const unsigned char *p = data;
    uint64_t c = (uint32_t)~seed;

    for (; n >= 8; n -= 8, p += 8) {
        uint64_t word;

        memcpy(&word, p, 8);
        c = __builtin_ia32_crc32di(c, word);
    }
    for (; n > 0; n--, p++) {
        c = __builtin_ia32_crc32qi((uint32_t)c, *p);
    }
    return ~(uint32_t)c;
}
#endif

uint32_t crc32c(uint32_t seed, const void *data, size_t n)
{
#if defined(__x86_64__)
    /* A load and a test of what the loader found out about the CPU. */
    if (__builtin_cpu_supports("sse4.2")) {
        return crc32c_sse42(seed, data, n);
    }
#endif
    return crc32c_portable(seed, data, n);
}
