#include "net/proxy_header.h"

#include <string.h>

enum { SIGNATURE = 12, V2_HEAD = 16, V4_BYTES = 12, V6_BYTES = 36, UNIX_BYTES = 216 };
enum { LOCAL = 0, PROXY = 1, UNSPEC = 0, INET = 1, INET6 = 2, UNIX = 3, STREAM = 1 };

_Static_assert(PROXY_V1_MAX >= V2_HEAD + V6_BYTES, "all that is looked at is kept");

static const unsigned char v2[SIGNATURE] = "\r\n\r\n\0\r\nQUIT\n";
static const char v1[] = "PROXY ";

void proxy_header_init(struct proxy_header *h)
{
    memset(h, 0, sizeof *h);
}

static enum proxy_result bad(struct proxy_header *h, const char *why)
{
    h->why = why;
    return PROXY_BAD;
}

/* ---- version 1: a line ---- */

/* The word up to the next blank; the rest of the line stands in *line. */
static struct str word(struct str *line)
{
    const char *blank = memchr(line->p, ' ', line->n);
    struct str w = {line->p, blank == NULL ? line->n : (size_t)(blank - line->p)};
    size_t gone = blank == NULL ? line->n : w.n + 1;

    line->p += gone;
    line->n -= gone;
    return w;
}

static bool is_port(struct str s)
{
    unsigned v = 0;

    if (s.n == 0 || s.n > 5 || (s.n > 1 && s.p[0] == '0')) {
        return false;
    }
    for (size_t i = 0; i < s.n; i++) {
        if (s.p[i] < '0' || s.p[i] > '9') {
            return false;
        }
        v = 10 * v + (unsigned)(s.p[i] - '0');
    }
    return v <= 65535;
}

/* The family that its line names, and no other. */
static bool read_address(struct str s, bool six, struct address *out)
{
    return (memchr(s.p, ':', s.n) != NULL) == six && address_read(s, out);
}

static enum proxy_result read_line(struct proxy_header *h)
{
    struct str line = {(const char *)h->bytes + sizeof v1 - 1,
                       h->n - (sizeof v1 - 1) - 2};
    struct address to;
    struct str family = word(&line), source, target, port;
    bool six = str_eq(family, STR("TCP6"));

    if (str_eq(family, STR("UNKNOWN"))) {
        return PROXY_DONE;
    }
    if (!six && !str_eq(family, STR("TCP4"))) {
        return bad(h, "its family is none of TCP4, TCP6, UNKNOWN");
    }
    source = word(&line);
    target = word(&line);
    port = word(&line);
    if (!read_address(source, six, &h->address) || !read_address(target, six, &to)) {
        return bad(h, "it has no addresses of its family");
    }
    if (!is_port(port) || !is_port(line)) {
        return bad(h, "it has no ports from 0 to 65535");
    }
    h->has_address = true;
    return PROXY_DONE;
}

static enum proxy_result feed_v1(struct proxy_header *h, const unsigned char *p,
                                 size_t n, size_t *used)
{
    size_t i = 0;

    while (i < n && h->n < PROXY_V1_MAX) {
        unsigned char c = p[i++];

        h->bytes[h->n++] = c;
        *used = i;
        if (c == '\n') {
            return h->bytes[h->n - 2] == '\r' ? read_line(h)
                                              : bad(h, "its line ends without CR");
        }
        if ((c < ' ' && c != '\r') || h->bytes[h->n - 2] == '\r') {
            return bad(h, "its line has a control character");
        }
    }
    return h->n == PROXY_V1_MAX ? bad(h, "its line is longer than 107 bytes")
                                : PROXY_MORE;
}

/* ---- version 2: numbers ---- */

static enum proxy_result read_head(struct proxy_header *h)
{
    static const size_t least[] = {
        [UNSPEC] = 0, [INET] = V4_BYTES, [INET6] = V6_BYTES, [UNIX] = UNIX_BYTES};
    const unsigned char *b = h->bytes;
    unsigned version = b[12] >> 4, command = b[12] & 15u, family = b[13] >> 4,
             kind = b[13] & 15u;
    size_t n = (size_t)b[14] << 8 | b[15];

    h->whole = V2_HEAD + n;
    if (version != 2 || command > PROXY) {
        return bad(h, "its version or command is not known");
    }
    if (h->whole > PROXY_V2_MAX) {
        return bad(h, "it is longer than 4112 bytes");
    }
    if (command == LOCAL) {
        return PROXY_MORE;
    }
    if (family > UNIX || kind > STREAM) {
        return bad(h, "its family or transport is not known, or no stream");
    }
    return n < least[family] ? bad(h, "it is too short for its family") : PROXY_MORE;
}

static void read_numbers(struct proxy_header *h)
{
    const unsigned char *b = h->bytes;
    unsigned family = b[13] >> 4;

    h->has_address = (b[12] & 15u) == PROXY && (family == INET || family == INET6);
    if (h->has_address) {
        address_of_bytes(b + V2_HEAD, family == INET6, &h->address);
    }
}

static enum proxy_result feed_v2(struct proxy_header *h, const unsigned char *p,
                                 size_t n, size_t *used)
{
    size_t goal = h->whole == 0 ? V2_HEAD : h->whole;
    size_t take = n < goal - h->n ? n : goal - h->n;

    if (h->n < sizeof h->bytes) {
        size_t room = sizeof h->bytes - h->n;

        memcpy(h->bytes + h->n, p, take < room ? take : room);
    }
    h->n += take;
    *used += take;
    if (h->n < goal) {
        return PROXY_MORE;
    }
    if (h->whole == 0) {
        enum proxy_result r = read_head(h);

        if (r == PROXY_BAD || h->n < h->whole) {
            return r == PROXY_BAD || take == n ? r
                                               : feed_v2(h, p + take, n - take, used);
        }
    }
    read_numbers(h);
    return PROXY_DONE;
}

/* The bytes that the version is known by. False: it is neither. */
static bool begins(const struct proxy_header *h, const void *with, size_t n)
{
    return memcmp(h->bytes, with, h->n < n ? h->n : n) == 0;
}

enum proxy_result proxy_header_feed(struct proxy_header *h, const unsigned char *p,
                                    size_t n, size_t *used)
{
    *used = 0;
    while (h->n < SIGNATURE && *used < n) {
        bool first = begins(h, v1, sizeof v1 - 1);

        if (h->n >= sizeof v1 - 1 && first) {
            break;
        }
        h->bytes[h->n++] = p[(*used)++];
        if (!begins(h, v1, sizeof v1 - 1) && !begins(h, v2, SIGNATURE)) {
            return bad(h, "there is none");
        }
    }
    if (h->n >= sizeof v1 - 1 && begins(h, v1, sizeof v1 - 1)) {
        size_t more = 0;
        enum proxy_result r = feed_v1(h, p + *used, n - *used, &more);

        *used += more;
        return r;
    }
    if (h->n < SIGNATURE) {
        return PROXY_MORE;
    }
    return feed_v2(h, p + *used, n - *used, used);
}
