/* sluice run [--listen A] [--admin A] [--data DIR] POLICY.lua */
#include <getopt.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "base/err.h"
#include "cli/cli.h"
#include "cli/commands.h"
#include "net/listener.h"
#include "server/supervisor.h"

static bool is_address(const char *text)
{
    struct err e;

    return strncmp(text, "unix:", 5) == 0 || strncmp(text, "systemd:", 8) == 0 ||
           listener_is_address(text, &e);
}

int cli_run(int argc, char **argv)
{
    static const struct option options[] = {{"listen", required_argument, NULL, 'l'},
                                            {"admin", required_argument, NULL, 'a'},
                                            {"data", required_argument, NULL, 'd'},
                                            {NULL, 0, NULL, 0}};
    struct supervisor_conf c = {.data_dir = "data"};
    int o, i = 0;

    optind = 1;
    while ((o = getopt_long(argc, argv, "", options, &i)) != -1) {
        if ((o == 'l' || o == 'a') && !is_address(optarg)) {
            return usage_value("run", options[i].name, optarg);
        }
        if (o == 'l') {
            c.listen = optarg;
        } else if (o == 'a') {
            c.admin = optarg;
        } else if (o == 'd') {
            c.data_dir = optarg;
        } else {
            return usage_wrong("run");
        }
    }
    if (optind != argc - 1) {
        return usage_wrong("run");
    }
    c.policy_path = argv[optind];
    return supervisor_run(&c);
}
