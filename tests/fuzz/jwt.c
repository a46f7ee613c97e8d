/* Any bytes as a token, as a JWK set, and as header and claims that a good key signs: no
 * crash; a token that no key has signed is never good; one that is good has claims that
 * cJSON reads alike. */
#include <cjson/cJSON.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "decode/scan.h"
#include "signature/jwt.h"

#include "unit/signature/keys.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

enum { NOW = 1700000000 };

/* RFC 7515, A.1 to A.3; RFC 8037, A.2. */
static const char set[] =
    "{\"keys\":[{\"kty\":\"oct\",\"kid\":\"h\",\"k\":"
    "\"AyM1SysPpbyDfgZld3umj1qzKObwVMkoqQ-"
    "EstJQLr_T-1qS0gZH75aKtMN3Yj0iPS4hcgUuTwjAzZr1Z9CAow\"},"
    "{\"kty\":\"RSA\",\"kid\":\"r\",\"n\":\"ofgWCuLjybRlzo0tZWJjNiuSfb4p4fAkd_"
    "wWJcyQoTbji9k"
    "0l8W26mPddxHmfHQp-Vaw-4qPCJrcS2mJPMEzP1Pt0Bm4d4QlL-yRT-SFd2lZS-pCgNMsD1W_"
    "YpRPEwOWvG6"
    "b32690r2jZ47soMZo9wGzjb_7OMg0LOL-bSf63kpaSHSXndS5z5rexMdbBYUsLA9e-KXBdQOS-"
    "UTo7WTBEMa"
    "2R2CapHg665xsmtdVMTBQY4uDZlxvb3qCo5ZwKh9kG4LT6_I5IhlJH7aGhyxXFvUK-DWNmoudF8NAco9_"
    "h9i"
    "aGNj8q2ethFkMLs91kzk2PAcDTW9gb54h4FRWyuXpoQ\",\"e\":\"AQAB\"},"
    "{\"kty\":\"EC\",\"kid\":\"e\",\"crv\":\"P-256\",\"x\":"
    "\"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8"
    "Tus9uPHvRVEU\",\"y\":\"x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0\"},"
    "{\"kty\":\"OKP\",\"kid\":\"d\",\"crv\":\"Ed25519\",\"x\":\"11qYAYKxCrfVS_"
    "7TyWQHOg7hcvPa"
    "piMlrwIaaPcHURo\"}]}";

static struct jwt_rules rules;
static struct jwt_verifier *verifier;

static void check(bool good)
{
    if (!good) {
        abort();
    }
}

static bool read_set(const char *p, size_t n, struct jwks *out)
{
    char *text = calloc(1, n + SCAN_PAD);
    struct err e;
    bool good;

    memcpy(text, p, n);
    good = jwks_read((struct str){text, n}, out, &e);
    free(text);
    return good;
}

static bool is_good(const char *p, size_t n)
{
    char *text = malloc(n > 0 ? n : 1);
    struct signature_fault why;
    bool good;

    memcpy(text, p, n);
    good = jwt_check(verifier, (struct str){text, n}, NOW, &why);
    check(good || (why.code != NULL && why.message != NULL));
    if (good) {
        struct str value;

        (void)jwt_claim(verifier, (struct str){text, n}, STR("sub"), &value);
    }
    free(text);
    return good;
}

/* Header, a line end and claims, with a signature of the first key. */
static void check_signed(struct str header, struct str claims)
{
    static char token[32768], text[8192];
    unsigned char digest[HMAC_BYTES];
    struct str input = {token, 0};
    const cJSON *exp;
    cJSON *json;
    size_t n;

    n = key_url(header, token);
    token[n++] = '.';
    n += key_url(claims, token + n);
    input.n = n;
    hmac_sign(&rules.keys.keys[0].secret, &input, 1, digest);
    token[n++] = '.';
    n += key_url((struct str){(char *)digest, sizeof digest}, token + n);
    if (!is_good(token, n)) {
        return;
    }
    memcpy(text, header.p, header.n);
    json = cJSON_ParseWithLength(text, header.n);
    check(json != NULL);
    check(cJSON_IsString(cJSON_GetObjectItemCaseSensitive(json, "alg")) &&
          strcmp(cJSON_GetObjectItemCaseSensitive(json, "alg")->valuestring, "HS256") ==
              0);
    cJSON_Delete(json);
    memcpy(text, claims.p, claims.n);
    json = cJSON_ParseWithLength(text, claims.n);
    check(json != NULL);
    exp = cJSON_GetObjectItemCaseSensitive(json, "exp");
    check(cJSON_IsNumber(exp) && exp->valuedouble > NOW);
    cJSON_Delete(json);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    const char *p = (const char *)data + 1, *end;
    struct jwks other;

    if (verifier == NULL) {
        rules.algs = (1u << JWS_ALGS) - 1;
        check(read_set(set, sizeof set - 1, &rules.keys));
        verifier = jwt_verifier_new(&rules);
    }
    if (n == 0 || n > 4096) {
        return 0;
    }
    n--;
    switch (data[0] % 3) {
    case 0:
        check(!is_good(p, n));
        break;
    case 1:
        end = n == 0 ? NULL : memchr(p, '\n', n);
        if (end != NULL) {
            check_signed((struct str){p, (size_t)(end - p)},
                         (struct str){end + 1, n - (size_t)(end + 1 - p)});
        }
        break;
    default:
        if (read_set(p, n, &other)) {
            check(other.n > 0);
            jwks_fini(&other);
        }
        break;
    }
    return 0;
}
