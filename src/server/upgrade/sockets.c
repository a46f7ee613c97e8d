#include "server/upgrade/sockets.h"

#include <stdint.h>

#include "base/clock.h"
#include "server/internal.h"
#include "server/process.h"
#include "server/upgrade/channel.h"
#include "server/upgrade/tickets.h"

static bool tell(int channel, const struct listening *l, struct err *e)
{
    uint64_t until_ns = clock_mono_ns() + 10000000000u;
    struct channel_message m = {.kind = CHANNEL_LISTENER};

    listening_key(l, m.text);
    for (; m.number < listening_sockets(l); m.number++) {
        m.fd = l->fds[m.number];
        if (!channel_say(channel, &m, until_ns, e)) {
            return false;
        }
    }
    return true;
}

bool sockets_tell(const struct server *s, int channel, struct err *e)
{
    bool ok = tell(channel, &s->admin_listener, e);

    for (uint32_t i = 0; ok && i < s->listeners.n; i++) {
        ok = tell(channel, &s->listeners.list[i], e);
    }
    return ok && tickets_tell(channel, s->process->tickets, e);
}
