#include "policy/run/auth.h"

#include <string.h>

#include "plan/client_cert.h"
#include "plan/key_table.h"
#include "policy/library/library.h"
#include "policy/run/auth_signed.h"
#include "policy/run/internal.h"
#include "policy/run/make.h"

static const struct {
    const char *code, *detail;
} words[AUTH_REASONS] = {
    [AUTH_MISSING] = {"missing_key",
                      "this route needs a key, and the request has none"},
    [AUTH_MALFORMED] = {"malformed_key",
                        "the request has a key in a form that can't be read"},
    [AUTH_UNKNOWN] = {"unknown_key", "the key is not known"},
    [AUTH_EXPIRED] = {"expired_key", "the key has expired"},
    [AUTH_DISABLED] = {"disabled_key", "the key is disabled"},
    [AUTH_SIGNATURE] = {"bad_signature", "the signature is not good"},
    [AUTH_CLAIMS] = {"bad_token", "the token is not for this service"},
    [AUTH_UNREADABLE] = {"keys_unreadable", "the server can't read its keys now; send "
                                            "the request again later"},
};

/* Of client_cert { }; code NULL: the words above. */
static const struct signature_fault certificate_faults[AUTH_REASONS] = {
    [AUTH_MISSING] = {"missing_certificate", NULL,
                      "this route needs a client certificate, and the connection has "
                      "none"},
    [AUTH_UNKNOWN] = {"unknown_certificate", NULL,
                      "the client's certificate may not use this route"},
    [AUTH_EXPIRED] = {"expired_certificate", NULL,
                      "the client's certificate has expired; connect with a new one"},
    [AUTH_DISABLED] = {"disabled_certificate", NULL,
                       "the client's certificate is disabled"},
};

_Static_assert(AUTH_ROOM_BYTES >= 3 * KEY_TEXT_MAX, "a key whose bytes are escaped");

/* Why: the reason that helps the client most, of a key that is there rather than of one
 * that is missing. */
struct verdict {
    enum auth_reason why;
    struct signature_fault fault; /* code NULL: the reason's words */
};

static void worse(struct verdict *v, enum auth_reason why, struct signature_fault fault)
{
    if (why > v->why || v->why == AUTH_OK) {
        *v = (struct verdict){why, fault};
    }
}

static bool refuse(const struct auth_plan *a, const struct verdict *v,
                   struct refused *no)
{
    enum auth_reason why = v->why;
    const char *code = v->fault.code != NULL ? v->fault.code : words[why].code;
    const char *detail = v->fault.code != NULL ? v->fault.message : words[why].detail;

    if (why == AUTH_UNREADABLE) {
        (void)make_refuse(no, 503, "Keys unreadable", words[why].code,
                          words[why].detail);
    } else {
        (void)make_refuse(no, 401, "Not authorized", code, detail);
        no->challenge = why == AUTH_MISSING ? a->challenge : a->challenge_wrong;
    }
    no->auth = why;
    return false;
}

/* By the column that the operator has named; bounded by the metric. */
static void count(struct policy_state *s, const struct key_plan *k,
                  const struct csv_table *rows, int32_t row)
{
    struct str label = csv_table_cell(rows, row, k->label);
    int32_t series;

    if (k->label < 0) {
        return;
    }
    series = sluice_series(&s->context, (int32_t)k->metric, k->name, strlen(k->name),
                           label.p == NULL ? "" : label.p, label.n, "", 0);
    sluice_add(&s->context, (int32_t)k->metric, series, 1);
}

void policy_set_key(const struct policy_state *s, uint16_t table, int32_t row,
                    struct policy_request *req)
{
    req->key_table = table;
    req->key_row = row;
    req->key_rows = table == 0 ? NULL : s->policy->tables[table - 1].lookup;
}

/* A method whose credential is a key of a file; digits: text is its SHA-256. */
static enum auth_reason by_key(struct policy_state *s, const struct auth_method *m,
                               struct str text, bool digits, struct policy_request *req)
{
    static const enum auth_reason reasons[] = {[KEY_GOOD] = AUTH_OK,
                                               [KEY_UNKNOWN] = AUTH_UNKNOWN,
                                               [KEY_EXPIRED] = AUTH_EXPIRED,
                                               [KEY_DISABLED] = AUTH_DISABLED,
                                               [KEY_UNREADABLE] = AUTH_UNREADABLE};
    const struct csv_table *rows = s->policy->tables[m->keys->table].lookup;
    int32_t row;
    enum key_state state = (digits ? key_table_find_hex : key_table_find)(
        m->keys, rows, text, (int64_t)req->time_ms, &row);

    if (state == KEY_GOOD) {
        policy_set_key(s, (uint16_t)(m->keys->table + 1), row, req);
        count(s, m->keys, rows, row);
    }
    return reasons[state];
}

void policy_set_auth(struct policy_state *s, const struct route *route, uint8_t auth,
                     struct policy_request *req)
{
    const struct auth_method *m;

    req->auth = auth;
    if (auth == 0 || auth >= REQUEST_SIGNED) {
        return;
    }
    m = &route->auth->methods[auth - 1];
    if (m->kind == AUTH_JWT &&
        auth_credential(m, req, NULL, 0, &req->token) == AUTH_OK) {
        req->jwt = auth_verifier(s, m);
    }
}

/* The handshake has shown that the client has the certificate's private key. */
static enum auth_reason by_certificate(struct policy_state *s,
                                       const struct auth_method *m,
                                       struct policy_request *req,
                                       struct signature_fault *fault)
{
    enum auth_reason r =
        client_cert_check(m->cert, req->tls, (int64_t)(req->time_ms / 1000));

    if (r == AUTH_OK && m->keys != NULL) {
        bool cut = m->cert->by_subject && req->tls->subject_cut;

        r = cut ? AUTH_UNKNOWN
                : by_key(s, m,
                         str_of(m->cert->by_subject ? req->tls->subject
                                                    : req->tls->fingerprint),
                         !m->cert->by_subject, req);
    }
    *fault = certificate_faults[r];
    return r;
}

static enum auth_reason by_head(struct policy_state *s, const struct auth_method *m,
                                struct policy_request *req,
                                struct signature_fault *fault)
{
    char room[AUTH_ROOM_BYTES];
    struct str text;
    enum auth_reason r;

    if (m->kind == AUTH_CERT) {
        return by_certificate(s, m, req, fault);
    }
    r = auth_credential(m, req, room, sizeof room, &text);
    if (r != AUTH_OK) {
        return r;
    }
    return m->kind == AUTH_JWT ? auth_by_token(s, m, text, req, fault)
                               : by_key(s, m, text, false, req);
}

bool policy_authenticate(struct policy_state *s, const struct route *route,
                         struct policy_request *req, struct refused *no)
{
    const struct auth_plan *a = route->auth;
    struct verdict verdict = {AUTH_OK, {NULL, NULL, NULL}};
    bool is_signed = false;

    for (uint32_t i = 0; i < a->n; i++) {
        const struct auth_method *m = &a->methods[i];
        struct signature_fault fault = {NULL, NULL, NULL};
        enum auth_reason r;

        if (m->kind == AUTH_HMAC) {
            /* Without its headers there is nothing that the body could make good. */
            r = auth_by_hmac(m, req, (struct str){"", 0}, &fault);
            if (r != AUTH_MISSING) {
                is_signed = true;
                continue;
            }
        } else {
            r = by_head(s, m, req, &fault);
        }
        if (r == AUTH_OK) {
            req->auth = (uint8_t)(i + 1);
            return true;
        }
        worse(&verdict, r, fault);
    }
    if (is_signed) {
        req->auth = REQUEST_UNSIGNED;
        return true;
    }
    return refuse(a, &verdict, no);
}

bool policy_authenticate_body(struct policy_state *s, const struct route *route,
                              const struct policy_request *req, struct str body,
                              struct refused *no)
{
    const struct auth_plan *a = route->auth;
    struct verdict verdict = {AUTH_OK, {NULL, NULL, NULL}};

    (void)s;
    for (uint32_t i = 0; i < a->n; i++) {
        struct signature_fault fault = {NULL, NULL, NULL};
        enum auth_reason r;

        if (a->methods[i].kind != AUTH_HMAC) {
            continue;
        }
        r = auth_by_hmac(&a->methods[i], req, req->sent.p != NULL ? req->sent : body,
                         &fault);
        if (r == AUTH_OK) {
            return true;
        }
        worse(&verdict, r, fault);
    }
    return refuse(a, &verdict, no);
}
