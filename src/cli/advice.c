#include "cli/advice.h"

#include <string.h>

#include "base/attr.h"
#include "server/admin/growth.h"

static const struct {
    const char *what, *next;
} all[] = {
    {"draining", "sluice drain --undo lets clients come back"},
    {"silent", "look for a disk or a network file system that hangs (dmesg, iostat -x "
               "1); restart "
               "sluice when it does not return: acknowledged events are kept"},
    {"spool_fails", "look at the log (event=spool) and at the disk: free space, errors "
                    "in dmesg, rights of the folder"},
    {"spool_full",
     "mend the sink that is behind, or raise the stream's max_bytes and reload"},
    {"disk_full",
     "free space on that disk or enlarge it; the spool itself shrinks when "
     "its sinks deliver"},
    {"sync_slow",
     "look who else writes to that disk (iostat -x 1); give the spool a disk "
     "of its own"},
    {"damaged", "keep spool/damaged and look for errors of the disk in dmesg"},
    {"lost", "sluice ledger names the minutes; ask the clients to send them again"},
    {"skipped",
     "the sink has when_full = \"skip\": raise max_lag, or mend the sink; if the "
     "log has event=block_damaged, look for errors of the disk in dmesg"},
    {"sink_holds",
     "mend what the reason names: events wait in the spool, none is lost"},
    {"sink_late", "look at the sink's server and network, then at its batch and pool "
                  "options (sluice top, key k)"},
    {"dead", "sluice dead list DATA/dead: the log's event=ready names DATA"},
    {"not_stored", "look at the log (event=spool) and at the disk"},
    {"hook_raises", "the log has file, line and reason (event=policy status=raised); "
                    "sluice rollback takes the policy before"},
    {"hook_raised", "the log has file, line and reason (event=policy status=raised)"},
    {"refuses", "sluice tap --refused shows events and reasons; the access log "
                "(always = \"refused\") names the clients"},
    {"refused",
     "sluice tap --refused shows events and reasons; the access log (always = "
     "\"refused\") names the clients"},
    {"load_refused", "mend the file until sluice check accepts it, then sluice reload"},
    {"load_waits", "sluice upgrade takes the policy of the file; or put back what the "
                   "running process can't change, then sluice reload"},
    {"canary_worse", "sluice rollback ends it, sluice promote makes it live"},
    {"canary_rolled_back",
     "put the policy that is live back into the file, or mend it, "
     "then sluice reload"},
    {"certificate",
     "renew the certificate's files: sluice sees it by itself. The log names "
     "a file that is not valid (event=certificate)"},
    {"descriptors",
     "raise LimitNOFILE and restart, or lower max_connections and reload"},
    {"breaker", "mend that endpoint; sluice tries it again by itself"},
    {"upgrade_failed", "mend the reason, then sluice upgrade"},
};

const char *advice_for(const char *what)
{
    for (size_t i = 0; i < N_ELEMS(all); i++) {
        if (strcmp(all[i].what, what) == 0) {
            return all[i].next;
        }
    }
    for (size_t i = 0; growth_rule(i) != NULL; i++) {
        if (strcmp(growth_rule(i)->what, what) == 0) {
            return growth_rule(i)->next;
        }
    }
    return NULL;
}
