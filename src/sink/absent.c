/* A sink that was taken out of the policy and whose plan can't be had any more: its
 * events are held until it is put back, or dropped by hand. */
#include <assert.h>
#include <stdlib.h>

#include "base/err.h"
#include "base/mem.h"
#include "sink/sink.h"

struct sink {
    struct sink_conf conf;
};

static struct sink *absent_open(const struct sink_conf *conf, struct err *e)
{
    struct sink *s = mem_zalloc(sizeof *s);

    (void)e;
    s->conf = *conf;
    return s;
}

static bool absent_apply(struct sink *s, const struct sink_plan *plan, struct err *e)
{
    (void)s;
    return err_set(e,
                   "sink \"%s\" is back, but its events are held by an "
                   "unknown plan: restart the server",
                   plan->name);
}

static void absent_submit(struct sink *s, struct batch *b)
{
    (void)s;
    (void)b;
    assert(!"a sink without a window is given nothing");
}

static uint32_t absent_window(const struct sink *s)
{
    (void)s;
    return 0;
}

static void absent_close(struct sink *s)
{
    free(s);
}

const struct sink_ops sink_absent = {.kind = "absent",
                                     .keep = BATCH_KEEP_RANGES,
                                     .intends = true,
                                     .open = absent_open,
                                     .check = absent_apply,
                                     .apply = absent_apply,
                                     .submit = absent_submit,
                                     .window = absent_window,
                                     .close = absent_close};
