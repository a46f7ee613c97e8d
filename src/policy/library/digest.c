/* SHA-256 (FIPS 180-4) and HMAC (RFC 2104). OpenSSL 3's EVP allocates at each
 * digest, which is an event's: so the functions below it, declared as of 1.1. */
#define OPENSSL_API_COMPAT 0x10100000L
#include <openssl/crypto.h>
#include <openssl/sha.h>
#include <string.h>

#include "policy/library/tools.h"

enum { DIGEST_BYTES = SHA256_DIGEST_LENGTH, BLOCK_BYTES = SHA256_CBLOCK };

/* Of a and b together. */
static bool sha256(struct str a, struct str b, unsigned char out[DIGEST_BYTES])
{
    SHA256_CTX c;

    return SHA256_Init(&c) == 1 && SHA256_Update(&c, a.p, a.n) == 1 &&
           SHA256_Update(&c, b.p, b.n) == 1 && SHA256_Final(out, &c) == 1;
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

    if (!sha256((struct str){p, n}, STR(""), bytes)) {
        return 0;
    }
    give_hex(t, bytes, out);
    return 1;
}

int sluice_hmac(struct sluice_context *c, const char *key, size_t k, const char *p,
                size_t n, struct sluice_value *out)
{
    struct tools *t = tools_of(c);
    unsigned char inner[BLOCK_BYTES] = {0}, outer[BLOCK_BYTES];
    unsigned char bytes[DIGEST_BYTES];
    const struct str in = {(const char *)inner, BLOCK_BYTES};
    const struct str ex = {(const char *)outer, BLOCK_BYTES};
    const struct str sum = {(const char *)bytes, DIGEST_BYTES};

    if (k <= BLOCK_BYTES) {
        memcpy(inner, key, k);
    } else if (!sha256((struct str){key, k}, STR(""), inner)) {
        return 0;
    }
    for (int i = 0; i < BLOCK_BYTES; i++) {
        outer[i] = inner[i] ^ 0x5C;
        inner[i] ^= 0x36;
    }
    if (!sha256(in, (struct str){p, n}, bytes) || !sha256(ex, sum, bytes)) {
        return 0;
    }
    give_hex(t, bytes, out);
    return 1;
}

int sluice_equal(const char *a, size_t n, const char *b, size_t k)
{
    return n == k && CRYPTO_memcmp(a, b, n) == 0;
}
