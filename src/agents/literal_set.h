/*
 * literal_set - a few short texts, each once. Plain values; pure.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

enum {
    LITERAL_BYTES_MAX =
        24,           /* longer texts are cut: a part of what is needed is needed */
    LITERALS_MAX = 24 /* of a set */
};

struct literal {
    uint8_t n;
    char text[LITERAL_BYTES_MAX];
};

struct literal_set {
    uint32_t n;
    struct literal list[LITERALS_MAX];
};

/* False: there is no room. */
bool literal_set_put(struct literal_set *s, const struct literal *x);

/* All of from; false: there is no room, and to has some. */
bool literal_set_unite(struct literal_set *to, const struct literal_set *from);

/* out: every text of a, then every one of b. False: they are too many or too long. */
bool literal_set_join(const struct literal_set *a, const struct literal_set *b,
                      struct literal_set *out);

/* The bytes of the shortest text; 0 for an empty set. */
uint32_t literal_set_shortest(const struct literal_set *s);
