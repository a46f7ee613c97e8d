/* Tokens of the tests' own: JWK sets of fresh keys, and JWTs that they sign. */
#pragma once

#include <openssl/core_names.h>
#include <openssl/rsa.h>
#include <stdarg.h>
#include <stdio.h>

#include "base/err.h"
#include "decode/scan.h"
#include "signature/jwt.h"
#include "signature/keys.h"

#define TOKEN_SECRET "a secret of more than 32 bytes, for HS256"

static inline const char *token_text(const char *fmt, ...)
    __attribute__((format(printf, 1, 2)));
static inline const char *token_text(const char *fmt, ...)
{
    static char out[64][32768];
    static unsigned turn;
    va_list ap;

    turn = (turn + 1) % 64;
    va_start(ap, fmt);
    (void)vsnprintf(out[turn], sizeof out[turn], fmt, ap);
    va_end(ap);
    return out[turn];
}

/* A number of the key, in base64url. */
static inline const char *token_number(EVP_PKEY *key, const char *name, size_t n)
{
    unsigned char bytes[2048]; /* also of a key that is too large */
    char url[4096];
    BIGNUM *v = NULL;

    if (EVP_PKEY_get_bn_param(key, name, &v) != 1) {
        abort();
    }
    n = n > 0 ? (size_t)BN_bn2binpad(v, bytes, (int)n) : (size_t)BN_bn2bin(v, bytes);
    BN_free(v);
    (void)key_url((struct str){(char *)bytes, n}, url);
    return token_text("%s", url);
}

static inline const char *token_jwk_rsa(EVP_PKEY *key, const char *more)
{
    return token_text("{\"kty\":\"RSA\",\"n\":\"%s\",\"e\":\"%s\"%s}",
                      token_number(key, OSSL_PKEY_PARAM_RSA_N, 0),
                      token_number(key, OSSL_PKEY_PARAM_RSA_E, 0), more);
}

static inline const char *token_jwk_ec(EVP_PKEY *key, const char *more)
{
    return token_text("{\"kty\":\"EC\",\"crv\":\"P-256\",\"x\":\"%s\",\"y\":\"%s\"%s}",
                      token_number(key, OSSL_PKEY_PARAM_EC_PUB_X, 32),
                      token_number(key, OSSL_PKEY_PARAM_EC_PUB_Y, 32), more);
}

static inline const char *token_jwk_ed(EVP_PKEY *key, const char *more)
{
    unsigned char x[32];
    char url[64];
    size_t n = sizeof x;

    if (EVP_PKEY_get_raw_public_key(key, x, &n) != 1) {
        abort();
    }
    (void)key_url((struct str){(char *)x, n}, url);
    return token_text("{\"kty\":\"OKP\",\"crv\":\"Ed25519\",\"x\":\"%s\"%s}", url,
                      more);
}

static inline const char *token_jwk_secret(struct str secret, const char *more)
{
    char url[2048];

    (void)key_url(secret, url);
    return token_text("{\"kty\":\"oct\",\"k\":\"%s\"%s}", url, more);
}

/* The set; false: *e. */
static inline bool token_set(const char *json, struct jwks *out, struct err *e)
{
    size_t n = strlen(json);
    char *copy = calloc(1, n + SCAN_PAD);
    bool good;

    memcpy(copy, json, n);
    good = jwks_read((struct str){copy, n}, out, e);
    free(copy);
    return good;
}

/* The signature for input, of the key's kind; a key that is NULL is TOKEN_SECRET. */
static inline size_t token_sign(EVP_PKEY *key, struct str input, unsigned char out[600])
{
    EVP_MD_CTX *c;
    size_t n = 600;
    bool whole;

    if (key == NULL) {
        struct hmac_key k;

        hmac_key_init(&k, STR(TOKEN_SECRET));
        hmac_sign(&k, &input, 1, out);
        return HMAC_BYTES;
    }
    if (EVP_PKEY_get_base_id(key) == EVP_PKEY_EC) {
        unsigned char der[80];

        key_raw(der, key_sign(key, input, der), out);
        return 64;
    }
    whole = EVP_PKEY_get_base_id(key) == EVP_PKEY_ED25519;
    c = EVP_MD_CTX_new();
    if (EVP_DigestSignInit(c, NULL, whole ? NULL : EVP_sha256(), NULL, key) != 1 ||
        EVP_DigestSign(c, out, &n, (const unsigned char *)input.p, input.n) != 1) {
        abort();
    }
    EVP_MD_CTX_free(c);
    return n;
}

/* header.claims.signature */
static inline const char *token_of(EVP_PKEY *key, const char *header,
                                   const char *claims)
{
    static char out[65536];
    unsigned char raw[600];
    size_t n = key_url(str_of(header), out), n_raw;

    out[n++] = '.';
    n += key_url(str_of(claims), out + n);
    n_raw = token_sign(key, (struct str){out, n}, raw);
    out[n++] = '.';
    (void)key_url((struct str){(char *)raw, n_raw}, out + n);
    return out;
}
