/* SHA-256 (FIPS 180-4) and HMAC (RFC 2104). */
#include <openssl/crypto.h>
#include <string.h>

#include "policy/library/tools.h"
#include "signature/hmac.h"
#include "signature/verifier.h"

enum { DIGEST_BYTES = HMAC_BYTES };

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

    verifier_digest((struct str){p, n}, bytes);
    give_hex(t, bytes, out);
    return 1;
}

int sluice_hmac(struct sluice_context *c, const char *key, size_t k, const char *p,
                size_t n, struct sluice_value *out)
{
    const struct str text = {p, n};
    struct tools *t = tools_of(c);
    unsigned char bytes[DIGEST_BYTES];
    struct hmac_key secret;

    hmac_key_init(&secret, (struct str){key, k});
    hmac_sign(&secret, &text, 1, bytes);
    hmac_key_fini(&secret);
    give_hex(t, bytes, out);
    return 1;
}

int sluice_equal(const char *a, size_t n, const char *b, size_t k)
{
    return n == k && CRYPTO_memcmp(a, b, n) == 0;
}
