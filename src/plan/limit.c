#include "plan/limit.h"

#include <string.h>

#include "plan/cidr_table.h"

enum { DIGITS_MAX = 15 };

/* A bucket of a slower rate would need more time than it has room for. */
static const double RATE_LEAST = 0.01, RATE_MOST = 1e6, QUOTA_MOST = 50000000000.0;

enum limit_kind limit_number(struct str cell, bool fraction, double *out)
{
    double v = 0, unit = 1;
    size_t i = 0, n = 0;

    if (str_eq(cell, STR("unlimited"))) {
        return LIMIT_UNLIMITED;
    }
    while (i < cell.n && cell.p[i] >= '0' && cell.p[i] <= '9' && ++n <= DIGITS_MAX) {
        v = 10 * v + (cell.p[i++] - '0');
    }
    if (fraction && n > 0 && i + 1 < cell.n && cell.p[i] == '.') {
        i++;
        while (i < cell.n && cell.p[i] >= '0' && cell.p[i] <= '9' &&
               ++n <= DIGITS_MAX) {
            unit /= 10;
            v += unit * (cell.p[i++] - '0');
        }
    }
    if (n == 0 || i < cell.n) {
        return LIMIT_UNSET;
    }
    *out = v;
    return v == 0 ? LIMIT_ZERO : LIMIT_AMOUNT;
}

static enum limit_kind of_column(const struct limit_plan *l,
                                 const struct policy_request *q, double *out)
{
    bool rate = l->window_s == 0;
    struct str cell =
        q == NULL ? (struct str){NULL, 0} : request_raw(q, "", REQUEST_KEY, l->column);
    enum limit_kind kind = cell.p == NULL ? LIMIT_UNSET : limit_number(cell, rate, out);

    if (kind == LIMIT_AMOUNT) {
        double least = rate ? RATE_LEAST : 1,
               most = rate ? RATE_MOST * l->unit_s : QUOTA_MOST;

        kind = *out < least || *out > most ? LIMIT_UNSET : LIMIT_AMOUNT;
    }
    if (rate) {
        *out /= l->unit_s;
    }
    return kind;
}

enum limit_kind limit_amount(const struct limit_plan *l, const struct policy_request *q,
                             struct limit_amount *out)
{
    enum limit_kind kind = LIMIT_AMOUNT;

    out->amount = l->amount;
    if (l->column.p != NULL) {
        kind = of_column(l, q, &out->amount);
        if (kind == LIMIT_UNSET && l->otherwise >= 0) {
            out->amount = l->otherwise;
            kind = LIMIT_AMOUNT;
        }
    }
    out->burst = l->burst > 0        ? l->burst
                 : out->amount < 1   ? 1
                 : out->amount > 1e6 ? 1e6
                                     : out->amount;
    return kind;
}

struct str limit_peer(struct str text, char peer[LIMIT_PEER_BYTES])
{
    struct address a;
    uint64_t bits;

    if (!address_read(text, &a)) {
        return text;
    }
    bits = a.four ? a.lo : a.hi;
    peer[0] = a.four ? '4' : '6';
    memcpy(peer + 1, &bits, sizeof bits);
    return (struct str){peer, LIMIT_PEER_BYTES};
}

struct str limit_key(const struct limit_plan *l, const char *pattern,
                     const struct policy_request *q, char peer[LIMIT_PEER_BYTES])
{
    struct str key = {NULL, 0};

    switch (l->by) {
    case LIMIT_BY_PEER:
        return limit_peer(q->peer, peer);
    case LIMIT_BY_PATH:
        key = q->path;
        break;
    case LIMIT_BY_PART:
        key = request_raw(q, pattern, l->part, l->part_name);
        break;
    case LIMIT_BY_ALL:
    case LIMIT_BY_EVENT:
        break;
    }
    /* Those without a key share a bucket. */
    return key.p == NULL ? (struct str){"", 0} : key;
}

/* ---- networks ---- */

static bool has(const struct network_list *l, const struct address *a, bool local)
{
    if (local && l->local) {
        return true;
    }
    if (a == NULL) {
        return false;
    }
    if (address_in_any(a, l->subnets, l->n)) {
        return true;
    }
    for (uint32_t i = 0; i < l->n_tables; i++) {
        if (cidr_table_find(l->tables[i], a) >= 0) {
            return true;
        }
    }
    return false;
}

bool networks_allow(const struct networks_plan *a, const struct address *address,
                    bool local)
{
    return !has(&a->deny, address, local) &&
           (!a->allow.given || has(&a->allow, address, local));
}

bool networks_allow_text(const struct networks_plan *a, struct str peer)
{
    struct address address;
    bool known = address_read(peer, &address);

    return networks_allow(a, known ? &address : NULL, str_eq(peer, STR("unix")));
}
