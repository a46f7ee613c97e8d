#include "decode/quote.h"

#include <string.h>

#include "base/text.h"
#include "base/utf8.h"

size_t quote_mended(struct str text, char *out)
{
    size_t n = text_write(TEXT_JSON, text, out + 1, quote_bound(text.n) - 2);

    out[0] = out[n + 1] = '"';
    return n + 2;
}

size_t quote_write(struct str text, char *out)
{
    /* Most texts are: looked at once, and copied. */
    if (text_is_plain(text)) {
        out[0] = out[text.n + 1] = '"';
        memcpy(out + 1, text.p, text.n);
        return text.n + 2;
    }
    return quote_is_utf8(text) ? quote_mended(text, out) : 0;
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
