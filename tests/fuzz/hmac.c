/* Any bytes as the signature of a web hook, and as a policy's format: no crash; a signature
 * that the secret has not made is never good, and one that it has made always is. */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/base64.h"
#include "signature/hmac_form.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

enum { NOW = 1700000000 };

static void check(bool good)
{
    if (!good) {
        abort();
    }
}

static struct str line(struct str *rest)
{
    const char *end = rest->n == 0 ? NULL : memchr(rest->p, '\n', rest->n);
    struct str s = {rest->p, end == NULL ? rest->n : (size_t)(end - rest->p)};

    rest->p += s.n + (end != NULL);
    rest->n -= s.n + (end != NULL);
    return s;
}

/* In memory of its own, so that the sanitizer sees a byte beyond it. */
static struct str own(struct str s)
{
    char *p = malloc(s.n > 0 ? s.n : 1);

    memcpy(p, s.p, s.n);
    return (struct str){p, s.n};
}

static const struct {
    struct str format, text;
    bool stamp;
} forms[] = {{STR("sha256={hex}"), STR("{body}"), false},
             {STR("{base64}"), STR("{body}"), false},
             {STR("t={timestamp},v1={hex}"), STR("{timestamp}.{body}"), false},
             {STR("v0={hex}"), STR("v0:{timestamp}:{body}"), true}};

/* The header of a good signature of the body. */
static size_t sign(const struct hmac_form *f, struct str stamp, struct str body,
                   char out[256])
{
    struct str parts[HMAC_PARTS_MAX];
    unsigned char digest[HMAC_BYTES];
    char text[96] = "";

    for (unsigned i = 0; i < f->n_parts; i++) {
        parts[i] = f->parts[i].kind == HMAC_BODY    ? body
                   : f->parts[i].kind == HMAC_STAMP ? stamp
                                                    : f->parts[i].text;
    }
    hmac_sign(&f->secrets[0], parts, f->n_parts, digest);
    if (f->base64) {
        (void)base64_write((struct str){(char *)digest, HMAC_BYTES}, text);
    }
    for (int i = 0; i < HMAC_BYTES && !f->base64; i++) {
        (void)snprintf(text + 2 * i, 3, "%02x", digest[i]);
    }
    return (size_t)snprintf(out, 256, "%.*s%.*s%s%.*s%s", (int)f->stamp.n,
                            f->stamp.n > 0 ? f->stamp.p : "",
                            f->list ? (int)stamp.n : 0, stamp.p, f->list ? "," : "",
                            (int)f->prefix.n, f->prefix.p, text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    struct str rest = {(const char *)data, n}, value, stamp, body;
    const struct str now = STR("1700000000");
    struct signature_fault why;
    struct hmac_form f;
    const char *of, *no;
    char good[256];
    unsigned form;

    if (n == 0) {
        return 0;
    }
    form = data[0] % 5;
    rest = (struct str){rest.p + 1, rest.n - 1};
    value = own(line(&rest));
    stamp = own(line(&rest));
    body = own(rest);
    if (form == 4 ? hmac_form_read(value, stamp, data[0] > 127, &f, &of, &no)
                  : hmac_form_read(forms[form].format, forms[form].text,
                                   forms[form].stamp, &f, &of, &no)) {
        f.window_s = 300;
        f.n_secrets = 1;
        hmac_key_init(&f.secrets[0], STR("a secret that the fuzzer does not use"));
        check(!hmac_form_check(&f, &(struct hmac_sent){value, stamp, body}, NOW, &why));
        check(why.code != NULL && why.message != NULL);
        if (form < 4) {
            size_t n_good = sign(&f, now, body, good);

            check(hmac_form_check(&f, &(struct hmac_sent){{good, n_good}, now, body},
                                  NOW, &why));
        }
        hmac_form_fini(&f);
    } else {
        check(form == 4 && of != NULL && no != NULL);
    }
    free((char *)value.p);
    free((char *)stamp.p);
    free((char *)body.p);
    return 0;
}
