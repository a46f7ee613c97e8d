/* SHA-256 by the functions of 1.1, for EVP's allocate at each digest. */
#define OPENSSL_API_COMPAT 0x10100000L
#include "signature/verifier.h"

#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/sha.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

struct verifier {
    uint32_t n;
    EVP_PKEY_CTX *contexts[];
};

struct verifier *verifier_new(const struct pin *pins, uint32_t n)
{
    struct verifier *v = mem_zalloc(sizeof *v + n * sizeof v->contexts[0]);

    v->n = n;
    for (uint32_t i = 0; i < n; i++) {
        v->contexts[i] = EVP_PKEY_CTX_new(pins[i].key, NULL);
        if (v->contexts[i] == NULL || EVP_PKEY_verify_init(v->contexts[i]) != 1 ||
            EVP_PKEY_CTX_set_signature_md(v->contexts[i], EVP_sha256()) != 1) {
            verifier_free(v);
            ERR_clear_error();
            return NULL;
        }
    }
    return v;
}

void verifier_free(struct verifier *v)
{
    for (uint32_t i = 0; v != NULL && i < v->n; i++) {
        EVP_PKEY_CTX_free(v->contexts[i]);
    }
    free(v);
}

void verifier_digest(struct str text, unsigned char out[VERIFIER_DIGEST_BYTES])
{
    SHA256_CTX c;

    (void)SHA256_Init(&c);
    (void)SHA256_Update(&c, text.p, text.n);
    (void)SHA256_Final(out, &c);
}

bool verifier_check(struct verifier *v, uint32_t pin,
                    const unsigned char digest[VERIFIER_DIGEST_BYTES], struct str der)
{
    /* -1 is an error, such as a signature that is no DER. */
    bool good = der.n > 0 && der.n <= VERIFIER_DER_MAX &&
                EVP_PKEY_verify(v->contexts[pin], (const unsigned char *)der.p, der.n,
                                digest, VERIFIER_DIGEST_BYTES) == 1;

    if (!good) {
        ERR_clear_error();
    }
    return good;
}

/* One number of 32 bytes as DER's INTEGER; returns after it. */
static unsigned char *put_integer(const unsigned char *number, unsigned char *out)
{
    size_t zeros = 0, n;

    while (zeros < 31 && number[zeros] == 0) {
        zeros++;
    }
    n = 32 - zeros;
    *out++ = 2;
    if (number[zeros] >= 0x80) { /* else it would be negative */
        *out++ = (unsigned char)(n + 1);
        *out++ = 0;
    } else {
        *out++ = (unsigned char)n;
    }
    memcpy(out, number + zeros, n);
    return out + n;
}

size_t verifier_der(const unsigned char raw[64], unsigned char out[VERIFIER_DER_MAX])
{
    unsigned char *end = put_integer(raw + 32, put_integer(raw, out + 2));

    out[0] = 0x30;
    out[1] = (unsigned char)(end - out - 2);
    return (size_t)(end - out);
}
