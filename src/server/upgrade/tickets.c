#include "server/upgrade/tickets.h"

#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "net/tls_tickets.h"
#include "server/upgrade/channel.h"

#define SAYS_NS 10000000000ull

_Static_assert((int)TLS_TICKETS_BYTES < (int)CHANNEL_TEXT,
               "the keys fit into a message");

bool tickets_tell(int channel, struct tls_tickets *t, struct err *e)
{
    struct channel_message m = {.kind = CHANNEL_TICKETS, .fd = -1};
    uint64_t now_ns = clock_mono_ns();
    bool ok;

    tls_tickets_pack(t, now_ns, (unsigned char *)m.text);
    ok = channel_say(channel, &m, now_ns + SAYS_NS, e);
    explicit_bzero(m.text, sizeof m.text);
    return ok;
}

void tickets_heard(struct channel_message *m, struct tls_tickets *t)
{
    if (!tls_tickets_unpack(t, clock_mono_ns(), (const unsigned char *)m->text)) {
        log_write(LOG_WARN, "upgrade",
                  "status=new_ticket_keys why=\"the process before keeps its keys in "
                  "another form: clients make whole handshakes once\"");
    }
    explicit_bzero(m->text, sizeof m->text);
}
