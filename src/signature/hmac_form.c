#include "signature/hmac_form.h"

#include <string.h>

#include "base/base64.h"

enum { HEX_LETTERS = 2 * HMAC_BYTES, BASE64_LETTERS = 44 };

static const struct str stamp_mark = STR("{timestamp}"), body_mark = STR("{body}"),
                        hex_mark = STR("{hex}"), base64_mark = STR("{base64}");

static bool starts(struct str s, struct str with)
{
    return s.n >= with.n && memcmp(s.p, with.p, with.n) == 0;
}

static bool ends(struct str s, struct str with)
{
    return s.n >= with.n && memcmp(s.p + s.n - with.n, with.p, with.n) == 0;
}

/* The text up to `end`, taken off s together with it. */
static struct str take(struct str *s, char end)
{
    const char *stop = s->n == 0 ? NULL : memchr(s->p, end, s->n);
    struct str head = {s->p, stop == NULL ? s->n : (size_t)(stop - s->p)};
    size_t gone = stop == NULL ? s->n : head.n + 1;

    s->p += gone;
    s->n -= gone;
    return head;
}

/* ---- the form ---- */

/* "v1={hex}" as "v1="; false: it is not that. */
static bool digest_item(struct str item, struct str *prefix, bool *base64)
{
    *base64 = ends(item, base64_mark);
    if (!*base64 && !ends(item, hex_mark)) {
        return false;
    }
    prefix->p = item.p;
    prefix->n = item.n - (*base64 ? base64_mark.n : hex_mark.n);
    return memchr(prefix->p, '{', prefix->n) == NULL &&
           memchr(prefix->p, '}', prefix->n) == NULL;
}

/* A name and "=": an item's name must not be a part of another item's value. */
static bool is_name(struct str s)
{
    return s.n >= 2 && s.p[s.n - 1] == '=' && memchr(s.p, '=', s.n - 1) == NULL &&
           memchr(s.p, ' ', s.n) == NULL;
}

static bool read_list(struct str format, struct hmac_form *out)
{
    for (unsigned i = 0; i < 2; i++) {
        struct str item = take(&format, ',');

        if (ends(item, stamp_mark)) {
            out->stamp = (struct str){item.p, item.n - stamp_mark.n};
        } else if (!digest_item(item, &out->prefix, &out->base64)) {
            return false;
        }
    }
    return format.n == 0 && is_name(out->stamp) && is_name(out->prefix) &&
           !str_eq(out->stamp, out->prefix);
}

static bool read_signed(struct str text, struct hmac_form *out)
{
    bool body = false;

    while (text.n > 0) {
        enum hmac_part kind = starts(text, body_mark)    ? HMAC_BODY
                              : starts(text, stamp_mark) ? HMAC_STAMP
                                                         : HMAC_TEXT;
        size_t n = kind == HMAC_BODY ? body_mark.n : stamp_mark.n;

        if (kind == HMAC_TEXT) {
            for (n = 0; n < text.n && text.p[n] != '{' && text.p[n] != '}'; n++) {
            }
        }
        if (n == 0 || out->n_parts == HMAC_PARTS_MAX || (kind == HMAC_BODY && body) ||
            (kind == HMAC_STAMP && out->stamped)) {
            return false;
        }
        body = body || kind == HMAC_BODY;
        out->stamped = out->stamped || kind == HMAC_STAMP;
        out->parts[out->n_parts].kind = kind;
        out->parts[out->n_parts++].text = (struct str){text.p, n};
        text.p += n;
        text.n -= n;
    }
    return body;
}

bool hmac_form_read(struct str format, struct str signed_text, bool has_stamp,
                    struct hmac_form *out, const char **of, const char **why)
{
    *out = (struct hmac_form){.n_parts = 0};
    *of = "format";
    out->list = memchr(format.p, ',', format.n) != NULL;
    if (out->list ? !read_list(format, out)
                  : !digest_item(format, &out->prefix, &out->base64)) {
        *why =
            "expected a text before {hex} or {base64} such as \"sha256={hex}\", or a "
            "list such as \"t={timestamp},v1={hex}\"";
        return false;
    }
    if (out->list && has_stamp) {
        *why = "has {timestamp}, and timestamp names a header for it: one is too many";
        return false;
    }
    *of = "signed";
    if (!read_signed(signed_text, out)) {
        *why =
            "expected {body} once, {timestamp} at most once and other texts, such as "
            "\"{timestamp}.{body}\"";
        return false;
    }
    if (out->stamped != (out->list || has_stamp)) {
        *why = out->stamped
                   ? "signs {timestamp}, and the request has none: name its header by "
                     "timestamp, or write {timestamp} into format"
                   : "does not sign {timestamp}: anyone could write another time";
        return false;
    }
    return true;
}

void hmac_form_fini(struct hmac_form *f)
{
    for (unsigned i = 0; i < f->n_secrets; i++) {
        hmac_key_fini(&f->secrets[i]);
    }
    f->n_secrets = 0;
}

/* ---- a request ---- */

static bool fault(struct signature_fault *why, const char *code, const char *message)
{
    *why = (struct signature_fault){code, NULL, message};
    return false;
}

static int hex(char c)
{
    return c >= '0' && c <= '9'   ? c - '0'
           : c >= 'a' && c <= 'f' ? c - 'a' + 10
           : c >= 'A' && c <= 'F' ? c - 'A' + 10
                                  : -1;
}

static bool read_hex(struct str s, unsigned char out[HMAC_BYTES])
{
    for (size_t i = 0; i < HMAC_BYTES && s.n == HEX_LETTERS; i++) {
        int high = hex(s.p[2 * i]), low = hex(s.p[2 * i + 1]);

        if (high < 0 || low < 0) {
            return false;
        }
        out[i] = (unsigned char)(high << 4 | low);
    }
    return s.n == HEX_LETTERS;
}

/* In its one form: the unused bits of the last letter are zero. */
static bool read_base64(struct str s, unsigned char out[HMAC_BYTES])
{
    char bytes[BASE64_LETTERS], again[BASE64_LETTERS];
    size_t n;

    if (s.n != BASE64_LETTERS || !base64_read(s, bytes, &n) || n != HMAC_BYTES ||
        base64_write((struct str){bytes, n}, again) != s.n ||
        memcmp(again, s.p, s.n) != 0) {
        return false;
    }
    memcpy(out, bytes, HMAC_BYTES);
    return true;
}

/* The signatures that a request brings, and its time. */
struct found {
    unsigned char digests[HMAC_SIGNATURES_MAX][HMAC_BYTES];
    unsigned n;
    struct str stamp;
};

static bool add_digest(const struct hmac_form *f, struct str text, struct found *out)
{
    if (out->n == HMAC_SIGNATURES_MAX ||
        !(f->base64 ? read_base64(text, out->digests[out->n])
                    : read_hex(text, out->digests[out->n]))) {
        return false;
    }
    out->n++;
    return true;
}

/* Items of other names are of other schemes, and say nothing here. */
static bool find(const struct hmac_form *f, const struct hmac_sent *sent,
                 struct found *out)
{
    struct str rest = sent->value;

    *out = (struct found){.n = 0, .stamp = sent->stamp};
    if (!f->list) {
        return starts(rest, f->prefix) &&
               add_digest(f, (struct str){rest.p + f->prefix.n, rest.n - f->prefix.n},
                          out);
    }
    out->stamp = (struct str){NULL, 0};
    while (rest.n > 0) {
        struct str item = take(&rest, ',');

        if (starts(item, f->stamp)) {
            if (out->stamp.p != NULL) {
                return false; /* one of two times would not be the signed one */
            }
            out->stamp = (struct str){item.p + f->stamp.n, item.n - f->stamp.n};
        } else if (starts(item, f->prefix) &&
                   !add_digest(f,
                               (struct str){item.p + f->prefix.n, item.n - f->prefix.n},
                               out)) {
            return false;
        }
    }
    return out->n > 0 && out->stamp.p != NULL;
}

static bool read_stamp(struct str s, int64_t *out)
{
    *out = 0;
    for (size_t i = 0; i < s.n && s.n <= HMAC_STAMP_DIGITS; i++) {
        if ((unsigned)(s.p[i] - '0') > 9) {
            return false;
        }
        *out = *out * 10 + (s.p[i] - '0');
    }
    return s.n > 0 && s.n <= HMAC_STAMP_DIGITS;
}

/* Whether one of the secrets has made one of the signatures. */
static bool is_signed(const struct hmac_form *f, const struct found *found,
                      struct str body)
{
    struct str parts[HMAC_PARTS_MAX];
    unsigned char digest[HMAC_BYTES];
    bool good = false;

    for (unsigned i = 0; i < f->n_parts; i++) {
        parts[i] = f->parts[i].kind == HMAC_BODY    ? body
                   : f->parts[i].kind == HMAC_STAMP ? found->stamp
                                                    : f->parts[i].text;
    }
    for (unsigned i = 0; i < f->n_secrets && !good; i++) {
        hmac_sign(&f->secrets[i], parts, f->n_parts, digest);
        for (unsigned k = 0; k < found->n; k++) {
            good = hmac_equal(digest, found->digests[k]) || good;
        }
    }
    return good;
}

bool hmac_form_check(const struct hmac_form *f, const struct hmac_sent *sent,
                     int64_t now_s, struct signature_fault *why)
{
    struct found found;
    int64_t at = 0;

    if (sent->value.p == NULL) {
        return fault(why, "unsigned", "the header of the signature is missing");
    }
    if (f->stamped && !f->list && sent->stamp.p == NULL) {
        return fault(why, "unsigned", "the header of the signature's time is missing");
    }
    if (!find(f, sent, &found) || (f->stamped && !read_stamp(found.stamp, &at))) {
        return fault(why, "bad_signature",
                     "the signature or its time is not written as this route expects");
    }
    if (!is_signed(f, &found, sent->body)) {
        return fault(why, "bad_signature",
                     "no secret of this route has made this signature for this body");
    }
    /* After the signature: so the code tells that a real sender's clock is off. */
    if (f->stamped && (at < now_s - f->window_s || at > now_s + f->window_s)) {
        return fault(why, "expired",
                     "the signature's time is too far from the server's clock");
    }
    return true;
}
