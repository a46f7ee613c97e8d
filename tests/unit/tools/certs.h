/* certs.h: certificates and keys for tests, as PEM files of a folder.
 *
 * Behind cmocka.h. Thread: any. Errors: fail the test. */
#pragma once

#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { CERTS_DAY_S = 86400, CERTS_PATH = 128 };

struct certs_made {
    X509 *cert;
    EVP_PKEY *key;
    char cert_path[CERTS_PATH], key_path[CERTS_PATH];
};

struct certs_wish {
    const char *name;            /* of the files, and the common name */
    const char *hosts;           /* "DNS:a.example,DNS:*.b.example"; NULL: none */
    const struct certs_made *by; /* the issuer; NULL: itself */
    int rsa_bits;                /* 0: P-256 */
    int rsa_primes;              /* 0: 2; more make a large key quickly */
    const char *usage;           /* "serverAuth"; NULL: for all */
    int to_s;                    /* from now; 0: to_days */
    int from_days, to_days;      /* from today; 0 and 0: from yesterday for a year */
    bool ca, sha1;
};

static inline char *certs_folder(void)
{
    char *dir = strdup("/tmp/sluice-certs-XXXXXX");

    assert_non_null(mkdtemp(dir));
    return dir;
}

static inline void certs_write_cert(const char *path, X509 *first, X509 *second)
{
    FILE *f = fopen(path, "w");

    assert_non_null(f);
    assert_int_equal(1, PEM_write_X509(f, first));
    if (second != NULL) {
        assert_int_equal(1, PEM_write_X509(f, second));
    }
    assert_int_equal(0, fclose(f));
}

static inline void certs_write_key(const char *path, EVP_PKEY *key)
{
    FILE *f = fopen(path, "w");

    assert_non_null(f);
    assert_int_equal(1, PEM_write_PrivateKey(f, key, NULL, NULL, 0, NULL, NULL));
    assert_int_equal(0, fclose(f));
}

static inline void certs_extend_by(X509 *x, X509 *by, int nid, const char *value)
{
    X509V3_CTX ctx;
    X509_EXTENSION *ext;

    X509V3_set_ctx_nodb(&ctx);
    X509V3_set_ctx(&ctx, by, x, NULL, NULL, 0);
    ext = X509V3_EXT_conf_nid(NULL, &ctx, nid, value);
    assert_non_null(ext);
    assert_int_equal(1, X509_add_ext(x, ext, -1));
    X509_EXTENSION_free(ext);
}

static inline void certs_extend(X509 *x, int nid, const char *value)
{
    certs_extend_by(x, x, nid, value);
}

static inline EVP_PKEY *certs_rsa(int bits, int primes)
{
    EVP_PKEY_CTX *c = EVP_PKEY_CTX_new_id(EVP_PKEY_RSA, NULL);
    EVP_PKEY *key = NULL;

    assert_int_equal(1, EVP_PKEY_keygen_init(c));
    assert_true(EVP_PKEY_CTX_set_rsa_keygen_bits(c, bits) > 0);
    assert_true(EVP_PKEY_CTX_set_rsa_keygen_primes(c, primes == 0 ? 2 : primes) > 0);
    assert_int_equal(1, EVP_PKEY_generate(c, &key));
    EVP_PKEY_CTX_free(c);
    return key;
}

static inline struct certs_made certs_make(const char *dir, struct certs_wish w)
{
    static long serial = 1;
    struct certs_made m = {.cert = X509_new()};
    X509_NAME *name = X509_NAME_new();

    m.key = w.rsa_bits > 0 ? certs_rsa(w.rsa_bits, w.rsa_primes) : EVP_EC_gen("P-256");
    assert_non_null(m.key);
    (void)snprintf(m.cert_path, sizeof m.cert_path, "%s/%s.pem", dir, w.name);
    (void)snprintf(m.key_path, sizeof m.key_path, "%s/%s.key", dir, w.name);
    (void)X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_UTF8,
                                     (const unsigned char *)w.name, -1, -1, 0);
    (void)X509_set_version(m.cert, 2);
    (void)ASN1_INTEGER_set(X509_get_serialNumber(m.cert), serial++);
    (void)X509_set_subject_name(m.cert, name);
    (void)X509_set_issuer_name(m.cert,
                               w.by == NULL ? name : X509_get_subject_name(w.by->cert));
    (void)X509_gmtime_adj(X509_getm_notBefore(m.cert),
                          (long)CERTS_DAY_S * (w.to_days == 0 ? -1 : w.from_days));
    (void)X509_gmtime_adj(X509_getm_notAfter(m.cert),
                          (long)CERTS_DAY_S * (w.to_days == 0 ? 365 : w.to_days));
    if (w.to_s != 0) {
        (void)X509_gmtime_adj(X509_getm_notAfter(m.cert), w.to_s);
    }
    (void)X509_set_pubkey(m.cert, m.key);
    /* Tells apart issuers of one name. */
    certs_extend(m.cert, NID_subject_key_identifier, "hash");
    certs_extend_by(m.cert, w.by == NULL ? m.cert : w.by->cert,
                    NID_authority_key_identifier, "keyid:always");
    if (w.ca) {
        certs_extend(m.cert, NID_basic_constraints, "critical,CA:TRUE");
    }
    if (w.usage != NULL) {
        certs_extend(m.cert, NID_ext_key_usage, w.usage);
    }
    if (w.hosts != NULL) {
        certs_extend(m.cert, NID_subject_alt_name, w.hosts);
    }
    assert_true(X509_sign(m.cert, w.by == NULL ? m.key : w.by->key,
                          w.sha1 ? EVP_sha1() : EVP_sha256()) > 0);
    X509_NAME_free(name);
    certs_write_cert(m.cert_path, m.cert, NULL);
    certs_write_key(m.key_path, m.key);
    return m;
}

static inline void certs_free(struct certs_made *m)
{
    (void)unlink(m->cert_path);
    (void)unlink(m->key_path);
    X509_free(m->cert);
    EVP_PKEY_free(m->key);
    memset(m, 0, sizeof *m);
}
