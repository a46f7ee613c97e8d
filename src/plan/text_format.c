#include "plan/text_format.h"

#include <arpa/inet.h>
#include <stddef.h>
#include <string.h>

#include "base/attr.h"

enum { IP_BYTES = 45, EMAIL_BYTES = 254, LOCAL_BYTES = 64, LABEL_BYTES = 63 };

static const struct {
    const char *word, *expected;
} known[TEXT_FORMATS] = {
    [TEXT_ANY] = {"", "a text"},
    [TEXT_UUID] = {"uuid", "a UUID such as 123e4567-e89b-12d3-a456-426614174000"},
    [TEXT_IP] = {"ip", "an IP address such as 192.0.2.1 or 2001:db8::1"},
    [TEXT_URL] = {"url", "a URL such as https://shop.example/page"},
    [TEXT_EMAIL] = {"email", "an e-mail address such as ann@shop.example"}};

enum text_format text_format_of(struct str word)
{
    for (size_t i = TEXT_ANY + 1; i < N_ELEMS(known); i++) {
        if (str_eq(word, str_of(known[i].word))) {
            return (enum text_format)i;
        }
    }
    return TEXT_ANY;
}

const char *text_format_expected(enum text_format f)
{
    return known[f].expected;
}

static bool is_digit(char c)
{
    return (unsigned)(c - '0') <= 9;
}

static bool is_letter(char c)
{
    return (unsigned)((c | 0x20) - 'a') < 26;
}

static bool is_hex(char c)
{
    return is_digit(c) || (unsigned)((c | 0x20) - 'a') < 6;
}

static bool is_uuid(struct str s)
{
    if (s.n != 36) {
        return false;
    }
    for (size_t i = 0; i < s.n; i++) {
        bool hyphen = i == 8 || i == 13 || i == 18 || i == 23;

        if (hyphen ? s.p[i] != '-' : !is_hex(s.p[i])) {
            return false;
        }
    }
    return true;
}

static bool is_ip(struct str s)
{
    char copy[IP_BYTES + 1], bytes[16];

    if (s.n > IP_BYTES || memchr(s.p, '\0', s.n) != NULL) {
        return false;
    }
    memcpy(copy, s.p, s.n);
    copy[s.n] = '\0';
    return inet_pton(AF_INET, copy, bytes) == 1 ||
           inet_pton(AF_INET6, copy, bytes) == 1;
}

/* Neither space nor control characters, nor what delimits URLs in text. */
static bool is_visible(struct str s)
{
    for (size_t i = 0; i < s.n; i++) {
        unsigned char c = (unsigned char)s.p[i];

        if (c <= ' ' || c == 127 || c == '"' || c == '<' || c == '>') {
            return false;
        }
    }
    return true;
}

static bool is_url(struct str s)
{
    size_t i = 0;

    if (s.n == 0 || !is_letter(s.p[0])) {
        return false;
    }
    while (i < s.n && (is_letter(s.p[i]) || is_digit(s.p[i]) || s.p[i] == '+' ||
                       s.p[i] == '-' || s.p[i] == '.')) {
        i++;
    }
    return s.n - i > 3 && memcmp(s.p + i, "://", 3) == 0 &&
           memchr("/?#", s.p[i + 3], 3) == NULL && is_visible(s);
}

static bool is_label(struct str s)
{
    for (size_t i = 0; i < s.n; i++) {
        unsigned char c = (unsigned char)s.p[i];

        if (!is_letter(s.p[i]) && !is_digit(s.p[i]) && c < 128 &&
            (c != '-' || i == 0 || i + 1 == s.n)) {
            return false;
        }
    }
    return s.n > 0 && s.n <= LABEL_BYTES;
}

/* Two labels or more. */
static bool is_domain(struct str s)
{
    bool dot = false;

    for (;;) {
        const char *at = memchr(s.p, '.', s.n);
        size_t n = at == NULL ? s.n : (size_t)(at - s.p);

        if (!is_label((struct str){s.p, n})) {
            return false;
        }
        if (at == NULL) {
            return dot;
        }
        dot = true;
        s = (struct str){at + 1, s.n - n - 1};
    }
}

static bool is_local(struct str s)
{
    char last = '.';

    for (size_t i = 0; i < s.n; i++) {
        if (s.p[i] == '.' ? last == '.' : memchr("(),:;@[\\]", s.p[i], 9) != NULL) {
            return false;
        }
        last = s.p[i];
    }
    return s.n > 0 && s.n <= LOCAL_BYTES && last != '.' && is_visible(s);
}

static bool is_email(struct str s)
{
    const char *at = s.n > EMAIL_BYTES ? NULL : memchr(s.p, '@', s.n);
    size_t n = at == NULL ? 0 : (size_t)(at - s.p);

    return at != NULL && is_local((struct str){s.p, n}) &&
           is_domain((struct str){at + 1, s.n - n - 1});
}

bool text_has_format(enum text_format f, struct str s)
{
    switch (f) {
    case TEXT_UUID:
        return is_uuid(s);
    case TEXT_IP:
        return is_ip(s);
    case TEXT_URL:
        return is_url(s);
    case TEXT_EMAIL:
        return is_email(s);
    default:
        return true;
    }
}
