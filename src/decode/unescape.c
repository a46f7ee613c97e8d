#include "decode/lex.h"
#include "decode/scan.h"

static size_t put_utf8(char *out, unsigned c)
{
    if (c < 0x80) {
        out[0] = (char)c;
        return 1;
    }
    if (c < 0x800) {
        out[0] = (char)(0xC0 | c >> 6);
        out[1] = (char)(0x80 | (c & 0x3F));
        return 2;
    }
    if (c < 0x10000) {
        out[0] = (char)(0xE0 | c >> 12);
        out[1] = (char)(0x80 | (c >> 6 & 0x3F));
        out[2] = (char)(0x80 | (c & 0x3F));
        return 3;
    }
    out[0] = (char)(0xF0 | c >> 18);
    out[1] = (char)(0x80 | (c >> 12 & 0x3F));
    out[2] = (char)(0x80 | (c >> 6 & 0x3F));
    out[3] = (char)(0x80 | (c & 0x3F));
    return 4;
}

size_t scan_unescape(const char *src, size_t n, char *out)
{
    static const char from[] = "\"\\/bfnrt", to[] = "\"\\/\b\f\n\r\t";
    size_t o = 0;

    for (size_t i = 0; i < n;) {
        if (src[i] != '\\') {
            out[o++] = src[i++];
        } else if (src[i + 1] != 'u') {
            out[o++] = to[strchr(from, src[i + 1]) - from];
            i += 2;
        } else {
            unsigned c = (unsigned)lex_hex4(src + i + 2);

            i += 6;
            if (c >= 0xD800 && c <= 0xDBFF) {
                unsigned low = (unsigned)lex_hex4(src + i + 2);

                c = 0x10000 + ((c - 0xD800) << 10) + (low - 0xDC00);
                i += 6;
            }
            o += put_utf8(out + o, c);
        }
    }
    return o;
}
