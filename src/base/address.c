#include "base/address.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>

enum { TEXT_BYTES = 45, MAPPED_BITS = 96 };

static uint64_t number(const unsigned char *p, unsigned n)
{
    uint64_t v = 0;

    for (unsigned i = 0; i < n; i++) {
        v = v << 8 | p[i];
    }
    return v;
}

static bool is_mapped(const unsigned char *p)
{
    static const unsigned char before[12] = {[10] = 0xff, [11] = 0xff};

    return memcmp(p, before, sizeof before) == 0;
}

static void set_six(struct address *out, const unsigned char *p)
{
    *out = (struct address){.four = is_mapped(p)};
    if (out->four) {
        out->lo = number(p + 12, 4);
    } else {
        out->hi = number(p, 8);
        out->lo = number(p + 8, 8);
    }
}

bool address_read(struct str text, struct address *out)
{
    unsigned char bytes[16];
    char copy[TEXT_BYTES + 1];

    if (text.n > TEXT_BYTES || text.n < 2 || memchr(text.p, '\0', text.n) != NULL) {
        return false;
    }
    memcpy(copy, text.p, text.n);
    copy[text.n] = '\0';
    if (memchr(text.p, ':', text.n) == NULL) {
        *out = (struct address){.four = true};
        if (inet_pton(AF_INET, copy, bytes) != 1) {
            return false;
        }
        out->lo = number(bytes, 4);
        return true;
    }
    if (inet_pton(AF_INET6, copy, bytes) != 1) {
        return false;
    }
    set_six(out, bytes);
    return true;
}

/* The number after the slash; -1: there is none. */
static int prefix_of(struct str s)
{
    int n = 0;

    if (s.n == 0 || s.n > 3 || (s.n > 1 && s.p[0] == '0')) {
        return -1;
    }
    for (size_t i = 0; i < s.n; i++) {
        if (s.p[i] < '0' || s.p[i] > '9') {
            return -1;
        }
        n = 10 * n + (s.p[i] - '0');
    }
    return n;
}

/* The bits after the prefix, of 64. */
static uint64_t rest(unsigned prefix)
{
    return prefix == 0 ? UINT64_MAX : prefix >= 64 ? 0 : UINT64_MAX >> prefix;
}

static bool has_more_bits(const struct address *a, unsigned prefix)
{
    if (a->four) {
        return (a->lo & rest(32 + prefix)) != 0;
    }
    return (a->hi & rest(prefix)) != 0 ||
           (a->lo & rest(prefix < 64 ? 0 : prefix - 64)) != 0;
}

const char *address_read_network(struct str text, struct address *out, uint32_t *prefix)
{
    const char *slash = memchr(text.p, '/', text.n);
    struct str address = {text.p, slash == NULL ? text.n : (size_t)(slash - text.p)};
    bool six = memchr(address.p, ':', address.n) != NULL;
    int most = six ? 128 : 32, bits = most;

    if (!address_read(address, out)) {
        return "is no network such as 10.0.0.0/8 or 2001:db8::/32";
    }
    if (slash != NULL) {
        bits = prefix_of((struct str){slash + 1, text.n - address.n - 1});
    }
    if (bits < 0 || bits > most) {
        return six ? "has no prefix from 0 to 128 behind its /"
                   : "has no prefix from 0 to 32 behind its /";
    }
    if (out->four && six) {
        if (bits < MAPPED_BITS) {
            return "covers more than the IPv4 addresses in ::ffff:0:0/96: write the "
                   "network without ::ffff:";
        }
        bits -= MAPPED_BITS;
    }
    *prefix = (uint32_t)bits;
    return has_more_bits(out, *prefix)
               ? "has bits behind its prefix: the network's first address is expected"
               : NULL;
}

bool address_in(const struct address *a, const struct subnet *n)
{
    const struct address *b = &n->address;

    if (a->four != b->four) {
        return false;
    }
    if (a->four) {
        return ((a->lo ^ b->lo) & ~rest(32 + n->prefix)) == 0;
    }
    return ((a->hi ^ b->hi) & ~rest(n->prefix)) == 0 &&
           ((a->lo ^ b->lo) & ~rest(n->prefix < 64 ? 0 : n->prefix - 64)) == 0;
}

bool address_in_any(const struct address *a, const struct subnet *list, uint32_t n)
{
    for (uint32_t i = 0; i < n; i++) {
        if (address_in(a, &list[i])) {
            return true;
        }
    }
    return false;
}

void address_of_bytes(const unsigned char *p, bool six, struct address *out)
{
    if (six) {
        set_six(out, p);
    } else {
        *out = (struct address){.four = true, .lo = number(p, 4)};
    }
}

bool address_of_socket(const struct sockaddr_storage *sa, struct address *out)
{
    const struct sockaddr_in *four = (const void *)sa;
    const struct sockaddr_in6 *six = (const void *)sa;

    if (sa->ss_family == AF_INET) {
        address_of_bytes((const unsigned char *)&four->sin_addr, false, out);
    } else if (sa->ss_family == AF_INET6) {
        address_of_bytes(six->sin6_addr.s6_addr, true, out);
    }
    return sa->ss_family == AF_INET || sa->ss_family == AF_INET6;
}

void address_show(const struct address *a, char out[ADDRESS_TEXT])
{
    unsigned char bytes[16];

    for (unsigned i = 0; i < 8; i++) {
        bytes[i] = (unsigned char)(a->hi >> (56 - 8 * i));
        bytes[8 + i] = (unsigned char)(a->lo >> (56 - 8 * i));
    }
    out[0] = '\0';
    (void)inet_ntop(a->four ? AF_INET : AF_INET6, a->four ? bytes + 12 : bytes, out,
                    ADDRESS_TEXT);
}

bool address_is_loopback(const struct address *a)
{
    return a->four ? a->lo >> 24 == 127 : a->hi == 0 && a->lo == 1;
}
