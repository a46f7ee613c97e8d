#include "policy/run/auth_signed.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "signature/hmac_form.h"
#include "signature/jwt.h"

/* What a code of a fault is in the counters. */
static enum auth_reason reason_of(const char *code)
{
    static const struct {
        const char *code;
        enum auth_reason reason;
    } list[] = {{"unsigned", AUTH_MISSING},      {"expired", AUTH_EXPIRED},
                {"expired_token", AUTH_EXPIRED}, {"early_token", AUTH_CLAIMS},
                {"wrong_issuer", AUTH_CLAIMS},   {"wrong_audience", AUTH_CLAIMS},
                {"unknown_key", AUTH_UNKNOWN}};

    for (size_t i = 0; i < N_ELEMS(list); i++) {
        if (strcmp(code, list[i].code) == 0) {
            return list[i].reason;
        }
    }
    return AUTH_SIGNATURE;
}

struct jwt_verifier *auth_verifier(struct policy_state *s, const struct auth_method *m)
{
    struct jwt_verifier **v;

    if (s->jwts == NULL) {
        s->jwts = mem_zalloc(s->policy->plan->secrets->n_jwts * sizeof *s->jwts);
    }
    v = &s->jwts[m->jwt_index];
    if (*v == NULL) {
        *v = jwt_verifier_new(m->jwt);
    }
    return *v;
}

void auth_signed_fini(struct policy_state *s)
{
    for (uint32_t i = 0; s->jwts != NULL && i < s->policy->plan->secrets->n_jwts; i++) {
        jwt_verifier_free(s->jwts[i]);
    }
    free(s->jwts);
    s->jwts = NULL;
}

enum auth_reason auth_by_token(struct policy_state *s, const struct auth_method *m,
                               struct str token, struct policy_request *req,
                               struct signature_fault *why)
{
    struct jwt_verifier *v = auth_verifier(s, m);

    if (v == NULL) {
        return AUTH_UNREADABLE;
    }
    if (!jwt_check(v, token, (int64_t)(req->time_ms / 1000), why)) {
        return reason_of(why->code);
    }
    req->jwt = v;
    req->token = token;
    return AUTH_OK;
}

enum auth_reason auth_by_hmac(const struct auth_method *m,
                              const struct policy_request *req, struct str body,
                              struct signature_fault *why)
{
    const struct hmac_sent sent = {
        .value = request_raw(req, "", REQUEST_HEADER, m->name),
        .stamp = m->stamp.n == 0 ? (struct str){NULL, 0}
                                 : request_raw(req, "", REQUEST_HEADER, m->stamp),
        .body = body};

    return hmac_form_check(m->hmac, &sent, (int64_t)(req->time_ms / 1000), why)
               ? AUTH_OK
               : reason_of(why->code);
}
