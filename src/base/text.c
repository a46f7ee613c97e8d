#include "base/text.h"

#include <stdbool.h>

#include "base/mem.h"
#include "base/utf8.h"
#include "base/word.h"

enum { ESCAPE_MAX = 6 };

static const char replacement[] = "\xEF\xBF\xBD";

static size_t json_control(unsigned char c, char out[ESCAPE_MAX])
{
    static const char hex[] = "0123456789abcdef";
    static const char names[] = "btn\0fr"; /* of 8 to 13; 11 has none */

    out[0] = '\\';
    if (c >= 8 && c <= 13 && names[c - 8] != '\0') {
        out[1] = names[c - 8];
        return 2;
    }
    memcpy(out + 1, "u00", 3);
    out[4] = hex[c >> 4];
    out[5] = hex[c & 15];
    return 6;
}

/* An ASCII character that a target escapes or replaces; its bytes. */
static size_t special(enum text_for to, unsigned char c, char out[ESCAPE_MAX])
{
    out[0] = (char)c;
    if (to == TEXT_PLAIN) {
        return 1;
    }
    if (to != TEXT_LINE && (c == '"' || c == '\\')) {
        out[0] = '\\';
        out[1] = (char)c;
        return 2;
    }
    if (to == TEXT_JSON) {
        return c < 0x20 ? json_control(c, out) : 1;
    }
    if (to != TEXT_LINE && c == '\n') {
        memcpy(out, "\\n", 2);
        return 2;
    }
    if (c < 0x20 || c == 0x7F) {
        out[0] = ' ';
    }
    return 1;
}

static bool is_special(unsigned char c)
{
    return c < 0x20 || c == '"' || c == '\\' || c == 0x7F;
}

/* A terminal takes U+0080 to U+009F for commands. U+2028 to U+202E and U+2066 to U+2069
 * end a line, or turn the text after them around. */
static bool is_command(enum text_for to, const char *p, size_t n)
{
    const unsigned char *c = (const unsigned char *)p;

    if (to == TEXT_PLAIN || to == TEXT_JSON) {
        return false;
    }
    if (n == 2) {
        return c[0] == 0xC2 && c[1] < 0xA0;
    }
    return n == 3 && c[0] == 0xE2 &&
           ((c[1] == 0x80 && c[2] >= 0xA8 && c[2] <= 0xAE) ||
            (c[1] == 0x81 && c[2] >= 0xA6 && c[2] <= 0xA9));
}

/* The same of eight bytes: whether none is special. */
static bool is_plain_word(const char *p)
{
    uint64_t v = word_at(p);

    return !word_has_high(v) && !word_has_less(v, 0x20) && !word_has(v, '"') &&
           !word_has(v, '\\') && !word_has(v, 0x7F);
}

/* Bytes from p on that every target takes as they are. */
static size_t plain_run(const char *p, size_t n)
{
    size_t i = 0;

    while (n - i >= WORD_BYTES && is_plain_word(p + i)) {
        i += WORD_BYTES;
    }
    if (i > 0 && n - i < WORD_BYTES && is_plain_word(p + n - WORD_BYTES)) {
        return n; /* with bytes that were looked at already */
    }
    while (i < n && (unsigned char)p[i] < 0x80 && !is_special((unsigned char)p[i])) {
        i++;
    }
    return i;
}

bool text_is_plain(struct str text)
{
    return plain_run(text.p, text.n) == text.n;
}

size_t text_write(enum text_for to, struct str text, char *out, size_t room)
{
    const char *p = text.p, *end = text.p + text.n;
    size_t o = 0;

    while (p < end) {
        size_t left = (size_t)(end - p), free = room - o;
        size_t n = plain_run(p, left < free ? left : free), taken;
        char escaped[ESCAPE_MAX];
        const char *from;
        unsigned char c;

        memcpy(out + o, p, n);
        o += n;
        p += n;
        if (p == end) {
            break;
        }
        c = (unsigned char)*p;
        from = p;
        taken = n = 1;
        if (c >= 0x80) {
            taken = n = utf8_char(p, end);
            if (n == 0 || is_command(to, p, n)) {
                taken = n == 0 ? 1 : n;
                from = n == 0 ? replacement : " ";
                n = n == 0 ? sizeof replacement - 1 : 1;
            }
        } else {
            n = special(to, c, escaped);
            from = escaped;
        }
        if (n > room - o) {
            break;
        }
        memcpy(out + o, from, n);
        o += n;
        p += taken;
    }
    return o;
}

char *text_z(enum text_for to, struct str text, char *out, size_t room)
{
    out[text_write(to, text, out, room - 1)] = '\0';
    return out;
}

char *text_new(enum text_for to, struct str text)
{
    size_t room = text_bound(text.n) + 1;

    return text_z(to, text, mem_alloc(room), room);
}

size_t text_cut(struct str text, size_t max)
{
    size_t n = max;

    if (text.n <= max) {
        return text.n;
    }
    /* At most three bytes back: bytes that are not UTF-8 are cut anywhere. */
    while (n > 0 && max - n < 3 && ((unsigned char)text.p[n] & 0xC0) == 0x80) {
        n--;
    }
    return n;
}
