/*
 * signed - the cost of a signed postback: microseconds of one core, the median of several
 * rounds, and how often OpenSSL allocates.
 *
 *   signed
 */
#include <openssl/crypto.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/attr.h"
#include "base/clock.h"
#include "signature/apple.h"

enum { TURNS = 2000, ROUNDS = 9 };

/* Documented by Apple, with its signatures. */
static const char skadnetwork[] =
    "{\"version\":\"4.0\",\"ad-network-id\":\"com.example\",\"source-identifier\":"
    "\"5239\","
    "\"app-id\":525463029,\"transaction-id\":\"6aafb7a5-0170-41b5-bbe4-fe71dedf1e30\","
    "\"redownload\":false,\"source-domain\":\"example.com\",\"fidelity-type\":1,"
    "\"did-win\":true,\"conversion-value\":63,\"postback-sequence-index\":0,"
    "\"attribution-signature\":\"MEUCIGRmSMrqedNu6uaHyhVcifs118R5z/"
    "AB6cvRaKrRRHWRAiEAv96ne3dKQ5kJpbsfk4eYiePmrZUU6sQmo+7zfP/1Bxo=\"}";
static const char jws[] =
    "{\"jws-string\":"
    "\"eyJraWQiOiJhcHBsZS1kZXZlbG9wbWVudC1pZGVudGlmaWVyXC8xIiwiYWxnIjoiRV"
    "MyNTYifQ."
    "eyJwb3N0YmFjay1pZGVudGlmaWVyIjoiODU1NDZFQjctRkQzOS00NEJDLTg5OTAtQzk4QTRBQzM"
    "2QTQ5IiwicHVibGlzaGVyLWl0ZW0taWRlbnRpZmllciI6MCwibWFya2V0cGxhY2UtaWRlbnRpZmllciI6I"
    "m"
    "NvbS5hcHBsZS5BcHBTdG9yZSIsImltcHJlc3Npb24tdHlwZSI6ImFwcC1pbXByZXNzaW9uIiwiYWQtbmV0"
    "d2"
    "9yay1pZGVudGlmaWVyIjoiZGV2ZWxvcG1lbnQuYWRhdHRyaWJ1dGlvbmtpdCIsImRpZC13aW4iOnRydWUs"
    "In"
    "Bvc3RiYWNrLXNlcXVlbmNlLWluZGV4IjowLCJjb252ZXJzaW9uLXR5cGUiOiJyZS1lbmdhZ2VtZW50Iiwi"
    "c2"
    "91cmNlLWlkZW50aWZpZXIiOiIxMjM0IiwiYWR2ZXJ0aXNlZC1pdGVtLWlkZW50aWZpZXIiOjEwNzM4MDI3"
    "Nz"
    "U2fQ.bAdNwKd6OfHK9tofvjjua4X_JPcFTxXPQSspD9gZkinw97pY7R1aI-LSjl-oxZZF3_"
    "K2H5JK5TSEBee"
    "4_1U4oQ\",\"conversion-value\":24}";

static unsigned long allocations;

static void *count_malloc(size_t n, const char *file, int line)
{
    (void)file;
    (void)line;
    allocations++;
    return malloc(n);
}

static void *count_realloc(void *p, size_t n, const char *file, int line)
{
    (void)file;
    (void)line;
    allocations++;
    return realloc(p, n);
}

static void count_free(void *p, const char *file, int line)
{
    (void)file;
    (void)line;
    free(p);
}

static int by_value(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;

    return (x > y) - (x < y);
}

static void measure(const char *name, const struct postback_rules *r,
                    struct verifier *v, const char *object, bool good)
{
    struct signature_fault why;
    struct str payload;
    double us[ROUNDS];
    unsigned long before = 0;

    for (int round = 0; round < ROUNDS; round++) {
        uint64_t began = clock_thread_ns();

        before = allocations;
        for (int i = 0; i < TURNS; i++) {
            if (postback_check(r, v, str_of(object), &payload, &why) != good) {
                (void)fprintf(stderr, "%s: %s\n", name, why.message);
                exit(1);
            }
        }
        us[round] = (double)(clock_thread_ns() - began) / 1e3 / TURNS;
    }
    qsort(us, ROUNDS, sizeof *us, by_value);
    printf("%-44s %7.2f us %8.0f/s   %.1f allocations of OpenSSL\n", name,
           us[ROUNDS / 2], 1e6 / us[ROUNDS / 2],
           (double)(allocations - before) / TURNS);
}

static struct verifier *take_keys(struct postback_rules *r)
{
    unsigned n;
    const struct apple_key *list = apple_keys(r->kind, &n);
    const char *why;

    for (unsigned i = 0; i < n; i++) {
        r->pins[i].name = str_of(list[i].name);
        if (!pin_read(str_of(list[i].text), &r->pins[i], &why)) {
            exit(1);
        }
    }
    r->n_pins = n;
    return verifier_new(r->pins, n);
}

int main(void)
{
    struct postback_rules skad = {.kind = POSTBACK_SKADNETWORK, .versions = 0x3C};
    struct postback_rules aak = {.kind = POSTBACK_ADATTRIBUTIONKIT};
    struct verifier *a, *b;
    char forged[sizeof skadnetwork], other[sizeof jws];

    (void)CRYPTO_set_mem_functions(count_malloc, count_realloc, count_free);
    a = take_keys(&skad);
    b = take_keys(&aak);
    memcpy(forged, skadnetwork, sizeof forged);
    *strstr(forged, "5239") = '6';
    memcpy(other, jws, sizeof other);
    strstr(other, "bAdNw")[0] = 'c';
    measure("SKAdNetwork 4.0", &skad, a, skadnetwork, true);
    measure("the same, forged", &skad, a, forged, false);
    measure("AdAttributionKit", &aak, b, jws, true);
    measure("the same, forged", &aak, b, other, false);
    strstr(forged, "attribution-signature")[0] = 'x';
    measure("SKAdNetwork 4.0 without a signature", &skad, a, forged, false);
    verifier_free(a);
    verifier_free(b);
    postback_rules_fini(&skad);
    postback_rules_fini(&aak);
    return 0;
}
