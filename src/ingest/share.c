#include "ingest/share.h"

uint64_t share_parts(double share)
{
    return share >= 1 ? UINT64_MAX : (uint64_t)(share * 0x1p64);
}

/* Multiples of the golden ratio fill the circle evenly (Weyl). */
bool share_number(uint64_t number, uint64_t parts)
{
    return parts == UINT64_MAX || number * 0x9E3779B97F4A7C15u < parts;
}

/* The last steps of splitmix64. */
uint64_t share_mix(uint64_t h)
{
    h = (h ^ h >> 30) * 0xBF58476D1CE4E5B9u;
    h = (h ^ h >> 27) * 0x94D049BB133111EBu;
    return h ^ h >> 31;
}

/* FNV-1a, mixed: its high bits alone are weak. */
uint64_t share_hash(struct str text)
{
    uint64_t h = 0xCBF29CE484222325u;

    for (size_t i = 0; i < text.n; i++) {
        h = (h ^ (unsigned char)text.p[i]) * 0x100000001B3u;
    }
    return share_mix(h);
}

bool share_text(struct str text, uint64_t parts)
{
    return parts == UINT64_MAX || share_hash(text) < parts;
}
