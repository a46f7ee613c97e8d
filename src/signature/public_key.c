#include "signature/public_key.h"

#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/param_build.h>
#include <openssl/rsa.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "signature/verifier.h"

/* ---- keys ---- */

static EVP_PKEY *key_of(const char *kind, OSSL_PARAM_BLD *b)
{
    EVP_PKEY_CTX *c = EVP_PKEY_CTX_new_from_name(NULL, kind, NULL), *check = NULL;
    OSSL_PARAM *params = OSSL_PARAM_BLD_to_param(b);
    EVP_PKEY *key = NULL;

    if (c != NULL && params != NULL && EVP_PKEY_fromdata_init(c) == 1 &&
        EVP_PKEY_fromdata(c, &key, EVP_PKEY_PUBLIC_KEY, params) == 1) {
        check = EVP_PKEY_CTX_new(key, NULL);
        if (check == NULL || EVP_PKEY_public_check(check) != 1) {
            EVP_PKEY_free(key);
            key = NULL;
        }
    }
    EVP_PKEY_CTX_free(check);
    EVP_PKEY_CTX_free(c);
    OSSL_PARAM_free(params);
    ERR_clear_error();
    return key;
}

struct evp_pkey_st *public_key_rsa(struct str n, struct str e)
{
    BIGNUM *modulus = BN_bin2bn((const unsigned char *)n.p, (int)n.n, NULL);
    BIGNUM *exponent = BN_bin2bn((const unsigned char *)e.p, (int)e.n, NULL);
    OSSL_PARAM_BLD *b = OSSL_PARAM_BLD_new();
    EVP_PKEY *key = NULL;

    /* An even modulus or exponent, or 1, is no key; the check of OpenSSL allows some. */
    if (modulus != NULL && exponent != NULL && b != NULL && BN_is_odd(modulus) &&
        BN_is_odd(exponent) && !BN_is_one(exponent) &&
        OSSL_PARAM_BLD_push_BN(b, OSSL_PKEY_PARAM_RSA_N, modulus) == 1 &&
        OSSL_PARAM_BLD_push_BN(b, OSSL_PKEY_PARAM_RSA_E, exponent) == 1) {
        key = key_of("RSA", b);
    }
    OSSL_PARAM_BLD_free(b);
    BN_free(modulus);
    BN_free(exponent);
    return key;
}

struct evp_pkey_st *public_key_p256(const char *x, const char *y)
{
    unsigned char point[65] = {4}; /* uncompressed */
    OSSL_PARAM_BLD *b = OSSL_PARAM_BLD_new();
    EVP_PKEY *key = NULL;

    memcpy(point + 1, x, 32);
    memcpy(point + 33, y, 32);
    if (b != NULL &&
        OSSL_PARAM_BLD_push_utf8_string(b, OSSL_PKEY_PARAM_GROUP_NAME, "P-256", 0) ==
            1 &&
        OSSL_PARAM_BLD_push_octet_string(b, OSSL_PKEY_PARAM_PUB_KEY, point,
                                         sizeof point) == 1) {
        key = key_of("EC", b);
    }
    OSSL_PARAM_BLD_free(b);
    return key;
}

/* Points of a small order, by y without the sign of x: anybody can write a signature that
 * such a key accepts, and OpenSSL takes them. */
static bool is_small(const char *x)
{
    static const char eighth[2][33] = {
        "\x26\xe8\x95\x8f\xc2\xb2\x27\xb0\x45\xc3\xf4\x89\xf2\xef\x98\xf0"
        "\xd5\xdf\xac\x05\xd3\xc6\x33\x39\xb1\x38\x02\x88\x6d\x53\xfc\x05",
        "\xc7\x17\x6a\x70\x3d\x4d\xd8\x4f\xba\x3c\x0b\x76\x0d\x10\x67\x0f"
        "\x2a\x20\x53\xfa\x2c\x39\xcc\xc6\x4e\xc7\xfd\x77\x92\xac\x03\x7a"};
    unsigned char y[32], middle;
    bool flat = true;

    memcpy(y, x, sizeof y);
    y[31] &= 0x7F;
    middle = y[1];
    for (unsigned i = 1; i < 31; i++) {
        flat = flat && y[i] == middle;
    }
    return (flat && middle == 0 && y[31] == 0 && y[0] <= 1) ||          /* 0, 1 */
           (flat && middle == 0xFF && y[31] == 0x7F && y[0] >= 0xEC) || /* -1 … */
           memcmp(y, eighth[0], sizeof y) == 0 || memcmp(y, eighth[1], sizeof y) == 0;
}

struct evp_pkey_st *public_key_ed25519(const char *x)
{
    EVP_PKEY *key = is_small(x)
                        ? NULL
                        : EVP_PKEY_new_raw_public_key(EVP_PKEY_ED25519, NULL,
                                                      (const unsigned char *)x, 32);

    ERR_clear_error();
    return key;
}

void public_key_free(struct evp_pkey_st *k)
{
    EVP_PKEY_free(k);
}

/* ---- signatures ---- */

struct checker {
    enum jws_alg alg;
    EVP_PKEY *key;
    EVP_PKEY_CTX *context; /* RS256, ES256 */
    EVP_MD_CTX *whole;     /* EdDSA, which signs no digest */
};

struct checker *checker_new(enum jws_alg alg, struct evp_pkey_st *key)
{
    struct checker *c = mem_zalloc(sizeof *c);
    bool good;

    c->alg = alg;
    c->key = key;
    if (alg == JWS_EDDSA) {
        c->whole = EVP_MD_CTX_new();
        good = c->whole != NULL;
    } else {
        c->context = EVP_PKEY_CTX_new(key, NULL);
        good = c->context != NULL && EVP_PKEY_verify_init(c->context) == 1 &&
               (alg != JWS_RS256 ||
                EVP_PKEY_CTX_set_rsa_padding(c->context, RSA_PKCS1_PADDING) == 1) &&
               EVP_PKEY_CTX_set_signature_md(c->context, EVP_sha256()) == 1;
    }
    if (!good) {
        checker_free(c);
        ERR_clear_error();
        return NULL;
    }
    return c;
}

void checker_free(struct checker *c)
{
    if (c != NULL) {
        EVP_PKEY_CTX_free(c->context);
        EVP_MD_CTX_free(c->whole);
        free(c);
    }
}

static bool check_whole(struct checker *c, struct str text, struct str signature)
{
    return EVP_DigestVerifyInit(c->whole, NULL, NULL, NULL, c->key) == 1 &&
           EVP_DigestVerify(c->whole, (const unsigned char *)signature.p, signature.n,
                            (const unsigned char *)text.p, text.n) == 1;
}

bool checker_check(struct checker *c, struct str text, struct str signature)
{
    unsigned char digest[VERIFIER_DIGEST_BYTES], der[VERIFIER_DER_MAX];
    bool good;

    if (c->alg == JWS_EDDSA) {
        good = check_whole(c, text, signature);
    } else if (c->alg == JWS_ES256 && signature.n != JWS_RAW_BYTES) {
        good = false;
    } else {
        if (c->alg == JWS_ES256) {
            signature.n = verifier_der((const unsigned char *)signature.p, der);
            signature.p = (const char *)der;
        }
        verifier_digest(text, digest);
        good = EVP_PKEY_verify(c->context, (const unsigned char *)signature.p,
                               signature.n, digest, sizeof digest) == 1;
    }
    if (!good) {
        ERR_clear_error();
    }
    return good;
}
