/* sluice reference [--markdown | --meta | --luacheck] */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/attr.h"
#include "base/err.h"
#include "cli/cli.h"
#include "cli/commands.h"
#include "cli/show.h"
#include "policy/load/load.h"
#include "server/supervisor.h"

int cli_reference(int argc, char **argv)
{
    static const char *const forms[] = {"--markdown", "--meta", "--luacheck"};
    const char *form = argc == 1 ? forms[0] : NULL;
    struct err e;
    char *text;

    for (size_t i = 0; argc == 2 && i < N_ELEMS(forms); i++) {
        if (strcmp(argv[1], forms[i]) == 0) {
            form = forms[i];
        }
    }
    if (form == NULL) {
        return usage_wrong("reference");
    }
    text = policy_reference(form + 2, &e);
    if (text == NULL) {
        show_error(e.text);
        return EXIT_POLICY;
    }
    (void)fputs(text, stdout);
    free(text);
    return EXIT_OK;
}
