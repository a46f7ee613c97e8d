/*
 * postback - whether an event is a postback that Apple signed: SKAdNetwork's, or
 * AdAttributionKit's. Pure but for OpenSSL's memory; each thread has its own verifier.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/attr.h"
#include "base/str.h"
#include "signature/skadnetwork.h"
#include "signature/verifier.h"

enum { PINS_MAX = 8 }; /* of a route: a forged postback costs a check for each */

enum postback_kind { POSTBACK_SKADNETWORK, POSTBACK_ADATTRIBUTIONKIT };

/* What a route asks of its postbacks. Immutable; owned by the plan. */
struct postback_rules {
    enum postback_kind kind;
    unsigned versions;      /* SKAdNetwork: bit i is enum skad_version i */
    struct str payload_key; /* AdAttributionKit: JSON text, with its quotes */
    struct pin pins[PINS_MAX];
    uint32_t n_pins;
};

void postback_rules_fini(struct postback_rules *r);

/* object: an event that scan_body has checked. AdAttributionKit: *payload is what was
 * signed, in base64url, a view of object. False: *why. */
bool postback_check(const struct postback_rules *r, struct verifier *v,
                    struct str object, struct str *payload,
                    struct signature_fault *why) MUST_USE;
