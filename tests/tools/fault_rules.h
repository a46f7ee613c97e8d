/*
 * fault_rules - which system call fails how. A control file of FAULT_FILE_BYTES is
 * shared by the process under test and the one that tests it:
 *
 *   0   u64  generation: the tester raises it when it has changed the text
 *   8   u64  calls that change something below the root: write, sync, rename, link,
 *            create, unlink, alloc
 *   16  u64  faults made
 *   64       rules, one a line, NUL-terminated; the first that applies is taken
 *   8192     u64 of FAULT_RULES_MAX: faults made by each rule, in order
 *   8448     u64 of 12: faults made in each kind of call, in the order of enum fault_op
 *
 * A rule:  on=OPS do=WHAT [path=PART] [thread=NAME] [from=N] [times=N] [permille=N]
 *          [seed=N] [ms=N]
 *   OPS    read write sync rename link create open unlink alloc list stat (and
 *          access, statvfs) range (sync_file_range), or all, or change (those of the
 *          counter above)
 *   WHAT   EIO ENOSPC EROFS EMFILE ENFILE ENOMEM EDQUOT EINTR EACCES · short (a read
 *          or a write of a part) · delay (ms) · hang (until the next generation, whose
 *          rules it then obeys) · kill (SIGKILL, before the call)
 *   from   the first call that it applies to, counted by the rule; times: how many
 *   permille, seed   of 1000 calls, the same ones whenever the seed is the same
 */
#pragma once

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

enum {
    FAULT_FILE_BYTES = 12288,
    FAULT_TEXT_AT = 64,
    FAULT_COUNTS_AT = 8192,
    FAULT_RULES_MAX = 32
};

enum fault_op {
    OP_READ = 1,
    OP_WRITE = 2,
    OP_SYNC = 4,
    OP_RENAME = 8,
    OP_LINK = 16,
    OP_CREATE = 32,
    OP_OPEN = 64,
    OP_UNLINK = 128,
    OP_ALLOC = 256,
    OP_LIST = 512,
    OP_STAT = 1024,
    OP_RANGE = 2048,
    OP_CHANGE =
        OP_WRITE | OP_SYNC | OP_RENAME | OP_LINK | OP_CREATE | OP_UNLINK | OP_ALLOC
};

enum fault_what { DO_ERROR = 0, DO_SHORT, DO_DELAY, DO_HANG, DO_KILL };

struct fault_rule {
    unsigned ops;
    enum fault_what what;
    int error;
    char path[128], thread[32];
    uint64_t from, times, permille, seed, ms;
    _Atomic uint64_t seen;
};

/* Reads the rules of text; returns how many there are. */
unsigned fault_parse(const char *text, struct fault_rule *rules, unsigned max);

/* Whether the rule applies to this call, which it counts. */
bool fault_applies(struct fault_rule *r, unsigned op, const char *path,
                   const char *thread);
