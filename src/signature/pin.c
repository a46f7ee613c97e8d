#include "signature/pin.h"

#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/x509.h>
#include <stdlib.h>
#include <string.h>

#include "base/base64.h"

enum { TEXT_MAX = 2048, DER_MAX = 512, NAME_MAX_BYTES = 32 };

/* The letters between the lines of a PEM, or all of text, without space. False: it is
 * a PEM of something else, or none at all. */
static bool letters_of(struct str text, char *out, size_t *n, const char **why)
{
    static const struct str begin = STR("-----BEGIN PUBLIC KEY-----"),
                            end = STR("-----END PUBLIC KEY-----");
    const char *from = text.p, *to = text.p + text.n, *last;

    while (from < to && (unsigned char)*from <= ' ') {
        from++;
    }
    if (from < to && *from == '-') {
        if ((size_t)(to - from) < begin.n || memcmp(from, begin.p, begin.n) != 0) {
            *why = "is a PEM, but of no public key: expected BEGIN PUBLIC KEY";
            return false;
        }
        from += begin.n;
        last = memmem(from, (size_t)(to - from), end.p, end.n);
        if (last == NULL) {
            *why = "has no END PUBLIC KEY";
            return false;
        }
        for (const char *p = last + end.n; p < to; p++) {
            if ((unsigned char)*p > ' ') {
                *why = "has more than one key";
                return false;
            }
        }
        to = last;
    }
    *n = 0;
    for (; from < to; from++) {
        if ((unsigned char)*from > ' ') {
            out[(*n)++] = *from;
        }
    }
    return true;
}

static bool curve_of(EVP_PKEY *key, enum pin_curve *out)
{
    char name[NAME_MAX_BYTES];

    if (EVP_PKEY_get_base_id(key) != EVP_PKEY_EC ||
        EVP_PKEY_get_group_name(key, name, sizeof name, NULL) != 1) {
        return false;
    }
    *out = strcmp(name, "prime256v1") == 0 ? PIN_P256 : PIN_P192;
    return *out == PIN_P256 || strcmp(name, "prime192v1") == 0;
}

/* Whether the point lies on the curve. */
static bool is_whole(EVP_PKEY *key)
{
    EVP_PKEY_CTX *c = EVP_PKEY_CTX_new(key, NULL);
    bool good = c != NULL && EVP_PKEY_public_check(c) == 1;

    EVP_PKEY_CTX_free(c);
    return good;
}

bool pin_read(struct str text, struct pin *out, const char **why)
{
    char letters[TEXT_MAX], der[TEXT_MAX];
    const unsigned char *p = (const unsigned char *)der;
    size_t n;

    out->key = NULL;
    if (text.n > sizeof letters) {
        *why = "is longer than a public key";
        return false;
    }
    if (!letters_of(text, letters, &n, why)) {
        return false;
    }
    if (n == 0 || !base64_read((struct str){letters, n}, der, &n)) {
        *why = "is neither a PEM nor base64";
        return false;
    }
    if (n <= DER_MAX) {
        out->key = d2i_PUBKEY(NULL, &p, (long)n);
    }
    if (out->key == NULL || p != (const unsigned char *)der + n) {
        *why = "is no public key: expected a SubjectPublicKeyInfo";
    } else if (!curve_of(out->key, &out->curve)) {
        *why = "is not of the curve P-256";
    } else if (!is_whole(out->key)) {
        *why = "is no point of its curve";
    } else {
        return true;
    }
    pin_fini(out);
    ERR_clear_error();
    return false;
}

void pin_fini(struct pin *p)
{
    EVP_PKEY_free(p->key);
    p->key = NULL;
}
