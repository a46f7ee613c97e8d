/* SHA-256 (FIPS 180-4) and HMAC (RFC 2104) by OpenSSL, whose context is made once
 * a state: a digest allocates nothing. */
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "policy/tools.h"

enum { DIGEST_BYTES = 32, BLOCK_BYTES = 64 };

struct digest {
    EVP_MD *sha256;
    EVP_MD_CTX *context;
};

struct digest *digest_new(void)
{
    struct digest *d = mem_zalloc(sizeof *d);

    d->sha256 = EVP_MD_fetch(NULL, "SHA256", NULL);
    d->context = EVP_MD_CTX_new();
    /* The first use allocates what the later ones keep. */
    if (d->context != NULL && d->sha256 != NULL) {
        (void)EVP_DigestInit_ex(d->context, d->sha256, NULL);
    }
    return d;
}

void digest_free(struct digest *d)
{
    if (d != NULL) {
        EVP_MD_CTX_free(d->context);
        EVP_MD_free(d->sha256);
        free(d);
    }
}

/* Of a and b together. */
static bool sha256(struct digest *d, struct str a, struct str b,
                   unsigned char out[DIGEST_BYTES])
{
    return EVP_DigestInit_ex(d->context, d->sha256, NULL) == 1 &&
           EVP_DigestUpdate(d->context, a.p, a.n) == 1 &&
           EVP_DigestUpdate(d->context, b.p, b.n) == 1 &&
           EVP_DigestFinal_ex(d->context, out, NULL) == 1;
}

static void give_hex(struct tools *t, const unsigned char *bytes,
                     struct sluice_value *out)
{
    static const char digits[] = "0123456789abcdef";

    for (int i = 0; i < DIGEST_BYTES; i++) {
        t->scratch[2 * i] = digits[bytes[i] >> 4];
        t->scratch[2 * i + 1] = digits[bytes[i] & 15];
    }
    out->text = t->scratch;
    out->len = 2 * DIGEST_BYTES;
}

int sluice_sha256(struct sluice_context *c, const char *p, size_t n,
                  struct sluice_value *out)
{
    struct tools *t = tools_of(c);
    unsigned char bytes[DIGEST_BYTES];

    if (!sha256(t->digest, (struct str){p, n}, STR(""), bytes)) {
        return 0;
    }
    give_hex(t, bytes, out);
    return 1;
}

int sluice_hmac(struct sluice_context *c, const char *key, size_t k,
                const char *p, size_t n, struct sluice_value *out)
{
    struct tools *t = tools_of(c);
    unsigned char inner[BLOCK_BYTES] = {0}, outer[BLOCK_BYTES];
    unsigned char bytes[DIGEST_BYTES];
    const struct str in = {(const char *)inner, BLOCK_BYTES};
    const struct str ex = {(const char *)outer, BLOCK_BYTES};
    const struct str sum = {(const char *)bytes, DIGEST_BYTES};

    if (k <= BLOCK_BYTES) {
        memcpy(inner, key, k);
    } else if (!sha256(t->digest, (struct str){key, k}, STR(""), inner)) {
        return 0;
    }
    for (int i = 0; i < BLOCK_BYTES; i++) {
        outer[i] = inner[i] ^ 0x5C;
        inner[i] ^= 0x36;
    }
    if (!sha256(t->digest, in, (struct str){p, n}, bytes) ||
        !sha256(t->digest, ex, sum, bytes)) {
        return 0;
    }
    give_hex(t, bytes, out);
    return 1;
}

int sluice_equal(const char *a, size_t n, const char *b, size_t k)
{
    return n == k && CRYPTO_memcmp(a, b, n) == 0;
}
