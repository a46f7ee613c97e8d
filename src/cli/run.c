/* sluice run [--listen A] [--admin A] [--data DIR] POLICY.lua */
#include <getopt.h>
#include <stdio.h>

#include "cli/cli.h"
#include "cli/commands.h"
#include "server/supervisor.h"

int cli_run(int argc, char **argv)
{
    static const struct option options[] = {{"listen", required_argument, NULL, 'l'},
                                            {"admin", required_argument, NULL, 'a'},
                                            {"data", required_argument, NULL, 'd'},
                                            {NULL, 0, NULL, 0}};
    struct supervisor_conf c = {.data_dir = "data"};
    int o;

    optind = 1;
    while ((o = getopt_long(argc, argv, "", options, NULL)) != -1) {
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
