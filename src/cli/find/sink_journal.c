#include "cli/find/sink_journal.h"

#include "base/err.h"

/* A last record that is not whole may be one that a crash has cut, or that is being
 * written: the sink leaves it out, too. */
static bool is_damaged(const struct journal_scan *s)
{
    return s->damaged_places > 1 ||
           (s->damaged_places == 1 && s->first_damage + s->damaged_bytes < s->bytes);
}

bool sink_journal_read(const char *path, journal_record_fn *fn, void *arg,
                       struct err *e)
{
    struct journal_scan found;

    if (!journal_scan(path, fn, arg, &found, e)) {
        return false;
    }
    return !is_damaged(&found) ||
           err_set(e,
                   "the journal is damaged at byte %lu of %lu: \"sluice sink repair\" "
                   "says what can be kept",
                   (unsigned long)found.first_damage, (unsigned long)found.bytes);
}
