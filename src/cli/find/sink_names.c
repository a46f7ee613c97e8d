#include "cli/find/sink_names.h"

#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"

static const char TAIL[] = ".journal";

static int is_journal(const struct dirent *d)
{
    const size_t n = strlen(d->d_name);

    return n > strlen(TAIL) && strcmp(d->d_name + n - strlen(TAIL), TAIL) == 0;
}

bool sink_names_read(struct sink_names *s, const char *spool, struct err *e)
{
    char dir[PATH_MAX];

    *s = (struct sink_names){.n = 0};
    (void)snprintf(dir, sizeof dir, "%s/sinks", spool);
    s->n = scandir(dir, &s->list, is_journal, alphasort);
    if (s->n < 0) {
        s->n = 0;
        return errno == ENOENT || err_errno(e, errno, "%s", dir);
    }
    for (int i = 0; i < s->n; i++) {
        char *name = s->list[i]->d_name;

        name[strlen(name) - strlen(TAIL)] = '\0';
    }
    return true;
}

void sink_names_free(struct sink_names *s)
{
    for (int i = 0; i < s->n; i++) {
        free(s->list[i]);
    }
    free(s->list);
    *s = (struct sink_names){.n = 0};
}
