/* Texts for a policy's helpers: functions that Lua's own library lacks, or that would
 * not compile there. */
#include <arpa/inet.h>
#include <string.h>

#include "base/utf8.h"
#include "policy/library/tools.h"

static void give(struct sluice_value *out, const char *p, size_t n)
{
    out->text = p;
    out->len = (uint32_t)n;
}

static bool space(char c)
{
    return c == ' ' || (c >= '\t' && c <= '\r');
}

void sluice_trim(const char *p, size_t n, struct sluice_value *out)
{
    while (n > 0 && space(p[n - 1])) {
        n--;
    }
    while (n > 0 && space(*p)) {
        p++;
        n--;
    }
    give(out, p, n);
}

int sluice_starts(const char *p, size_t n, const char *with, size_t k)
{
    return n >= k && memcmp(p, with, k) == 0;
}

int sluice_ends(const char *p, size_t n, const char *with, size_t k)
{
    return n >= k && memcmp(p + n - k, with, k) == 0;
}

int sluice_part(const char *p, size_t n, const char *separator, size_t k, double which,
                struct sluice_value *out)
{
    const char *end = p + n;

    if (k == 0 || !(which >= 1)) {
        return 0;
    }
    for (;; which--) {
        const char *stop = k == 1 ? memchr(p, separator[0], (size_t)(end - p))
                                  : memmem(p, (size_t)(end - p), separator, k);

        if (which < 2) {
            give(out, p, (size_t)((stop == NULL ? end : stop) - p));
            return 1;
        }
        if (stop == NULL) {
            return 0;
        }
        p = stop + k;
    }
}

/* ---- urls ---- */

static bool utf8(const char *p, size_t n)
{
    const char *end = p + n;

    while (p < end) {
        unsigned k = (unsigned char)*p < 0x80 ? 1 : utf8_char(p, end);

        if (k == 0) {
            return false;
        }
        p += k;
    }
    return true;
}

static int hex(char c)
{
    return c >= '0' && c <= '9'   ? c - '0'
           : c >= 'a' && c <= 'f' ? c - 'a' + 10
           : c >= 'A' && c <= 'F' ? c - 'A' + 10
                                  : -1;
}

int sluice_url_decode(struct sluice_context *c, const char *p, size_t n,
                      struct sluice_value *out)
{
    char *to = tools_of(c)->scratch;
    size_t k = 0;

    if (n > SLUICE_TEXT_MAX) {
        return -1;
    }
    for (size_t i = 0; i < n; i++) {
        if (p[i] == '%') {
            int high = i + 2 < n ? hex(p[i + 1]) : -1;
            int low = i + 2 < n ? hex(p[i + 2]) : -1;

            if (high < 0 || low < 0) {
                return 0;
            }
            to[k++] = (char)(high << 4 | low);
            i += 2;
        } else {
            to[k++] = p[i] == '+' ? ' ' : p[i];
        }
    }
    give(out, to, k);
    return utf8(to, k);
}

int sluice_param(struct sluice_context *c, const char *query, size_t n,
                 const char *name, size_t k, struct sluice_value *out)
{
    const char *end = query + n;

    while (query < end) {
        const char *stop = memchr(query, '&', (size_t)(end - query));
        const char *equals;

        stop = stop == NULL ? end : stop;
        equals = memchr(query, '=', (size_t)(stop - query));
        equals = equals == NULL ? stop : equals;
        if ((size_t)(equals - query) == k && memcmp(query, name, k) == 0) {
            query = equals < stop ? equals + 1 : stop;
            return sluice_url_decode(c, query, (size_t)(stop - query), out);
        }
        query = stop + 1;
    }
    return 0;
}

/* ---- values that must not be stored as they are ---- */

int sluice_mask(struct sluice_context *c, const char *p, size_t n, double keep,
                struct sluice_value *out)
{
    char *to = tools_of(c)->scratch;
    size_t shown = n, k = 0;

    if (n > SLUICE_TEXT_MAX) {
        return -1;
    }
    /* The last `keep` characters are shown. */
    for (; shown > 0 && keep >= 1; keep--) {
        do {
            shown--;
        } while (shown > 0 && ((unsigned char)p[shown] & 0xC0) == 0x80);
    }
    for (size_t i = 0; i < shown; i++) {
        if (((unsigned char)p[i] & 0xC0) != 0x80) {
            to[k++] = '*';
        }
    }
    memcpy(to + k, p + shown, n - shown);
    give(out, to, k + n - shown);
    return 1;
}

/* The part of an address that stays: 24 bits of IPv4, also where it stands in an IPv6
 * address (::ffff:1.2.3.4), 48 of other IPv6. */
int sluice_mask_ip(struct sluice_context *c, const char *p, size_t n,
                   struct sluice_value *out)
{
    char *to = tools_of(c)->scratch;
    static const unsigned char mapped[12] = {[10] = 0xFF, [11] = 0xFF};
    unsigned char v4[4], v6[16];
    char text[INET6_ADDRSTRLEN];

    if (n >= sizeof text) {
        return 0;
    }
    memcpy(text, p, n);
    text[n] = '\0';
    if (inet_pton(AF_INET, text, v4) != 1) {
        if (inet_pton(AF_INET6, text, v6) != 1) {
            return 0;
        }
        if (memcmp(v6, mapped, sizeof mapped) != 0) {
            memset(v6 + 6, 0, 10);
            (void)inet_ntop(AF_INET6, v6, to, SLUICE_TEXT_MAX);
            give(out, to, strlen(to));
            return 1;
        }
        memcpy(v4, v6 + sizeof mapped, sizeof v4);
    }
    v4[3] = 0;
    (void)inet_ntop(AF_INET, v4, to, SLUICE_TEXT_MAX);
    give(out, to, strlen(to));
    return 1;
}

/* ---- base64 (RFC 4648), both alphabets read, the padding optional ---- */

static int sextet(char c)
{
    return c >= 'A' && c <= 'Z'   ? c - 'A'
           : c >= 'a' && c <= 'z' ? c - 'a' + 26
           : c >= '0' && c <= '9' ? c - '0' + 52
           : c == '+' || c == '-' ? 62
           : c == '/' || c == '_' ? 63
                                  : -1;
}

int sluice_base64_decode(struct sluice_context *c, const char *p, size_t n,
                         struct sluice_value *out)
{
    char *to = tools_of(c)->scratch;
    uint32_t bits = 0;
    size_t k = 0;

    for (int i = 0; i < 2 && n > 0 && p[n - 1] == '='; i++) {
        n--;
    }
    if (n / 4 * 3 + 3 > SLUICE_TEXT_MAX) {
        return -1;
    }
    if (n % 4 == 1) {
        return 0;
    }
    for (size_t i = 0; i < n; i++) {
        int v = sextet(p[i]);

        if (v < 0) {
            return 0;
        }
        bits = bits << 6 | (uint32_t)v;
        if (i % 4 != 0) {
            to[k++] = (char)(bits >> (6 - 2 * (i % 4)));
        }
    }
    give(out, to, k);
    return 1;
}

int sluice_base64_encode(struct sluice_context *c, const char *p, size_t n,
                         struct sluice_value *out)
{
    static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopq"
                                   "rstuvwxyz0123456789+/";
    char *to = tools_of(c)->scratch;
    size_t k = 0;

    if ((n + 2) / 3 * 4 > SLUICE_TEXT_MAX) {
        return -1;
    }
    for (size_t i = 0; i < n; i += 3) {
        uint32_t bits = (uint32_t)(unsigned char)p[i] << 16;

        bits |= i + 1 < n ? (uint32_t)(unsigned char)p[i + 1] << 8 : 0;
        bits |= i + 2 < n ? (unsigned char)p[i + 2] : 0;
        to[k++] = alphabet[bits >> 18];
        to[k++] = alphabet[bits >> 12 & 63];
        to[k++] = i + 1 < n ? alphabet[bits >> 6 & 63] : '=';
        to[k++] = i + 2 < n ? alphabet[bits & 63] : '=';
    }
    give(out, to, k);
    return 1;
}
