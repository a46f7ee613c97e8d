#include "signature/skadnetwork.h"

#include <string.h>

#include "base/base64.h"
#include "decode/scan.h"
#include "decode/walk.h"

/* In the order in which they are signed. */
enum {
    VERSION,
    AD_NETWORK,
    CAMPAIGN,
    SOURCE,
    APP,
    TRANSACTION,
    REDOWNLOAD,
    SOURCE_APP,
    SOURCE_DOMAIN,
    FIDELITY,
    DID_WIN,
    SEQUENCE,
    N_FIELDS,
    SIGNATURE = N_FIELDS,
    N_KEYS
};
enum { SIGNATURE_LETTERS = SKAD_SIGNATURE_MAX / 3 * 4 };
enum kind { TEXT, WHOLE, TRUTH };

static const struct {
    struct str name;
    enum kind kind;
} keys[N_KEYS] = {[VERSION] = {STR("version"), TEXT},
                  [AD_NETWORK] = {STR("ad-network-id"), TEXT},
                  [CAMPAIGN] = {STR("campaign-id"), WHOLE},
                  [SOURCE] = {STR("source-identifier"), TEXT},
                  [APP] = {STR("app-id"), WHOLE},
                  [TRANSACTION] = {STR("transaction-id"), TEXT},
                  [REDOWNLOAD] = {STR("redownload"), TRUTH},
                  [SOURCE_APP] = {STR("source-app-id"), WHOLE},
                  [SOURCE_DOMAIN] = {STR("source-domain"), TEXT},
                  [FIDELITY] = {STR("fidelity-type"), WHOLE},
                  [DID_WIN] = {STR("did-win"), TRUTH},
                  [SEQUENCE] = {STR("postback-sequence-index"), WHOLE},
                  [SIGNATURE] = {STR("attribution-signature"), TEXT}};

#define BIT(x) (1u << (x))
#define V1 (BIT(AD_NETWORK) | BIT(CAMPAIGN) | BIT(APP) | BIT(TRANSACTION))
#define V2 (V1 | BIT(VERSION) | BIT(REDOWNLOAD))
#define V4 (BIT(FIDELITY) | BIT(DID_WIN) | BIT(SEQUENCE) | BIT(SOURCE))

static const struct {
    struct str word; /* what "version" says; version 1 has none */
    enum pin_curve curve;
    unsigned needed, optional;
} versions_known[SKAD_VERSIONS] = {
    [SKAD_1_0] = {STR("1.0"), PIN_P192, V1, 0},
    [SKAD_2_0] = {STR("2.0"), PIN_P192, V2, BIT(SOURCE_APP)},
    [SKAD_2_1] = {STR("2.1"), PIN_P256, V2, BIT(SOURCE_APP)},
    [SKAD_2_2] = {STR("2.2"), PIN_P256, V2 | BIT(FIDELITY), BIT(SOURCE_APP)},
    [SKAD_3_0] = {STR("3.0"), PIN_P256, V2 | BIT(FIDELITY) | BIT(DID_WIN),
                  BIT(SOURCE_APP)},
    [SKAD_4_0] = {STR("4.0"), PIN_P256, (V2 & ~BIT(CAMPAIGN)) | V4,
                  BIT(SOURCE_APP) | BIT(SOURCE_DOMAIN)},
};

bool skad_version_of(struct str word, enum skad_version *out)
{
    for (unsigned i = 0; i < SKAD_VERSIONS; i++) {
        if (str_eq(word, versions_known[i].word)) {
            *out = (enum skad_version)i;
            return true;
        }
    }
    return false;
}

enum pin_curve skad_curve(enum skad_version v)
{
    return versions_known[v].curve;
}

static bool fault(struct signature_fault *why, const char *code, unsigned key,
                  const char *message)
{
    *why =
        (struct signature_fault){code, key < N_KEYS ? keys[key].name.p : NULL, message};
    return false;
}

/* ---- values ---- */

/* A text out of its quotes and escapes to out, which has max bytes. */
static bool text_of(const struct member *m, char *out, size_t max, size_t *n)
{
    struct str s = {m->value.p + 1, m->value.n - 2};
    char room[6 * SKAD_VALUE_MAX];

    if (m->kind == SLOT_STRING && s.n <= max) {
        memcpy(out, s.p, s.n);
        *n = s.n;
        return s.n > 0;
    }
    if (m->kind != SLOT_ESCAPED || s.n > sizeof room) {
        return false;
    }
    *n = scan_unescape(s.p, s.n, room);
    if (*n == 0 || *n > max) {
        return false;
    }
    memcpy(out, room, *n);
    return true;
}

static bool is_digits(const char *p, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        if ((unsigned)(p[i] - '0') > 9) {
            return false;
        }
    }
    return n > 0;
}

/* The value as the signed text has it; its form is the documented one alone, so that
 * what is stored means what was signed. */
static bool put_value(unsigned key, const struct member *m, char *out, size_t *n,
                      struct signature_fault *why)
{
    switch (keys[key].kind) {
    case WHOLE:
        if (m->kind != SLOT_NUMBER || m->value.n > 20 ||
            !is_digits(m->value.p, m->value.n)) {
            return fault(why, "bad_postback", key, "expected a whole number");
        }
        break;
    case TRUTH:
        if (m->kind != SLOT_TRUE && m->kind != SLOT_FALSE) {
            return fault(why, "bad_postback", key, "expected true or false");
        }
        break;
    case TEXT:
        if (!text_of(m, out, SKAD_VALUE_MAX, n)) {
            return fault(why, "bad_postback", key, "expected a text of 1 to 256 bytes");
        }
        if (memmem(out, *n, "\xE2\x81\xA3", 3) != NULL) {
            return fault(why, "bad_postback", key,
                         "has U+2063, which separates the signed values");
        }
        if (key == SOURCE_DOMAIN && is_digits(out, *n)) {
            return fault(why, "bad_postback", key,
                         "is a number, which would be signed as a source-app-id");
        }
        return true;
    }
    memcpy(out, m->value.p, m->value.n);
    *n = m->value.n;
    return true;
}

/* ---- the whole ---- */

static bool find(struct str object, struct member found[N_KEYS], unsigned *there,
                 struct signature_fault *why)
{
    struct walk w;
    struct member m;

    *there = 0;
    walk_start(&w, object);
    while (walk_next(&w, &m)) {
        for (unsigned i = 0; i < N_KEYS; i++) {
            if (!walk_is(&m, keys[i].name)) {
                continue;
            }
            if ((*there & BIT(i)) != 0) {
                return fault(why, "bad_postback", i, "is given twice");
            }
            found[i] = m;
            *there |= BIT(i);
            break;
        }
    }
    return true;
}

static bool read_version(const struct member found[N_KEYS], unsigned there,
                         unsigned versions, enum skad_version *out,
                         struct signature_fault *why)
{
    char word[SKAD_VALUE_MAX];
    size_t n;

    if ((there & BIT(VERSION)) == 0) {
        *out = SKAD_1_0;
    } else if (!text_of(&found[VERSION], word, sizeof word, &n)) {
        return fault(why, "unknown_version", VERSION,
                     "expected a text such as \"4.0\"");
    } else if (!skad_version_of((struct str){word, n}, out) || *out == SKAD_1_0) {
        return fault(why, "unknown_version", VERSION,
                     "is no version whose signed values are known");
    }
    return (versions & BIT(*out)) != 0 ||
           fault(why, "unknown_version", VERSION,
                 "is not among the versions that this route accepts");
}

/* That the version signs what is there, and that all it signs is there. */
static bool check_keys(unsigned there, enum skad_version v, struct signature_fault *why)
{
    unsigned needed = versions_known[v].needed;
    unsigned allowed = needed | versions_known[v].optional;

    for (unsigned i = 0; i < N_FIELDS; i++) {
        if ((needed & ~there & BIT(i)) != 0) {
            return fault(why, "bad_postback", i, "is signed, and is missing");
        }
        if ((there & ~allowed & BIT(i)) != 0) {
            return fault(why, "bad_postback", i, "is not signed in this version");
        }
    }
    return (there & BIT(SOURCE_APP)) == 0 || (there & BIT(SOURCE_DOMAIN)) == 0 ||
           fault(why, "bad_postback", SOURCE_DOMAIN,
                 "stands beside source-app-id, and only one of them is signed");
}

static bool read_signature(const struct member *m, struct skad_postback *out,
                           struct signature_fault *why)
{
    char letters[SIGNATURE_LETTERS];
    size_t n;

    return (text_of(m, letters, sizeof letters, &n) &&
            base64_read((struct str){letters, n}, out->signature, &out->n_signature)) ||
           fault(why, "bad_signature", SIGNATURE,
                 "expected base64 of at most 72 bytes");
}

bool skad_read(struct str object, unsigned versions, struct skad_postback *out,
               struct signature_fault *why)
{
    struct member found[N_KEYS];
    unsigned there;

    if (!find(object, found, &there, why)) {
        return false;
    }
    if ((there & BIT(SIGNATURE)) == 0) {
        return fault(why, "unsigned", SIGNATURE, "is missing");
    }
    if (!read_version(found, there, versions, &out->version, why) ||
        !check_keys(there, out->version, why) ||
        !read_signature(&found[SIGNATURE], out, why)) {
        return false;
    }
    out->n = 0;
    for (unsigned i = 0; i < N_FIELDS; i++) {
        size_t n;

        if ((there & BIT(i)) == 0) {
            continue;
        }
        if (out->n > 0) {
            memcpy(out->text + out->n, "\xE2\x81\xA3", 3);
            out->n += 3;
        }
        if (!put_value(i, &found[i], out->text + out->n, &n, why)) {
            return false;
        }
        out->n += n;
    }
    return true;
}
