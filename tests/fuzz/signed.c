/* Any bytes as a postback, a JWS, a pinned key and a signature; and postbacks that an own
 * key has signed, then altered by one byte: no crash; none of the first is good, no
 * altered JWS, and of the altered postbacks those whose signed text is the same. */
#include <openssl/ec.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "decode/scan.h"
#include "decode/walk.h"
#include "signature/jws.h"
#include "unit/signature/keys.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

enum { ROOM = 64 << 10, ALL_VERSIONS = (1 << SKAD_VERSIONS) - 1 };

static struct arena arena;
static struct event_batch batch;
static EVP_PKEY *keys[2]; /* P-256, P-192 */
static struct postback_rules skad = {.kind = POSTBACK_SKADNETWORK,
                                     .versions = ALL_VERSIONS};
static struct postback_rules kit = {.kind = POSTBACK_ADATTRIBUTIONKIT};
static struct verifier *verifiers[2]; /* of skad and of kit */
static char text[ROOM], object[ROOM], altered[ROOM];

static void check(bool good)
{
    if (!good) {
        abort();
    }
}

static void start(void)
{
    arena_init(&arena, 16 << 20);
    event_batch_init(&batch, &arena);
    keys[0] = EVP_EC_gen("P-256");
    keys[1] = EVP_EC_gen("P-192");
    for (unsigned i = 0; i < 2; i++) {
        skad.pins[i] = key_pin(keys[i], "own");
    }
    skad.n_pins = 2;
    kit.pins[0] = key_pin(keys[0], "own/0");
    kit.n_pins = 1;
    verifiers[0] = verifier_new(skad.pins, 2);
    verifiers[1] = verifier_new(kit.pins, 1);
    check(verifiers[0] != NULL && verifiers[1] != NULL);
}

/* Of exactly its size and what the scanner may read after it. */
static char *copy_of(struct str s)
{
    char *copy = malloc(s.n + SCAN_PAD);

    memcpy(copy, s.p, s.n);
    memset(copy + s.n, '"', SCAN_PAD);
    return copy;
}

static bool is_event(const char *p, size_t n)
{
    static const struct scan_limits limits = {1, 64};
    struct scan_error se;

    return scan_body(&batch, NULL, SCAN_EVENT, &limits, p, n, &se) == SCAN_OK &&
           batch.events[0].fate == EVENT_ACCEPT;
}

static bool is_known(const struct signature_fault *why)
{
    static const char *const codes[] = {"bad_postback", "bad_signature", "unsigned",
                                        "unknown_version", "unknown_key"};

    for (unsigned i = 0; i < sizeof codes / sizeof codes[0]; i++) {
        if (strcmp(why->code, codes[i]) == 0) {
            return why->message != NULL;
        }
    }
    return false;
}

/* Whether s is an event with a good signature. *payload: of a JWS, in text. */
static bool is_good(const struct postback_rules *r, struct str s, struct str *payload)
{
    struct signature_fault why = {NULL, NULL, NULL};
    char *copy = copy_of(s);
    bool good = false;

    *payload = (struct str){NULL, 0};
    if (is_event(copy, s.n)) {
        const struct event *ev = &batch.events[0];
        struct str event = {batch.body + ev->off, ev->len};

        good = postback_check(r, verifiers[r == &kit], event, payload, &why);
        check(good || (is_known(&why) && why.field != NULL));
        if (good && r == &kit) {
            check(payload->p >= event.p && payload->n < event.n);
            memcpy(text, payload->p, payload->n);
            payload->p = text;
        }
    }
    free(copy);
    return good;
}

/* What is signed of the event s; false: it is no postback. */
static bool signed_text(struct str s, struct skad_postback *out)
{
    struct signature_fault why;
    char *copy = copy_of(s);
    bool good = false;

    if (is_event(copy, s.n)) {
        const struct event *ev = &batch.events[0];

        good = skad_read((struct str){batch.body + ev->off, ev->len}, ALL_VERSIONS, out,
                         &why);
        check(!good || (out->n <= SKAD_TEXT_MAX && out->n_signature <= 72));
    }
    free(copy);
    return good;
}

/* The object s with a signature before its last brace. */
static size_t with_signature(struct str s, const char *letters)
{
    while (s.n > 0 && s.p[s.n - 1] != '}') {
        s.n--;
    }
    return s.n == 0 ? 0
                    : (size_t)sprintf(object, "%.*s,\"attribution-signature\":\"%s\"}",
                                      (int)s.n - 1, s.p, letters);
}

static size_t alter(const uint8_t *how, size_t n)
{
    memcpy(altered, object, n);
    altered[(how[0] | (unsigned)how[1] << 8) % n] ^= (char)(how[2] | (how[2] == 0));
    return n;
}

/* how: three bytes, which byte is altered and how. */
static void sign_postback(const uint8_t *how, struct str s)
{
    struct skad_postback p, q;
    struct str payload;
    unsigned char der[80];
    char letters[160];
    size_t n = with_signature(s, "AAAA");

    if (n == 0 || memchr(s.p, '\0', s.n) != NULL ||
        !signed_text((struct str){object, n}, &p)) {
        return;
    }
    n = key_sign(keys[skad_curve(p.version)], (struct str){p.text, p.n}, der);
    letters[base64_write((struct str){(const char *)der, n}, letters)] = '\0';
    n = with_signature(s, letters);
    check(is_good(&skad, (struct str){object, n}, &payload));
    n = alter(how, n);
    if (is_good(&skad, (struct str){altered, n}, &payload)) {
        check(signed_text((struct str){altered, n}, &q) && q.n == p.n &&
              memcmp(q.text, p.text, p.n) == 0);
    }
}

/* claims, signed by the key of the pin, in one member of an object. */
static size_t write_jws(struct str claims, size_t *at)
{
    static const char header[] = "{\"kid\":\"own/0\",\"alg\":\"ES256\"}";
    unsigned char der[80], raw[64];
    size_t from = (size_t)sprintf(object, "{\"jws-string\":\""), n = from;

    n += key_url((struct str){header, sizeof header - 1}, object + n);
    object[n++] = '.';
    *at = n;
    n += key_url(claims, object + n);
    key_raw(der, key_sign(keys[0], (struct str){object + from, n - from}, der), raw);
    object[n++] = '.';
    n += key_url((struct str){(const char *)raw, 64}, object + n);
    return n + (size_t)sprintf(object + n, "\"}");
}

static void sign_jws(const uint8_t *how, struct str claims)
{
    struct str payload;
    size_t at, n;

    if (claims.n == 0) {
        return;
    }
    n = write_jws(claims, &at);
    check(is_good(&kit, (struct str){object, n}, &payload) &&
          memcmp(payload.p, object + at, payload.n) == 0 &&
          object[at + payload.n] == '.');
    n = alter(how, n);
    check(!is_good(&kit, (struct str){altered, n}, &payload));
}

/* The bytes as a JWS that stands alone. */
static void read_jws(struct str s)
{
    struct signature_fault why = {NULL, NULL, NULL};
    char *copy = copy_of(s);
    struct jws j;

    if (jws_read((struct str){copy, s.n}, &j, &why)) {
        check(j.n_kid <= JWS_KID_MAX && j.input.p == copy && j.input.n < s.n &&
              j.payload.p + j.payload.n == j.input.p + j.input.n);
    } else {
        check(is_known(&why) && why.field == NULL);
    }
    free(copy);
}

static void read_pin(struct str s)
{
    const char *why = NULL;
    char *copy = copy_of(s);
    struct pin p;

    if (pin_read((struct str){copy, s.n}, &p, &why)) {
        check(p.key != NULL && (p.curve == PIN_P256 || p.curve == PIN_P192));
        pin_fini(&p);
    } else {
        check(p.key == NULL && why != NULL);
    }
    free(copy);
}

/* The bytes as r and s, which OpenSSL reads from our DER again; and as DER of any kind. */
static void read_signature(struct str s)
{
    static const unsigned char digest[VERIFIER_DIGEST_BYTES] = {1};
    unsigned char raw[64] = {0}, back[64], der[VERIFIER_DER_MAX];
    size_t n;

    memcpy(raw, s.p, s.n < 64 ? s.n : 64);
    n = verifier_der(raw, der);
    check(n <= sizeof der);
    key_raw(der, n, back);
    check(memcmp(raw, back, sizeof raw) == 0);
    check(!verifier_check(verifiers[0], 0, digest, s));
    check(!verifier_check(verifiers[0], 1, digest, s));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    struct str s, payload;

    if (batch.events == NULL) {
        start();
    }
    if (n < 4) {
        return 0;
    }
    s = (struct str){(const char *)data + 4, n - 4};
    switch (data[0] % 7) {
    case 0:
        check(!is_good(&skad, s, &payload));
        break;
    case 1:
        check(!is_good(&kit, s, &payload));
        break;
    case 2:
        read_jws(s);
        break;
    case 3:
        read_pin(s);
        break;
    case 4:
        read_signature(s);
        break;
    case 5:
        sign_postback(data + 1, s);
        break;
    default:
        sign_jws(data + 1, s);
        break;
    }
    return 0;
}
