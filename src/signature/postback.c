#include "signature/postback.h"

#include <string.h>

#include "decode/walk.h"
#include "signature/jws.h"

static const char no_key[] = "no pinned key has made this signature for these values";

void postback_rules_fini(struct postback_rules *r)
{
    for (uint32_t i = 0; i < r->n_pins; i++) {
        pin_fini(&r->pins[i]);
    }
}

static bool fault(struct signature_fault *why, const char *code, const char *field,
                  const char *message)
{
    *why = (struct signature_fault){code, field, message};
    return false;
}

static bool check_skadnetwork(const struct postback_rules *r, struct verifier *v,
                              struct str object, struct signature_fault *why)
{
    unsigned char digest[VERIFIER_DIGEST_BYTES];
    struct skad_postback p;

    if (!skad_read(object, r->versions, &p, why)) {
        return false;
    }
    verifier_digest((struct str){p.text, p.n}, digest);
    for (uint32_t i = 0; i < r->n_pins; i++) {
        if (r->pins[i].curve == skad_curve(p.version) &&
            verifier_check(v, i, digest, (struct str){p.signature, p.n_signature})) {
            return true;
        }
    }
    return fault(why, "bad_signature", "attribution-signature", no_key);
}

static bool check_jws(const struct postback_rules *r, struct verifier *v,
                      struct str object, struct str *payload,
                      struct signature_fault *why)
{
    static const struct str name = STR("jws-string");
    unsigned char digest[VERIFIER_DIGEST_BYTES], der[VERIFIER_DER_MAX];
    struct member m;
    struct walk w;
    struct jws jws;
    bool found = false;
    size_t n;

    walk_start(&w, object);
    while (!found && walk_next(&w, &m)) {
        found = walk_is(&m, name);
    }
    if (!found) {
        return fault(why, "unsigned", name.p, "is missing");
    }
    if (m.kind != SLOT_STRING) {
        return fault(why, "bad_signature", name.p, "expected a text without escapes");
    }
    if (!jws_read((struct str){m.value.p + 1, m.value.n - 2}, &jws, why)) {
        why->field = name.p;
        return false;
    }
    n = verifier_der(jws.raw, der);
    for (uint32_t i = 0; i < r->n_pins; i++) {
        if (!str_eq(r->pins[i].name, (struct str){jws.kid, jws.n_kid})) {
            continue;
        }
        verifier_digest(jws.input, digest);
        *payload = jws.payload;
        return verifier_check(v, i, digest, (struct str){(const char *)der, n}) ||
               fault(why, "bad_signature", name.p,
                     "the key that its kid names has not made this signature");
    }
    return fault(why, "unknown_key", name.p, "its kid names no pinned key");
}

bool postback_check(const struct postback_rules *r, struct verifier *v,
                    struct str object, struct str *payload, struct signature_fault *why)
{
    return r->kind == POSTBACK_SKADNETWORK ? check_skadnetwork(r, v, object, why)
                                           : check_jws(r, v, object, payload, why);
}
