/*
 * mmdb_maker - writes MaxMind databases for tests and benches, good and bad ones, byte by
 * byte from the format's description (MaxMind DB 2.0).
 *
 *   maker_init -> maker_* (values, then networks) -> maker_file -> maker_fini
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/address.h"

struct maker {
    unsigned char *data;
    uint32_t n, room;
    uint32_t (*nodes)[2]; /* 0: nothing; a node; DATA and a place */
    uint32_t n_nodes, nodes_room;
    bool six;
    unsigned record_bits;
};

enum { MAKER_DATA = 1u << 30 };

static inline void maker_init(struct maker *m, bool six, unsigned record_bits)
{
    *m = (struct maker){.six = six, .record_bits = record_bits, .n_nodes = 1};
    m->nodes_room = 64;
    m->nodes = calloc(m->nodes_room, sizeof *m->nodes);
}

static inline void maker_fini(struct maker *m)
{
    free(m->data);
    free(m->nodes);
}

static inline void maker_bytes(struct maker *m, const void *p, size_t n)
{
    if (m->n + n > m->room) {
        m->room = 2 * (m->n + (uint32_t)n) + 256;
        m->data = realloc(m->data, m->room);
    }
    memcpy(m->data + m->n, p, n);
    m->n += (uint32_t)n;
}

static inline void maker_big(struct maker *m, uint64_t v, unsigned n)
{
    for (unsigned i = n; i-- > 0;) {
        unsigned char c = (unsigned char)(v >> (8 * i));

        maker_bytes(m, &c, 1);
    }
}

/* The control bytes of a value: type, and its size. Returns where it stands. */
static inline uint32_t maker_head(struct maker *m, unsigned type, uint32_t size)
{
    static const uint32_t added[] = {29, 285, 65821};
    unsigned more = size < 29 ? 0 : size < 285 ? 1 : size < 65821 ? 2 : 3;
    unsigned low = more == 0 ? size : 28 + more;
    uint32_t at = m->n;

    maker_big(m, (type > 7 ? 0 : type << 5) | low, 1);
    if (type > 7) {
        maker_big(m, type - 7, 1);
    }
    if (more > 0) {
        maker_big(m, size - added[more - 1], more);
    }
    return at;
}

static inline uint32_t maker_text(struct maker *m, const char *text)
{
    uint32_t at = maker_head(m, 2, (uint32_t)strlen(text));

    maker_bytes(m, text, strlen(text));
    return at;
}

/* Types 5, 6, 8, 9, 10: whole numbers of so many bytes. */
static inline uint32_t maker_whole(struct maker *m, unsigned type, uint64_t v,
                                   unsigned n)
{
    uint32_t at = maker_head(m, type, n);

    maker_big(m, v, n);
    return at;
}

static inline uint32_t maker_double(struct maker *m, double v)
{
    uint32_t at = maker_head(m, 3, 8);
    uint64_t bits;

    memcpy(&bits, &v, sizeof bits);
    maker_big(m, bits, 8);
    return at;
}

static inline uint32_t maker_pointer(struct maker *m, uint32_t to)
{
    uint32_t at = m->n;

    maker_big(m, 1 << 5 | 3 << 3, 1);
    maker_big(m, to, 4);
    return at;
}

/* The value at a place for a network. Larger networks first. */
static inline void maker_network(struct maker *m, const char *network, uint32_t at)
{
    uint32_t prefix, node = 0;
    struct address a;
    bool four;

    if (address_read_network(str_of(network), &a, &prefix) != NULL) {
        abort();
    }
    four = a.four;
    if (four && m->six) {
        prefix += 96;
    }
    for (uint32_t i = 0; i < prefix; i++) {
        uint32_t place = four && !m->six ? i + 96 : i; /* in 128 bits */
        unsigned side = place < 64 ? (unsigned)(a.hi >> (63 - place)) & 1
                                   : (unsigned)(a.lo >> (127 - place)) & 1;
        uint32_t *next = &m->nodes[node][side];

        if (i + 1 == prefix) {
            *next = MAKER_DATA | at;
        } else if (*next == 0 || *next >= MAKER_DATA) {
            uint32_t was = *next;

            if (m->n_nodes == m->nodes_room) {
                m->nodes_room *= 2;
                m->nodes = realloc(m->nodes, m->nodes_room * sizeof *m->nodes);
            }
            m->nodes[node][side] = m->n_nodes;
            m->nodes[m->n_nodes][0] = m->nodes[m->n_nodes][1] = was;
            node = m->n_nodes++;
        } else {
            node = *next;
        }
    }
}

static inline void maker_node(struct maker *out, const struct maker *m,
                              const uint32_t *n)
{
    uint32_t v[2];

    for (int i = 0; i < 2; i++) {
        v[i] = n[i] == 0           ? m->n_nodes
               : n[i] < MAKER_DATA ? n[i]
                                   : n[i] - MAKER_DATA + m->n_nodes + 16;
    }
    if (m->record_bits == 28) {
        maker_big(out, v[0], 3);
        maker_big(out, (v[0] >> 24) << 4 | v[1] >> 24, 1);
        maker_big(out, v[1], 3);
    } else {
        maker_big(out, v[0], m->record_bits / 8);
        maker_big(out, v[1], m->record_bits / 8);
    }
}

static inline void maker_metadata(struct maker *out, const struct maker *m)
{
    (void)maker_head(out, 7, 9);
    (void)maker_text(out, "node_count");
    (void)maker_whole(out, 6, m->n_nodes, 4);
    (void)maker_text(out, "record_size");
    (void)maker_whole(out, 5, m->record_bits, 2);
    (void)maker_text(out, "ip_version");
    (void)maker_whole(out, 5, m->six ? 6 : 4, 2);
    (void)maker_text(out, "database_type");
    (void)maker_text(out, "Test");
    (void)maker_text(out, "languages");
    (void)maker_head(out, 11, 1);
    (void)maker_text(out, "en");
    (void)maker_text(out, "binary_format_major_version");
    (void)maker_whole(out, 5, 2, 2);
    (void)maker_text(out, "binary_format_minor_version");
    (void)maker_whole(out, 5, 0, 2);
    (void)maker_text(out, "build_epoch");
    (void)maker_whole(out, 9, 1764000000, 8);
    (void)maker_text(out, "description");
    (void)maker_head(out, 7, 1);
    (void)maker_text(out, "en");
    (void)maker_text(out, "Made for tests");
}

/* The whole file; free() p. */
static inline struct str maker_file(const struct maker *m)
{
    static const char zeros[16];
    struct maker out = {0};

    for (uint32_t i = 0; i < m->n_nodes; i++) {
        maker_node(&out, m, m->nodes[i]);
    }
    maker_bytes(&out, zeros, sizeof zeros);
    if (m->n > 0) {
        maker_bytes(&out, m->data, m->n);
    }
    maker_bytes(&out, "\xAB\xCD\xEFMaxMind.com", 14);
    maker_metadata(&out, m);
    return (struct str){(char *)out.data, out.n};
}
