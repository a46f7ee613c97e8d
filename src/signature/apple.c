/* As Apple's documentation gives them: "Verifying an install-validation postback" and the
 * release notes of SKAdNetwork 1 and 2, "Verifying a postback" of AdAttributionKit. */
#include "signature/apple.h"

#include <stddef.h>

#include "base/attr.h"

#define PRODUCTION                                                                     \
    "MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEWdp8GPcGqmhgzEFj9Z2nSpQVddayaPe4FMzqM9wib1+a" \
    "HaaIzoHoLN9zW4K8y4SPykE3YVK3sVqW6Af0lfx3gg=="

static const struct apple_key skadnetwork[] = {
    {"apple/p-256", PRODUCTION, false},
    {"apple/p-192",
     "MEkwEwYHKoZIzj0CAQYIKoZIzj0DAQEDMgAEMyHD625uvsmGq4C43cQ9BnfN2xslVT5V1nOmAMP6qaRR"
     "Ull3PB1JYmgSm+62sosG",
     false},
};

static const struct apple_key adattributionkit[] = {
    {"apple-cas-identifier/0", PRODUCTION, false},
    {"apple-development-identifier/0",
     "MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAELeEDzpJEP+/qRSE5hJVC1p1J0ssUnQGMzBBbvnACBok8"
     "OVGGLgxL0myrKiy6lvRtSlLRsWit87i+vftD8AEqeQ==",
     true},
    {"apple-development-identifier/1",
     "MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAE8YzdO7eM97s/IJ25kdW5CZ3A14USE5IJ5Ha/vhWaxI6U"
     "BI1ZxCEvjrKxVluVGe6qWwF1BDFq+QHqKfH5u+wxHQ==",
     true},
};

const struct apple_key *apple_keys(enum postback_kind kind, unsigned *n)
{
    *n = kind == POSTBACK_SKADNETWORK ? (unsigned)N_ELEMS(skadnetwork)
                                      : (unsigned)N_ELEMS(adattributionkit);
    return kind == POSTBACK_SKADNETWORK ? skadnetwork : adattributionkit;
}
