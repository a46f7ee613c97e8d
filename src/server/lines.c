#include "server/lines.h"

#include <stdlib.h>

#include "access/access.h"
#include "base/err.h"
#include "base/log.h"
#include "plan/access.h"
#include "policy/run/run.h"
#include "server/internal.h"

/* The path for free(). */
static char *conf_of(const struct server *s, const struct access_plan *p,
                     struct access_conf *c)
{
    char *path = start_path(s->conf.data_dir, p->path);

    *c = (struct access_conf){path, p->max_bytes, p->keep};
    return path;
}

bool lines_try(const struct server *s, const struct plan *plan, struct err *e)
{
    struct access_conf c;
    char *path;
    bool ok;

    if (plan->access == NULL) {
        return true;
    }
    path = conf_of(s, plan->access, &c);
    ok = access_try(&c, e);
    free(path);
    return ok;
}

void lines_follow(struct server *s)
{
    const struct access_plan *p = policy_plan(s->policy)->access;
    char quoted[ERR_TEXT_MAX + 16];
    struct access_conf c;
    struct err e;
    char *path = p == NULL ? NULL : conf_of(s, p, &c);

    if (!access_follow(s->access, p == NULL ? NULL : &c, &e)) {
        log_write(LOG_ERROR, "access_log", "status=failed why=%s",
                  log_quote(quoted, sizeof quoted, e.text));
    }
    free(path);
}

void lines_open(struct server *s)
{
    s->access = access_new(s->n_workers);
    lines_follow(s);
}

bool lines_end(struct server *s, uint64_t until_ns)
{
    bool ended = access_end(s->access, until_ns);

    if (!ended) {
        log_write(LOG_ERROR, "stuck",
                  "thread=access_log why=\"its thread does not end\"");
    }
    return ended;
}

bool lines_close(struct server *s, uint64_t until_ns)
{
    if (!lines_end(s, until_ns)) {
        return false;
    }
    access_free(s->access);
    s->access = NULL;
    return true;
}
