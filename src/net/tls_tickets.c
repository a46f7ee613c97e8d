#include "net/tls_tickets.h"

#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/params.h>
#include <openssl/rand.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/mem.h"

enum { NAME_BYTES = 16, SECRET_BYTES = 32 };

static const uint64_t PERIOD_NS = (uint64_t)TLS_TICKET_S * 1000000000u;

struct ticket_key {
    unsigned char name[NAME_BYTES], cipher[SECRET_BYTES], mac[SECRET_BYTES];
    uint64_t since_ns; /* when it began to seal; of the key before: when it ceased */
    bool known;
};

struct tls_tickets {
    atomic_uint refs;
    pthread_mutex_t lock;
    struct ticket_key now, before;
};

static void make_key(struct ticket_key *k, uint64_t now_ns)
{
    k->known = RAND_bytes(k->name, sizeof k->name) == 1 &&
               RAND_priv_bytes(k->cipher, sizeof k->cipher) == 1 &&
               RAND_priv_bytes(k->mac, sizeof k->mac) == 1;
    k->since_ns = now_ns;
}

struct tls_tickets *tls_tickets_new(void)
{
    struct tls_tickets *t = mem_zalloc(sizeof *t);

    atomic_init(&t->refs, 1);
    (void)pthread_mutex_init(&t->lock, NULL);
    make_key(&t->now, clock_mono_ns());
    return t;
}

struct tls_tickets *tls_tickets_ref(struct tls_tickets *t)
{
    (void)atomic_fetch_add(&t->refs, 1);
    return t;
}

void tls_tickets_unref(struct tls_tickets *t)
{
    if (t != NULL && atomic_fetch_sub(&t->refs, 1) == 1) {
        (void)pthread_mutex_destroy(&t->lock);
        OPENSSL_cleanse(t, sizeof *t);
        free(t);
    }
}

/* The lock is held. */
static void rotate(struct tls_tickets *t, uint64_t now_ns)
{
    t->before = t->now;
    t->before.since_ns = now_ns;
    make_key(&t->now, now_ns);
}

void tls_tickets_rotate(struct tls_tickets *t, uint64_t now_ns)
{
    (void)pthread_mutex_lock(&t->lock);
    rotate(t, now_ns);
    (void)pthread_mutex_unlock(&t->lock);
}

/* The lock is held. A key that nobody asked for in two periods opens nothing. */
static void refresh(struct tls_tickets *t, uint64_t now_ns)
{
    if (now_ns - t->now.since_ns >= PERIOD_NS) {
        bool stale = now_ns - t->now.since_ns >= 2 * PERIOD_NS;

        rotate(t, now_ns);
        if (stale) {
            OPENSSL_cleanse(&t->before, sizeof t->before);
        }
    }
    if (t->before.known && now_ns - t->before.since_ns >= PERIOD_NS) {
        OPENSSL_cleanse(&t->before, sizeof t->before);
    }
}

static bool has_name(const struct ticket_key *k, const unsigned char *name)
{
    return k->known && CRYPTO_memcmp(k->name, name, NAME_BYTES) == 0;
}

static bool set_mac(EVP_MAC_CTX *mac, struct ticket_key *k)
{
    char digest[] = "SHA256";
    OSSL_PARAM params[] = {
        OSSL_PARAM_construct_octet_string(OSSL_MAC_PARAM_KEY, k->mac, sizeof k->mac),
        OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST, digest, 0),
        OSSL_PARAM_construct_end()};

    return EVP_MAC_CTX_set_params(mac, params) == 1;
}

static int seal(struct ticket_key *k, unsigned char *name, unsigned char *iv,
                EVP_CIPHER_CTX *cipher, EVP_MAC_CTX *mac)
{
    if (!k->known) {
        return 0; /* no randomness: no ticket */
    }
    memcpy(name, k->name, NAME_BYTES);
    return RAND_bytes(iv, EVP_CIPHER_get_iv_length(EVP_aes_256_cbc())) == 1 &&
                   EVP_EncryptInit_ex(cipher, EVP_aes_256_cbc(), NULL, k->cipher, iv) ==
                       1 &&
                   set_mac(mac, k)
               ? 1
               : -1;
}

int tls_tickets_seal(struct tls_tickets *t, uint64_t now_ns, unsigned char name[16],
                     unsigned char *iv, EVP_CIPHER_CTX *cipher, EVP_MAC_CTX *mac,
                     int seals)
{
    struct ticket_key k;
    bool goes = false;
    int rc = -1;

    (void)pthread_mutex_lock(&t->lock);
    refresh(t, now_ns);
    k = t->now;
    if (!seals && !has_name(&k, name)) {
        k = t->before;
        goes = true;
    }
    (void)pthread_mutex_unlock(&t->lock);
    if (seals) {
        rc = seal(&k, name, iv, cipher, mac);
    } else if (!has_name(&k, name)) {
        rc = 0;
    } else if (EVP_DecryptInit_ex(cipher, EVP_aes_256_cbc(), NULL, k.cipher, iv) == 1 &&
               set_mac(mac, &k)) {
        rc = goes ? 2 : 1;
    }
    OPENSSL_cleanse(&k, sizeof k);
    return rc;
}

/* ---- another process ---- */

/* The same bytes in every version that has this form; ages, because clocks differ. */
struct wire_key {
    uint64_t age_ns;
    unsigned char name[NAME_BYTES], cipher[SECRET_BYTES], mac[SECRET_BYTES];
};

struct wire {
    uint32_t form, n_keys; /* the key that seals is the first */
    struct wire_key keys[2];
};
_Static_assert(sizeof(struct wire) == TLS_TICKETS_BYTES, "the form is fixed");

enum { FORM = 0x7c4b0001 };

static void pack_key(struct wire_key *w, const struct ticket_key *k, uint64_t now_ns)
{
    w->age_ns = now_ns - k->since_ns;
    memcpy(w->name, k->name, sizeof w->name);
    memcpy(w->cipher, k->cipher, sizeof w->cipher);
    memcpy(w->mac, k->mac, sizeof w->mac);
}

void tls_tickets_pack(struct tls_tickets *t, uint64_t now_ns,
                      unsigned char out[TLS_TICKETS_BYTES])
{
    struct wire w = {.form = FORM};

    (void)pthread_mutex_lock(&t->lock);
    refresh(t, now_ns);
    if (t->now.known) {
        pack_key(&w.keys[w.n_keys++], &t->now, now_ns);
    }
    if (t->now.known && t->before.known) {
        pack_key(&w.keys[w.n_keys++], &t->before, now_ns);
    }
    (void)pthread_mutex_unlock(&t->lock);
    memcpy(out, &w, sizeof w);
    OPENSSL_cleanse(&w, sizeof w);
}

/* A key that is older than this machine's clock is as old as can be. */
static void unpack_key(struct ticket_key *k, const struct wire_key *w, uint64_t now_ns)
{
    memcpy(k->name, w->name, sizeof k->name);
    memcpy(k->cipher, w->cipher, sizeof k->cipher);
    memcpy(k->mac, w->mac, sizeof k->mac);
    k->since_ns = now_ns > w->age_ns ? now_ns - w->age_ns : 0;
    k->known = true;
}

bool tls_tickets_unpack(struct tls_tickets *t, uint64_t now_ns,
                        const unsigned char in[TLS_TICKETS_BYTES])
{
    struct wire w;
    bool good;

    memcpy(&w, in, sizeof w);
    good = w.form == FORM && w.n_keys > 0 && w.n_keys <= 2;
    if (good) {
        (void)pthread_mutex_lock(&t->lock);
        OPENSSL_cleanse(&t->before, sizeof t->before);
        unpack_key(&t->now, &w.keys[0], now_ns);
        if (w.n_keys == 2) {
            unpack_key(&t->before, &w.keys[1], now_ns);
        }
        (void)pthread_mutex_unlock(&t->lock);
    }
    OPENSSL_cleanse(&w, sizeof w);
    return good;
}
