/* By the functions of OpenSSL 1.1: EVP's allocate at each digest. */
#define OPENSSL_API_COMPAT 0x10100000L
#include "signature/hmac.h"

#include <openssl/crypto.h>
#include <openssl/sha.h>
#include <string.h>

_Static_assert(HMAC_BYTES == SHA256_DIGEST_LENGTH, "SHA-256");
_Static_assert(HMAC_BLOCK_BYTES == SHA256_CBLOCK, "its block");

void hmac_key_init(struct hmac_key *k, struct str secret)
{
    SHA256_CTX c;

    memset(k->block, 0, sizeof k->block);
    if (secret.n <= sizeof k->block) {
        memcpy(k->block, secret.p, secret.n);
        return;
    }
    (void)SHA256_Init(&c);
    (void)SHA256_Update(&c, secret.p, secret.n);
    (void)SHA256_Final(k->block, &c);
    OPENSSL_cleanse(&c, sizeof c);
}

void hmac_key_fini(struct hmac_key *k)
{
    OPENSSL_cleanse(k, sizeof *k);
}

/* Begins a digest with the key's block, each byte of it changed by pad. */
static void start(SHA256_CTX *c, const struct hmac_key *k, unsigned char pad)
{
    unsigned char block[HMAC_BLOCK_BYTES];

    for (unsigned i = 0; i < HMAC_BLOCK_BYTES; i++) {
        block[i] = k->block[i] ^ pad;
    }
    (void)SHA256_Init(c);
    (void)SHA256_Update(c, block, sizeof block);
    OPENSSL_cleanse(block, sizeof block);
}

void hmac_sign(const struct hmac_key *k, const struct str *parts, unsigned n,
               unsigned char out[HMAC_BYTES])
{
    SHA256_CTX c;

    start(&c, k, 0x36);
    for (unsigned i = 0; i < n; i++) {
        (void)SHA256_Update(&c, parts[i].p, parts[i].n);
    }
    (void)SHA256_Final(out, &c);
    start(&c, k, 0x5C);
    (void)SHA256_Update(&c, out, HMAC_BYTES);
    (void)SHA256_Final(out, &c);
    OPENSSL_cleanse(&c, sizeof c);
}

bool hmac_equal(const unsigned char a[HMAC_BYTES], const unsigned char b[HMAC_BYTES])
{
    return CRYPTO_memcmp(a, b, HMAC_BYTES) == 0;
}
