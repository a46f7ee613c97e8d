#include "net/tls_client.h"

#include <openssl/evp.h>
#include <openssl/x509.h>
#include <stdio.h>
#include <string.h>

#include "base/text.h"
#include "base/tls_peer.h"
#include "net/tls_pair.h"

/* The subject in RFC 2253's form. *cut: out may lack its end. */
static void show_subject(const X509 *x, char *out, size_t room, bool *cut)
{
    BIO *b = BIO_new(BIO_s_mem());
    char *text = NULL;
    long n;

    if (b != NULL && X509_NAME_print_ex(
                         b, X509_get_subject_name(x), 0,
                         XN_FLAG_RFC2253 & ~(unsigned long)ASN1_STRFLGS_ESC_MSB) >= 0) {
        n = BIO_get_mem_data(b, &text);
        (void)text_z(TEXT_LINE, (struct str){text, n > 0 ? (size_t)n : 0}, out, room);
    }
    BIO_free(b);
    *cut = strlen(out) + 5 > room; /* a character of UTF-8 may have lacked the room */
}

static void show_fingerprint(const X509 *x, char *out)
{
    unsigned char digest[EVP_MAX_MD_SIZE];
    unsigned n = 0;

    if (X509_digest(x, EVP_sha256(), digest, &n) == 1) {
        for (unsigned i = 0; i < n; i++) {
            (void)snprintf(out + 2 * (size_t)i, 3, "%02x", digest[i]);
        }
    }
}

/* Of the authority at the end of the chain, whose certificate the listener has itself:
 * one below it could have been given any name by another authority. False: the session
 * was resumed. */
static bool show_authority(SSL *ssl, char *out, size_t room, bool *cut)
{
    const STACK_OF(X509) *chain = SSL_get0_verified_chain(ssl);
    int n = sk_X509_num(chain);

    if (n > 0) {
        show_subject(sk_X509_value(chain, n - 1), out, room, cut);
    }
    return n > 0;
}

static void read_ticket(SSL *ssl, struct tls_peer *peer)
{
    void *name = NULL;
    size_t n = 0;

    peer->authority_cut = true;
    if (SSL_SESSION_get0_ticket_appdata(SSL_get_session(ssl), &name, &n) == 1 &&
        n > 0 && n < sizeof peer->authority) {
        memcpy(peer->authority, name, n);
        peer->authority[n] = '\0';
        peer->authority_cut = false;
    }
}

void tls_client_note(SSL *ssl, struct tls_peer *peer)
{
    const X509 *x = SSL_get0_peer_certificate(ssl);

    if (x == NULL) {
        return;
    }
    show_subject(x, peer->subject, sizeof peer->subject, &peer->subject_cut);
    show_fingerprint(x, peer->fingerprint);
    peer->expires_s = tls_pair_seconds(X509_get0_notAfter(x));
    if (!show_authority(ssl, peer->authority, sizeof peer->authority,
                        &peer->authority_cut)) {
        read_ticket(ssl, peer);
    }
}

int tls_client_into_ticket(SSL *ssl, void *arg)
{
    char name[TLS_SUBJECT_BYTES] = "";
    bool cut = true;

    (void)arg;
    if (SSL_get0_peer_certificate(ssl) != NULL &&
        show_authority(ssl, name, sizeof name, &cut) && !cut) {
        (void)SSL_SESSION_set1_ticket_appdata(SSL_get_session(ssl), name, strlen(name));
    }
    return 1; /* a ticket, whatever it has */
}
