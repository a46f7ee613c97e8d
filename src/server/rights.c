#include "server/rights.h"

#include "base/err.h"
#include "base/log.h"
#include "policy/load/load.h"
#include "server/internal.h"

static bool follow(struct listening *x, const struct listener_plan *p, struct err *e)
{
    const struct unix_rights r = {(mode_t)p->mode, p->user, p->group};

    return x->local.fd < 0 || unix_socket_rights(&x->local, &r, e);
}

bool rights_follow(struct server *s, const struct plan *p, struct err *e)
{
    bool good = follow(&s->admin_listener, &p->admin.listener, e);

    for (uint32_t i = 0; good && i < s->listeners.n && i < p->n_listeners; i++) {
        good = follow(&s->listeners.list[i], &p->listeners[i], e);
    }
    return good;
}

void rights_restore(struct server *s)
{
    char quoted[ERR_TEXT_MAX + 16];
    struct err e;

    if (!rights_follow(s, policy_plan(s->policy), &e)) {
        log_write(LOG_ERROR, "listener_rights", "status=failed why=%s",
                  log_quote(quoted, sizeof quoted, e.text));
    }
}
