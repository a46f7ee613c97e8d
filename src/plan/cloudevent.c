#include "plan/cloudevent.h"

#include <strings.h>

#include "base/attr.h"
#include "base/base64.h"
#include "decode/quote.h"
#include "plan/media.h"

enum { FRAME_BYTES = 64 };

static struct str content_type(const struct policy_request *q)
{
    return request_raw(q, "", REQUEST_HEADER, STR("content-type"));
}

/* Whether z stands in s, in any case. */
static bool holds(struct str s, const char *z)
{
    size_t n = strlen(z);

    for (size_t i = 0; i + n <= s.n; i++) {
        if (strncasecmp(s.p + i, z, n) == 0) {
            return true;
        }
    }
    return false;
}

/* A type whose bytes are text, in an encoding that JSON has. */
static bool is_text(struct str type)
{
    static const char *const signs[] = {"text/", "xml", "javascript", "yaml",
                                        "x-www-form-urlencoded"};

    if (holds(type, "charset") && !holds(type, "utf-8") && !holds(type, "us-ascii")) {
        return false;
    }
    for (size_t i = 0; i < N_ELEMS(signs); i++) {
        if (holds(type, signs[i])) {
            return true;
        }
    }
    return false;
}

enum cloudevent_data cloudevent_data(const struct policy_request *q, struct str body)
{
    struct str type = content_type(q);

    if (body.n == 0) {
        return CLOUDEVENT_NONE;
    }
    /* Without a type: as if it were application/json (JSON format, 3.1.1). */
    if (type.n == 0 || media_is_json(type)) {
        return CLOUDEVENT_JSON;
    }
    return is_text(type) && quote_is_utf8(body) ? CLOUDEVENT_TEXT : CLOUDEVENT_BASE64;
}

/* The name of an attribute; p is NULL: the header is not one. */
static struct str attribute(const struct str_pair *h)
{
    if (h->name.n <= 3 || strncasecmp(h->name.p, "ce-", 3) != 0) {
        return (struct str){NULL, 0};
    }
    return (struct str){h->name.p + 3, h->name.n - 3};
}

/* The most bytes that quote_write makes of text; much text has little to escape. */
static size_t quoted_bytes(struct str text)
{
    size_t n = 2;

    for (size_t i = 0; i < text.n; i++) {
        unsigned char c = (unsigned char)text.p[i];

        n += c < 0x20 ? 6 : c == '"' || c == '\\' ? 2 : 1;
    }
    return n;
}

size_t cloudevent_bound(const struct policy_request *q, struct str body,
                        enum cloudevent_data kind)
{
    size_t n = FRAME_BYTES + quote_bound(content_type(q).n);

    for (uint32_t i = 0; i < q->n_headers; i++) {
        struct str name = attribute(&q->headers[i]);

        if (name.p != NULL) {
            n += name.n + 4 + 2 * quote_bound(q->headers[i].value.n);
        }
    }
    return n + (kind == CLOUDEVENT_TEXT     ? quoted_bytes(body)
                : kind == CLOUDEVENT_BASE64 ? body.n / 3 * 4 + 8
                                            : body.n);
}

static size_t put(char *out, size_t at, struct str s)
{
    memcpy(out + at, s.p, s.n);
    return at + s.n;
}

/* The value without the double quotes that older senders put around it, then one
 * round of percent-decoding (HTTP binding, 3.1.3.2). In place. */
static struct str plain(struct str raw, char *out)
{
    size_t n = 0;

    if (raw.n >= 2 && raw.p[0] == '"' && raw.p[raw.n - 1] == '"') {
        for (size_t i = 1; i + 1 < raw.n; i++) {
            i += raw.p[i] == '\\' && i + 2 < raw.n;
            out[n++] = raw.p[i];
        }
        raw = (struct str){out, n};
    }
    return (struct str){out, request_unescape(raw, false, out)};
}

/* Attributes are named in a-z and 0-9; returns the new length, 0 with *why. */
static size_t put_attribute(struct str name, struct str value, char *out, size_t at,
                            const char **why)
{
    char *text;
    size_t n;

    out[at++] = '"';
    for (size_t i = 0; i < name.n; i++) {
        char c = name.p[i];

        c = c >= 'A' && c <= 'Z' ? (char)(c + 'a' - 'A') : c;
        if (!((c >= 'a' && c <= 'z') || (c >= '0' && c <= '9'))) {
            *why = "the name of an attribute has only a-z and 0-9: ce-NAME";
            return 0;
        }
        out[at++] = c;
    }
    if (name.n == 4 && memcmp(out + at - 4, "data", 4) == 0) {
        *why = "ce-data is not an attribute; send the data as the body";
        return 0;
    }
    out[at++] = '"';
    out[at++] = ':';
    /* The decoded text lies where the JSON text can't reach before it is read. */
    text = out + at + quote_bound(value.n);
    n = quote_write(plain(value, text), out + at);
    if (n == 0) {
        *why = "an attribute's value is not UTF-8";
        return 0;
    }
    out[at + n] = ',';
    return at + n + 1;
}

static size_t put_data(char *out, size_t at, struct str body, enum cloudevent_data kind)
{
    switch (kind) {
    case CLOUDEVENT_NONE:
        return at - 1; /* the comma */
    case CLOUDEVENT_JSON:
        return put(out, put(out, at, STR("\"data\":")), body);
    case CLOUDEVENT_TEXT:
        at = put(out, at, STR("\"data\":"));
        return at + quote_write(body, out + at);
    case CLOUDEVENT_BASE64:
        break;
    }
    at = put(out, at, STR("\"data_base64\":\""));
    at += base64_write(body, out + at);
    out[at] = '"';
    return at + 1;
}

size_t cloudevent_write(const struct policy_request *q, struct str body,
                        enum cloudevent_data kind, char *out, const char **why)
{
    struct str type = content_type(q);
    size_t n = put(out, 0, STR("{"));

    *why = "expected ce-specversion, ce-id, ce-source and ce-type";
    for (uint32_t i = 0; i < q->n_headers; i++) {
        struct str name = attribute(&q->headers[i]);

        if (name.p != NULL) {
            n = put_attribute(name, q->headers[i].value, out, n, why);
            if (n == 0) {
                return 0;
            }
        }
    }
    if (n == 1) {
        return 0;
    }
    if (type.n > 0) {
        n = put(out, n, STR("\"datacontenttype\":"));
        n += quote_mended(type, out + n);
        out[n++] = ',';
    }
    n = put_data(out, n, body, kind);
    out[n] = '}';
    return n + 1;
}
