/* Any bytes as X-Forwarded-For and Forwarded: no crash; what stands left of an entry that a
 * trusted proxy wrote changes nothing unless that entry is trusted itself. */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/attr.h"
#include "http/forwarded.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static struct subnet trusted[2];

static void check(bool good)
{
    if (!good) {
        abort();
    }
}

static bool client(bool list, const char *p, size_t n, struct address *out)
{
    char *own = malloc(n == 0 ? 1 : n);
    bool found;

    memcpy(own, p, n);
    found =
        forwarded_client(list, (struct str){own, n}, trusted, N_ELEMS(trusted), out);
    free(own);
    return found;
}

/* The bytes, and then what the nearest proxy appends: it holds, whatever the bytes are. */
static void append(bool list, const uint8_t *data, size_t n, const char *entry,
                   const char *address)
{
    size_t k = strlen(entry);
    char *all = malloc(n + k + 2), shown[ADDRESS_TEXT];
    struct address a;

    memcpy(all, data, n);
    memcpy(all + n, ", ", 2);
    memcpy(all + n + 2, entry, k);
    check(client(list, all, n + 2 + k, &a));
    address_show(&a, shown);
    check(strcmp(shown, address) == 0);
    free(all);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    struct address a;

    if (trusted[0].prefix == 0) {
        check(address_read_network(STR("10.0.0.0/8"), &trusted[0].address,
                                   &trusted[0].prefix) == NULL);
        check(address_read_network(STR("2001:db8::/32"), &trusted[1].address,
                                   &trusted[1].prefix) == NULL);
    }
    for (int list = 0; list < 2; list++) {
        if (client(list == 1, (const char *)data, n, &a)) {
            char shown[ADDRESS_TEXT];
            struct address again;

            address_show(&a, shown);
            check(address_read(str_of(shown), &again) && again.hi == a.hi &&
                  again.lo == a.lo && again.four == a.four);
        }
    }
    append(false, data, n, "203.0.113.9:4711", "203.0.113.9");
    append(false, data, n, "[2001:db9::1]:443", "2001:db9::1");
    append(true, data, n, "for=203.0.113.9", "203.0.113.9");
    append(true, data, n, "for=\"[2001:db9::1]:443\";by=\"_a\\\"b\";proto=https",
           "2001:db9::1");
    return 0;
}
