#include "cli/spool_folder.h"

#include <stdio.h>
#include <string.h>

#include "base/err.h"
#include "base/folder.h"

bool spool_folder(const char *path, char out[PATH_MAX], struct err *e)
{
    char epoch[PATH_MAX];

    (void)snprintf(epoch, sizeof epoch, "%s/EPOCH", path);
    if (path_there(epoch) != 0) {
        (void)snprintf(out, PATH_MAX, "%s", path);
        return true;
    }
    (void)snprintf(out, PATH_MAX, "%s/spool", path);
    (void)snprintf(epoch, sizeof epoch, "%s/spool/EPOCH", path);
    return path_there(epoch) != 0 ||
           err_set(e, "%s: no spool here: neither EPOCH nor spool/EPOCH", path);
}
