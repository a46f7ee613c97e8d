#include "server/unused.h"

#include <string.h>

#include "base/log.h"
#include "net/passed.h"
#include "plan/plan.h"

enum { NAME_BYTES = 256 };

static bool names(const struct listener_plan *l, const char *name)
{
    static const char kind[] = "systemd:";
    size_t n = sizeof kind - 1;

    return l->address != NULL && strncmp(l->address, kind, n) == 0 &&
           strcmp(l->address + n, name) == 0;
}

static bool is_used(const struct plan *p, const char *name)
{
    bool used = names(&p->admin.listener, name);

    for (uint32_t i = 0; i < p->n_listeners; i++) {
        used = used || names(&p->listeners[i], name);
    }
    return used;
}

void unused_tell(const struct plan *p)
{
    char name[NAME_BYTES], quoted[2 * NAME_BYTES];

    for (int i = 0; passed_name(i, name, sizeof name); i++) {
        if (!is_used(p, name)) {
            log_write(
                LOG_WARN, "socket_unused",
                "name=%s why=\"systemd passed this socket, and no listener has it: "
                "who connects to it waits for ever\"",
                log_quote(quoted, sizeof quoted, name));
        }
    }
}
