/* Key pairs of the tests' own, and what they sign. */
#pragma once

#include <assert.h>
#include <openssl/bn.h>
#include <openssl/ec.h>
#include <openssl/ecdsa.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <stdlib.h>
#include <string.h>

#include "base/base64.h"
#include "signature/postback.h"

/* The public half as base64 of its DER. */
static inline void key_text(EVP_PKEY *key, char out[512])
{
    unsigned char *der = NULL;
    int n = i2d_PUBKEY(key, &der);

    out[base64_write((struct str){(const char *)der, (size_t)n}, out)] = '\0';
    OPENSSL_free(der);
}

static inline struct pin key_pin(EVP_PKEY *key, const char *name)
{
    struct pin p = {.name = {name, strlen(name)}};
    const char *why;
    char text[512];

    key_text(key, text);
    if (!pin_read(str_of(text), &p, &why)) {
        abort();
    }
    return p;
}

/* DER of the signature; its length. */
static inline size_t key_sign(EVP_PKEY *key, struct str text, unsigned char out[80])
{
    EVP_MD_CTX *c = EVP_MD_CTX_new();
    size_t n = 80;

    if (EVP_DigestSignInit(c, NULL, EVP_sha256(), NULL, key) != 1 ||
        EVP_DigestSign(c, out, &n, (const unsigned char *)text.p, text.n) != 1) {
        abort();
    }
    EVP_MD_CTX_free(c);
    return n;
}

/* The signature with r and s as f makes them. */
static inline size_t key_resign(const unsigned char *der, size_t n,
                                void (*f)(BIGNUM *r, BIGNUM *s), unsigned char out[160])
{
    ECDSA_SIG *sig = d2i_ECDSA_SIG(NULL, &der, (long)n);
    BIGNUM *r = BN_dup(ECDSA_SIG_get0_r(sig)), *s = BN_dup(ECDSA_SIG_get0_s(sig));
    unsigned char *p = out;
    int length;

    f(r, s);
    (void)ECDSA_SIG_set0(sig, r, s);
    length = i2d_ECDSA_SIG(sig, &p);
    ECDSA_SIG_free(sig);
    return (size_t)length;
}

/* r and s, 32 bytes each. */
static inline void key_raw(const unsigned char *der, size_t n, unsigned char out[64])
{
    ECDSA_SIG *sig = d2i_ECDSA_SIG(NULL, &der, (long)n);

    (void)BN_bn2binpad(ECDSA_SIG_get0_r(sig), out, 32);
    (void)BN_bn2binpad(ECDSA_SIG_get0_s(sig), out + 32, 32);
    ECDSA_SIG_free(sig);
}

/* base64url without padding; NUL-terminated. */
static inline size_t key_url(struct str s, char *out)
{
    size_t n = base64_write(s, out);

    while (n > 0 && out[n - 1] == '=') {
        n--;
    }
    for (size_t i = 0; i < n; i++) {
        out[i] = out[i] == '+' ? '-' : out[i] == '/' ? '_' : out[i];
    }
    out[n] = '\0';
    return n;
}
