/* The settings that a sink has, those that it is owed, and those that it gets once their
 * plan can't be refused any more. The thread's. */
#include "base/err.h"
#include "base/log.h"
#include "delivery/internal.h"

void settings_tell(const struct delivery *d, const char *status, const char *why)
{
    char quoted[ERR_TEXT_MAX + 16];

    log_write(LOG_ERROR, "sink", "sink=%s status=%s why=%s", d->name, status,
              log_quote(quoted, sizeof quoted, why));
}

static void put(struct settings *x, const struct delivery_conf *c)
{
    struct plan *before = x->plan;

    *x = (struct settings){c->sink, plan_ref(c->plan), c->hooks};
    plan_unref(before);
}

static void drop(struct settings *x)
{
    plan_unref(x->plan);
    x->plan = NULL;
}

static void show(struct delivery *d)
{
    atomic_store(&d->owes, d->owed.plan != NULL);
    atomic_store(&d->expects, d->expected.plan != NULL);
}

void settings_none(struct delivery *d)
{
    drop(&d->owed);
    drop(&d->expected);
    show(d);
}

static bool take(struct delivery *d, const struct settings *x, struct err *e)
{
    struct sink_hooks hooks_before = d->hooks;
    struct plan *before = d->plan;

    d->hooks = x->hooks;
    if (!d->ops->apply(d->sink, x->sink, e)) {
        d->hooks = hooks_before;
        return false;
    }
    if (atomic_load(&d->shut) &&
        d->ops->force != NULL) { /* also an endpoint that is new */
        d->ops->force(d->sink, true);
    }
    d->conf = x->sink;
    d->plan = plan_ref(x->plan);
    plan_unref(before);
    d->target = 0;
    drop(&d->owed);
    show(d);
    return true;
}

bool settings_take(struct delivery *d, const struct delivery_conf *c, struct err *e)
{
    return take(d, &(struct settings){c->sink, c->plan, c->hooks}, e);
}

bool settings_settle(struct delivery *d, struct err *e)
{
    struct err why;

    return d->owed.plan == NULL || take(d, &d->owed, &why) ||
           err_set(e, "it can't have the settings of the live policy: %s", why.text);
}

/* Nothing is sent until the sink has taken them: it would go where another policy
 * says. */
static void settle_or_hold(struct delivery *d, const char *status)
{
    struct err e;

    show(d);
    if (!settings_settle(d, &e)) {
        settings_tell(d, status, e.text);
        result_back_off(d, e.text, 0);
    }
}

void settings_owe(struct delivery *d, const struct delivery_conf *c)
{
    put(&d->owed, c);
    settle_or_hold(d, "not_undone");
}

bool settings_expect(struct delivery *d, const struct delivery_conf *c, struct err *e)
{
    if (d->ops->check != NULL && !d->ops->check(d->sink, c->sink, e)) {
        return false;
    }
    put(&d->expected, c);
    show(d);
    return true;
}

void settings_expect_none(struct delivery *d)
{
    drop(&d->expected);
    show(d);
}

void settings_arrive(struct delivery *d)
{
    if (d->expected.plan != NULL) {
        drop(&d->owed);
        d->owed = d->expected;
        d->expected.plan = NULL;
        settle_or_hold(d, "not_applied");
    }
}

bool delivery_owes(const struct delivery *d)
{
    return atomic_load(&d->owes);
}

enum delivery_asks settings_asks(const struct delivery *d)
{
    return atomic_load(&d->owes)      ? DELIVERY_ASKS_EITHER
           : atomic_load(&d->expects) ? DELIVERY_ASKS_LATER
                                      : DELIVERY_ASKS_NEW;
}
