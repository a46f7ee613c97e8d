/* Apple's keys, and the postbacks of SKAdNetwork that it documents with them. */
#include "signature/apple.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "signature/verifier.h"

static const char *const documented[] = {
    "{\"version\":\"4.0\",\"ad-network-id\":\"com.example\",\"source-identifier\":"
    "\"5239\","
    "\"app-id\":525463029,\"transaction-id\":\"6aafb7a5-0170-41b5-bbe4-fe71dedf1e30\","
    "\"redownload\":false,\"source-domain\":\"example.com\",\"fidelity-type\":1,"
    "\"did-win\":true,\"conversion-value\":63,\"postback-sequence-index\":0,"
    "\"attribution-signature\":\"MEUCIGRmSMrqedNu6uaHyhVcifs118R5z/"
    "AB6cvRaKrRRHWRAiEAv96ne3dKQ5kJpbsfk4eYiePmrZUU6sQmo+7zfP/1Bxo=\"}",
    "{\"version\":\"3.0\",\"ad-network-id\":\"example123.skadnetwork\",\"campaign-id\":"
    "42,"
    "\"transaction-id\":\"6aafb7a5-0170-41b5-bbe4-fe71dedf1e28\",\"app-id\":525463029,"
    "\"attribution-signature\":\"MEYCIQD5eq3AUlamORiGovqFiHWI4RZT/"
    "PrM3VEiXUrsC+M51wIhAPMANZ"
    "A9c07raZJ64gVaXhB9+9yZj/X6DcNxONdccQij\",\"redownload\":true,\"source-app-id\":"
    "1234567891,\"fidelity-type\":1,\"conversion-value\":20,\"did-win\":true}",
    "{\"version\":\"3.0\",\"ad-network-id\":\"example123.skadnetwork\",\"campaign-id\":"
    "42,"
    "\"transaction-id\":\"f9ac267a-a889-44ce-b5f7-0166d11461f0\",\"app-id\":525463029,"
    "\"attribution-signature\":\"MEUCIQDDetUtkyc/"
    "MiQvVJ5I6HIO1E7l598572Wljot2Onzd4wIgVJLzVc"
    "yAV+TXksGNoa0DTMXEPgNPeHCmD4fw1ABXX0g=\",\"redownload\":true,\"fidelity-type\":1,"
    "\"did-win\":false}",
    "{\"version\":\"2.2\",\"ad-network-id\":\"com.example\",\"campaign-id\":42,"
    "\"transaction-id\":\"6aafb7a5-0170-41b5-bbe4-fe71dedf1e28\",\"app-id\":525463029,"
    "\"attribution-signature\":\"MEYCIQDTuQ1Z4Tpy9D3aEKbxLl5J5iKiTumcqZikuY/"
    "AOD2U7QIhAJAaiA"
    "v89AoquHXJffcieEQXdWHpcV8ZgbKN0EwV9\\/sY\",\"redownload\":true,\"source-app-id\":"
    "1234567891,\"fidelity-type\":1,\"conversion-value\":20}",
    "{\"version\":\"2.1\",\"ad-network-id\":\"com.example\",\"campaign-id\":42,"
    "\"transaction-id\":\"6aafb7a5-0170-41b5-bbe4-fe71dedf1e28\",\"app-id\":525463029,"
    "\"attribution-signature\":\"MEUCID6rbq3qt4GvFaAaynh5/"
    "LAcvn1d8CQTRhrZhLIxLKntAiEAo7Irvo"
    "Mw6u2qDg6Tr5vIsEHXjlLkPlCOL0ojJcEh3Qw=\",\"redownload\":true,\"source-app-id\":"
    "1234567891,\"conversion-value\":20}",
};

static void documented_postbacks_are_good(void **state)
{
    struct postback_rules rules = {.kind = POSTBACK_SKADNETWORK, .versions = 0x3F};
    const struct apple_key *list = apple_keys(rules.kind, &rules.n_pins);
    struct signature_fault why;
    struct verifier *v;
    struct str payload;

    (void)state;
    assert_int_equal(2, rules.n_pins);
    for (unsigned i = 0; i < rules.n_pins; i++) {
        assert_true(pin_read(str_of(list[i].text), &rules.pins[i], &why.message));
    }
    v = verifier_new(rules.pins, rules.n_pins);
    for (size_t i = 0; i < sizeof documented / sizeof *documented; i++) {
        if (!postback_check(&rules, v, str_of(documented[i]), &payload, &why)) {
            fail_msg("%s %s: %s", why.code, why.message, documented[i]);
        }
    }
    verifier_free(v);
    postback_rules_fini(&rules);
}

static void each_key_of_a_jws_has_its_own_kid(void **state)
{
    unsigned n;
    const struct apple_key *list = apple_keys(POSTBACK_ADATTRIBUTIONKIT, &n);
    const char *why;

    (void)state;
    assert_int_equal(3, n);
    for (unsigned i = 0; i < n; i++) {
        struct pin p;

        assert_true(pin_read(str_of(list[i].text), &p, &why));
        assert_int_equal(PIN_P256, p.curve);
        assert_int_equal(i > 0, list[i].development);
        for (unsigned k = 0; k < i; k++) {
            assert_string_not_equal(list[k].name, list[i].name);
            assert_string_not_equal(list[k].text, list[i].text);
        }
        pin_fini(&p);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(documented_postbacks_are_good),
        cmocka_unit_test(each_key_of_a_jws_has_its_own_kid),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
