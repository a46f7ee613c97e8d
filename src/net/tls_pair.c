#include "net/tls_pair.h"

#include <errno.h>
#include <fcntl.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/err.h"
#include "base/mem.h"
#include "base/read.h"

enum {
    FILE_MAX = 1 << 20,
    RSA_LEAST_BITS = 2048,
    EC_LEAST_BITS = 256,
    DATE_BYTES = 24
};

char *tls_pair_file(const char *path, const char *what, size_t *n, struct err *e)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    struct stat st;
    char *text = NULL;
    ssize_t got;

    if (fd < 0 || fstat(fd, &st) != 0) {
        (void)err_errno(e, errno, "can't read the %s \"%s\"", what, path);
    } else if (!S_ISREG(st.st_mode) || st.st_size > FILE_MAX) {
        (void)err_set(e, "the %s \"%s\" is not a file of at most 1 MiB", what, path);
    } else {
        text = mem_alloc((size_t)st.st_size + 1);
        got = read_at(fd, text, (size_t)st.st_size, 0);
        if (got < 0) {
            (void)err_errno(e, errno, "can't read the %s \"%s\"", what, path);
            free(text);
            text = NULL;
        } else {
            text[got] = '\0';
            *n = (size_t)got;
        }
    }
    if (fd >= 0) {
        (void)close(fd);
    }
    return text;
}

/* sluice has no terminal to ask on. */
static int no_passphrase(char *out, int room, int writes, void *arg)
{
    (void)out;
    (void)room;
    (void)writes;
    (void)arg;
    return -1;
}

STACK_OF(X509) *
    tls_pair_certificates(const char *path, const char *what, struct err *e)
{
    STACK_OF(X509) *list = NULL;
    size_t n;
    char *text = tls_pair_file(path, what, &n, e);
    BIO *in = text == NULL ? NULL : BIO_new_mem_buf(text, (int)n);
    bool good = false;
    X509 *x;

    if (in == NULL) {
        free(text);
        return NULL;
    }
    list = sk_X509_new_null();
    ERR_clear_error();
    while ((x = PEM_read_bio_X509(in, NULL, no_passphrase, NULL)) != NULL) {
        (void)sk_X509_push(list, x);
    }
    if (ERR_GET_REASON(ERR_peek_last_error()) != PEM_R_NO_START_LINE) {
        (void)err_set(e,
                      "the %s \"%s\" is damaged or half written: number %d in it is "
                      "not readable",
                      what, path, sk_X509_num(list) + 1);
    } else if (sk_X509_num(list) == 0) {
        (void)err_set(e,
                      "the %s \"%s\" holds no certificate; expected PEM with BEGIN "
                      "CERTIFICATE",
                      what, path);
    } else {
        good = true;
    }
    ERR_clear_error();
    BIO_free(in);
    free(text);
    if (!good) {
        sk_X509_pop_free(list, X509_free);
        list = NULL;
    }
    return list;
}

static EVP_PKEY *read_key(const char *path, struct err *e)
{
    size_t n;
    char *text = tls_pair_file(path, "key", &n, e);
    BIO *in = text == NULL ? NULL : BIO_new_mem_buf(text, (int)n);
    EVP_PKEY *key = NULL;

    if (in != NULL) {
        key = PEM_read_bio_PrivateKey(in, NULL, no_passphrase, NULL);
        if (key == NULL && strstr(text, "ENCRYPTED") != NULL) {
            (void)err_set(e,
                          "the key \"%s\" is encrypted; expected one without a "
                          "passphrase, because a server can't ask for it",
                          path);
        } else if (key == NULL && strstr(text, "PRIVATE KEY-----") != NULL) {
            (void)err_set(e, "the key \"%s\" is damaged or half written", path);
        } else if (key == NULL) {
            (void)err_set(e,
                          "the key \"%s\" holds no private key; expected PEM with "
                          "BEGIN PRIVATE KEY",
                          path);
        }
    }
    ERR_clear_error();
    BIO_free(in);
    if (text != NULL) {
        OPENSSL_cleanse(text, n);
        free(text);
    }
    return key;
}

int64_t tls_pair_seconds(const ASN1_TIME *t)
{
    struct tm tm;

    return ASN1_TIME_to_tm(t, &tm) == 1 ? (int64_t)timegm(&tm) : 0;
}

/* The kind and the size of the key, and the digest that its issuer signed. */
static bool strong(const struct tls_pair *p, const char *cert, struct err *e)
{
    int bits = EVP_PKEY_get_bits(p->key), digest = NID_undef, sign_bits = 0;

    if (p->type == EVP_PKEY_RSA && bits < RSA_LEAST_BITS) {
        return err_set(e,
                       "the certificate \"%s\" has an RSA key of %d bits; expected at "
                       "least %d",
                       cert, bits, RSA_LEAST_BITS);
    }
    if (p->type == EVP_PKEY_EC && bits < EC_LEAST_BITS) {
        return err_set(e,
                       "the certificate \"%s\" has an elliptic curve of %d bits; "
                       "expected P-256 or P-384",
                       cert, bits);
    }
    if (p->type != EVP_PKEY_RSA && p->type != EVP_PKEY_EC &&
        p->type != EVP_PKEY_ED25519) {
        return err_set(e,
                       "the certificate \"%s\" has a key that TLS can't use here; "
                       "expected ECDSA, RSA or Ed25519",
                       cert);
    }
    if (X509_get_signature_info(p->leaf, &digest, NULL, &sign_bits, NULL) == 1 &&
        (digest == NID_sha1 || digest == NID_md5 || digest == NID_md5_sha1)) {
        return err_set(e,
                       "the certificate \"%s\" is signed with %s; expected SHA-256 or "
                       "better",
                       cert, OBJ_nid2sn(digest));
    }
    return true;
}

bool tls_pair_read(struct tls_pair *p, const char *cert, const char *key, struct err *e)
{
    *p = (struct tls_pair){0};
    p->chain = tls_pair_certificates(cert, "certificate", e);
    if (p->chain == NULL) {
        return false;
    }
    p->leaf = sk_X509_shift(p->chain);
    p->key = read_key(key, e);
    if (p->key == NULL) {
        tls_pair_fini(p);
        return false;
    }
    p->type = EVP_PKEY_get_base_id(p->key);
    p->from_s = tls_pair_seconds(X509_get0_notBefore(p->leaf));
    p->to_s = tls_pair_seconds(X509_get0_notAfter(p->leaf));
    if (X509_check_private_key(p->leaf, p->key) != 1) {
        ERR_clear_error();
        (void)err_set(e, "the key \"%s\" does not belong to the certificate \"%s\"",
                      key, cert);
    } else if (strong(p, cert, e)) {
        return true;
    }
    tls_pair_fini(p);
    return false;
}

void tls_pair_fini(struct tls_pair *p)
{
    X509_free(p->leaf);
    sk_X509_pop_free(p->chain, X509_free);
    EVP_PKEY_free(p->key);
    *p = (struct tls_pair){0};
}

bool tls_pair_late(const struct tls_pair *p, const char *cert, int64_t now_s,
                   struct err *e)
{
    bool early = now_s < p->from_s;
    time_t t = (time_t)(early ? p->from_s : p->to_s);
    char date[DATE_BYTES];
    struct tm tm;

    if (!early && now_s <= p->to_s) {
        return false;
    }
    (void)gmtime_r(&t, &tm);
    (void)strftime(date, sizeof date, "%Y-%m-%d %H:%M UTC", &tm);
    (void)err_set(e,
                  early ? "the certificate \"%s\" is not valid before %s"
                        : "the certificate \"%s\" expired on %s",
                  cert, date);
    return true;
}
