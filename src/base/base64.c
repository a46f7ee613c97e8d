#include "base/base64.h"

#include <string.h>

static const char letters[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
                              "abcdefghijklmnopqrstuvwxyz0123456789+/";

size_t base64_write(struct str s, char *out)
{
    size_t at = 0;

    for (size_t i = 0; i < s.n; i += 3) {
        size_t left = s.n - i;
        unsigned v = (unsigned)(unsigned char)s.p[i] << 16;

        v |= left > 1 ? (unsigned)(unsigned char)s.p[i + 1] << 8 : 0;
        v |= left > 2 ? (unsigned char)s.p[i + 2] : 0;
        out[at++] = letters[v >> 18];
        out[at++] = letters[v >> 12 & 63];
        out[at++] = left > 1 ? letters[v >> 6 & 63] : '=';
        out[at++] = left > 2 ? letters[v & 63] : '=';
    }
    return at;
}

bool base64_read(struct str s, char *out, size_t *n)
{
    size_t at = 0;

    if (s.n % 4 != 0) {
        return false;
    }
    for (size_t i = 0; i < s.n; i += 4) {
        size_t pad = i + 4 < s.n || s.p[i + 3] != '=' ? 0 : s.p[i + 2] != '=' ? 1 : 2;
        unsigned v = 0;

        for (size_t k = 0; k < 4 - pad; k++) {
            const char *c = memchr(letters, s.p[i + k], sizeof letters - 1);

            if (c == NULL) {
                return false;
            }
            v |= (unsigned)(c - letters) << (18 - 6 * k);
        }
        for (size_t k = 0; k < 3 - pad; k++) {
            out[at++] = (char)(v >> (16 - 8 * k) & 255);
        }
    }
    *n = at;
    return true;
}

static int url_digit(unsigned char c)
{
    return c >= 'A' && c <= 'Z'   ? c - 'A'
           : c >= 'a' && c <= 'z' ? c - 'a' + 26
           : c >= '0' && c <= '9' ? c - '0' + 52
           : c == '-'             ? 62
           : c == '_'             ? 63
                                  : -1;
}

bool base64url_read(struct str s, char *out, size_t *n)
{
    unsigned bits = 0, held = 0;
    size_t at = 0;

    for (size_t i = 0; i < s.n; i++) {
        int v = url_digit((unsigned char)s.p[i]);

        if (v < 0) {
            return false;
        }
        bits = bits << 6 | (unsigned)v;
        held += 6;
        if (held >= 8) {
            held -= 8;
            out[at++] = (char)(bits >> held & 255);
            bits &= (1u << held) - 1;
        }
    }
    *n = at;
    return held < 6 && bits == 0;
}
