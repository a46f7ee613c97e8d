#include "decode/multipart.h"

#include <string.h>
#include <strings.h>

#include "decode/repeats.h"

enum { DELIMITER_BYTES = BOUNDARY_MAX + 4, SMALL = 16384 };

struct reader {
    struct params x;
    struct str body, delimiter; /* delimiter: CR LF -- boundary */
    const char *p, *end;
    struct str name;    /* of the part in hand, as sent, between its quotes; p: NULL */
    bool quoted, file;  /* its name has quotes; it has a file name */
    const char *detail; /* why its head is refused; NULL */
};

/* ---- Content-Type and Content-Disposition ---- */

static bool is(struct str s, const char *z)
{
    return s.n == strlen(z) && strncasecmp(s.p, z, s.n) == 0;
}

static bool is_space(char c)
{
    return c == ' ' || c == '\t';
}

static struct str trimmed(struct str s)
{
    while (s.n > 0 && is_space(*s.p)) {
        s.p++;
        s.n--;
    }
    while (s.n > 0 && is_space(s.p[s.n - 1])) {
        s.n--;
    }
    return s;
}

/* A parameter of a header: ; NAME=VALUE, taken off *rest. quoted: its value, which has
 * no quotes here, had some, and may have backslashes. False: no more, or no sound one,
 * which *sound tells. */
static bool next_param(struct str *rest, struct str *name, struct str *value,
                       bool *quoted, bool *sound)
{
    struct str s = trimmed(*rest);
    size_t i = 0;

    *sound = s.n == 0;
    if (s.n == 0 || *s.p != ';') {
        return false;
    }
    s = trimmed((struct str){s.p + 1, s.n - 1});
    if (s.n == 0) { /* a semicolon at the end */
        *sound = true;
        return false;
    }
    while (i < s.n && s.p[i] != '=' && s.p[i] != ';') {
        i++;
    }
    if (i == s.n || s.p[i] != '=') {
        return false;
    }
    *name = trimmed((struct str){s.p, i});
    s = trimmed((struct str){s.p + i + 1, s.n - i - 1});
    *quoted = s.n > 0 && *s.p == '"';
    i = *quoted;
    while (i < s.n && s.p[i] != (*quoted ? '"' : ';')) {
        i += *quoted && s.p[i] == '\\' && i + 1 < s.n ? 2 : 1;
    }
    if (*quoted && i >= s.n) {
        return false;
    }
    *value = *quoted ? (struct str){s.p + 1, i - 1} : trimmed((struct str){s.p, i});
    i += *quoted;
    *rest = (struct str){s.p + i, s.n - i};
    *sound = true;
    return true;
}

/* The header's value up to its first parameter, which *rest begins with. */
static struct str value_of(struct str header, struct str *rest)
{
    const char *semi = header.n == 0 ? NULL : memchr(header.p, ';', header.n);
    size_t n = semi == NULL ? header.n : (size_t)(semi - header.p);

    *rest = (struct str){header.p + n, header.n - n};
    return trimmed((struct str){header.p, n});
}

static bool is_boundary_char(char c)
{
    return (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') ||
           (c != '\0' && strchr("'()+_,-./:=? ", c) != NULL);
}

struct str multipart_boundary(struct str content_type, char out[BOUNDARY_MAX])
{
    struct str rest, name, value;
    size_t n = 0;
    bool quoted, sound;

    (void)value_of(content_type, &rest);
    while (next_param(&rest, &name, &value, &quoted, &sound)) {
        if (!is(name, "boundary")) {
            continue;
        }
        for (size_t i = 0; i < value.n; i++) {
            i += quoted && value.p[i] == '\\' && i + 1 < value.n;
            if (n == BOUNDARY_MAX || !is_boundary_char(value.p[i])) {
                return (struct str){NULL, 0};
            }
            out[n++] = value.p[i];
        }
        return (struct str){out, n > 0 && out[n - 1] != ' ' ? n : 0};
    }
    return (struct str){NULL, 0};
}

static void take_disposition(struct reader *r, struct str header)
{
    struct str rest, name, value;
    bool quoted, sound;

    if (!is(value_of(header, &rest), "form-data")) {
        r->detail = "expected Content-Disposition: form-data";
        return;
    }
    while (next_param(&rest, &name, &value, &quoted, &sound)) {
        if (is(name, "name") && r->name.p == NULL) {
            r->name = value;
            r->quoted = quoted;
        }
        r->file |= is(name, "filename") || is(name, "filename*");
    }
    if (!sound) {
        r->detail = "expected Content-Disposition: form-data; name=\"...\"";
    }
}

static void take_encoding(struct reader *r, struct str value)
{
    value = trimmed(value);
    if (!is(value, "7bit") && !is(value, "8bit") && !is(value, "binary")) {
        r->detail = "Content-Transfer-Encoding is not supported";
    }
}

/* ---- parts ---- */

static size_t place(const struct reader *r, const char *p)
{
    return (size_t)(p - r->body.p);
}

static enum params_result fail_at(struct reader *r, const char *p, const char *detail)
{
    struct params_error *e = r->x.error;

    e->at = place(r, p);
    e->name = r->name;
    e->detail = detail;
    return PARAMS_INVALID;
}

/* The lines up to an empty one. False: there is none. */
static bool take_head(struct reader *r)
{
    r->name = (struct str){NULL, 0};
    r->quoted = r->file = false;
    r->detail = NULL;
    for (;;) {
        const char *nl = memmem(r->p, (size_t)(r->end - r->p), "\r\n", 2);
        const char *colon;
        struct str line, name, value;

        if (nl == NULL) {
            return false;
        }
        line = (struct str){r->p, (size_t)(nl - r->p)};
        r->p = nl + 2;
        if (line.n == 0) {
            return true;
        }
        colon = memchr(line.p, ':', line.n);
        if (colon == NULL || is_space(*line.p)) {
            return false;
        }
        name = (struct str){line.p, (size_t)(colon - line.p)};
        value = (struct str){colon + 1, line.n - name.n - 1};
        if (is(name, "content-disposition")) {
            take_disposition(r, value);
        } else if (is(name, "content-transfer-encoding")) {
            take_encoding(r, value);
        }
    }
}

static void put(struct params *x, unsigned char c)
{
    x->high |= c >= 0x80;
    x->p = params_put(x->p, c);
}

/* Browsers write " and line ends as %22, %0D and %0A (HTML, 4.10.21.8), older clients a
 * backslash before " and \. */
static void write_name(struct reader *r)
{
    static const struct {
        char text[4];
        unsigned char c;
    } codes[] = {{"%22", '"'}, {"%0D", '\r'}, {"%0A", '\n'}};
    struct str s = r->name;

    for (size_t i = 0; i < s.n; i++) {
        unsigned char c = (unsigned char)s.p[i];

        if (c == '\\' && r->quoted && i + 1 < s.n &&
            (s.p[i + 1] == '"' || s.p[i + 1] == '\\')) {
            c = (unsigned char)s.p[++i];
        }
        for (size_t k = 0; c == '%' && s.n - i >= 3 && k < N_ELEMS(codes); k++) {
            if (strncasecmp(s.p + i, codes[k].text, 3) == 0) {
                c = codes[k].c;
                i += 2;
            }
        }
        put(&r->x, c);
    }
}

static void write_value(struct reader *r, struct str value)
{
    struct params *x = &r->x;

    if (x->kind == PARAM_JSON || x->kind == PARAM_BASE64) {
        memcpy(x->p, value.p, value.n);
        x->p += value.n;
        return;
    }
    for (size_t i = 0; i < value.n; i++) {
        put(x, (unsigned char)value.p[i]);
    }
}

/* A part; p is behind its boundary's line. */
static enum params_result take_part(struct reader *r)
{
    const char *from = r->p, *stop;
    enum params_result result;
    struct str value;

    if (!take_head(r)) {
        return fail_at(r, from, "a part has no whole head; lines end in CR LF");
    }
    if (r->detail == NULL && r->name.p == NULL) {
        r->detail = "expected Content-Disposition: form-data; name=\"...\"";
    }
    if (r->file || r->detail != NULL) {
        (void)fail_at(r, from, r->detail);
        return r->file ? PARAMS_FILE : PARAMS_INVALID;
    }
    /* The delimiter's CR LF may be that of the empty line: an empty value. */
    r->p -= 2;
    stop = memmem(r->p, (size_t)(r->end - r->p), r->delimiter.p, r->delimiter.n);
    if (stop == NULL) {
        return fail_at(r, from, "no boundary follows; the body is cut off");
    }
    value = stop == r->p ? (struct str){stop, 0}
                         : (struct str){r->p + 2, (size_t)(stop - r->p - 2)};
    r->p = stop + r->delimiter.n;
    result = params_name(&r->x, r->name, place(r, from));
    if (result != PARAMS_OK) {
        return result;
    }
    write_name(r);
    result = params_value(&r->x);
    if (result != PARAMS_OK) {
        return result;
    }
    write_value(r, value);
    return params_next(&r->x);
}

/* After a boundary: "--" ends the body, white space and CR LF begin a part. */
static bool take_line_end(struct reader *r, bool *more)
{
    *more = !(r->end - r->p >= 2 && r->p[0] == '-' && r->p[1] == '-');
    if (!*more) {
        r->p += 2;
    }
    while (r->p < r->end && is_space(*r->p)) {
        r->p++;
    }
    if (!*more) {
        while (r->p < r->end && (is_space(*r->p) || *r->p == '\r' || *r->p == '\n')) {
            r->p++;
        }
        return r->p == r->end;
    }
    if (r->end - r->p < 2 || r->p[0] != '\r' || r->p[1] != '\n') {
        return false;
    }
    r->p += 2;
    return true;
}

static enum params_result take_all(struct reader *r, struct str *event)
{
    bool more = true;

    while (r->p < r->end && (is_space(*r->p) || *r->p == '\r' || *r->p == '\n')) {
        r->p++;
    }
    if ((size_t)(r->end - r->p) < r->delimiter.n - 2 ||
        memcmp(r->p, r->delimiter.p + 2, r->delimiter.n - 2) != 0) {
        return fail_at(r, r->p, "expected the boundary of Content-Type");
    }
    r->p += r->delimiter.n - 2;
    for (;;) {
        const char *from = r->p;
        enum params_result result;

        if (!take_line_end(r, &more)) {
            r->name = (struct str){NULL, 0};
            return fail_at(r, from,
                           more ? "expected CR LF behind a boundary"
                                : "expected nothing behind the last boundary");
        }
        if (!more) {
            *event = params_end(&r->x);
            return PARAMS_OK;
        }
        result = take_part(r);
        if (result != PARAMS_OK) {
            return result;
        }
    }
}

static NOINLINE enum params_result take_repeats(struct reader *r, struct str *event)
{
    struct repeats repeats;

    repeats_start(&repeats);
    r->x.repeats = &repeats;
    return take_all(r, event);
}

/* A part has its boundary and its head besides name and value. */
static size_t bound_of(struct str body)
{
    size_t n = 0;

    if (body.n <= SMALL) {
        return params_bound(body.n);
    }
    for (size_t i = 0; i < body.n; i++) {
        unsigned char c = (unsigned char)body.p[i];

        n += c < 0x20 ? 6 : c == '"' || c == '\\' ? 2 : 1;
    }
    return n;
}

enum params_result multipart_write(const struct params_rules *rules,
                                   const struct scan_limits *limits,
                                   struct str boundary, struct str body,
                                   size_t max_bytes, struct params_room *room,
                                   struct str *event, struct params_error *e)
{
    char delimiter[DELIMITER_BYTES] = "\r\n--";
    struct reader r = {.body = body, .p = body.p, .end = body.p + body.n};
    enum params_result result =
        params_start(&r.x, rules, limits, room, bound_of(body), max_bytes, e);

    if (result != PARAMS_OK) {
        return result;
    }
    memcpy(delimiter + 4, boundary.p, boundary.n);
    r.delimiter = (struct str){delimiter, boundary.n + 4};
    return rules->repeated == PARAMS_REFUSE ? take_all(&r, event)
                                            : take_repeats(&r, event);
}
