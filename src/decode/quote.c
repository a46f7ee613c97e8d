#include "decode/quote.h"

#include "decode/lex.h"

static size_t put_control(unsigned char c, char *out)
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

static size_t quote(struct str text, bool mend, char *out)
{
    const char *p = text.p, *end = text.p + text.n;
    char *o = out;

    *o++ = '"';
    while (p < end) {
        unsigned char c = (unsigned char)*p;
        unsigned n;

        if (c >= 0x80) {
            n = utf8_char(p, end);
            if (n == 0 && !mend) {
                return 0;
            }
            memcpy(o, n == 0 ? "\xEF\xBF\xBD" : p, n == 0 ? 3 : n);
            o += n == 0 ? 3 : n;
            p += n == 0 ? 1 : n;
            continue;
        }
        if (c < 0x20) {
            o += put_control(c, o);
        } else if (c == '"' || c == '\\') {
            *o++ = '\\';
            *o++ = (char)c;
        } else {
            *o++ = (char)c;
        }
        p++;
    }
    *o++ = '"';
    return (size_t)(o - out);
}

size_t quote_write(struct str text, char *out)
{
    return quote(text, false, out);
}

size_t quote_mended(struct str text, char *out)
{
    return quote(text, true, out);
}

bool quote_is_utf8(struct str text)
{
    const char *p = text.p, *end = text.p + text.n;

    while (p < end) {
        unsigned n = (unsigned char)*p < 0x80 ? 1 : utf8_char(p, end);

        if (n == 0) {
            return false;
        }
        p += n;
    }
    return true;
}
