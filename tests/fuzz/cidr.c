/* Any text as networks, in CSV and as a plain list: refused with its lines, or each address
 * at the edge of a network finds what a reader of one row after the other finds. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "plan/cidr_table.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static void check(bool good)
{
    if (!good) {
        abort();
    }
}

static void note(void *arg, uint32_t line, const char *text)
{
    check(line <= 5000 && text[0] != '\0');
    ++*(unsigned *)arg;
}

static bool network_of(const struct csv_table *rows, uint32_t nth, struct address *net,
                       uint32_t *prefix)
{
    struct str key = csv_table_cell(rows, csv_table_nth(rows, nth),
                                    (int32_t)csv_table_key_column(rows));

    return address_read_network(key, net, prefix) == NULL;
}

static bool covers(const struct address *net, uint32_t prefix, const struct address *a)
{
    uint32_t bits = net->four ? 96 + prefix : prefix;
    uint64_t hi = bits >= 64 ? UINT64_MAX : bits == 0 ? 0 : UINT64_MAX << (64 - bits);
    uint64_t lo = bits <= 64    ? 0
                  : bits >= 128 ? UINT64_MAX
                                : UINT64_MAX << (128 - bits);

    return net->four == a->four && (net->hi & hi) == (a->hi & hi) &&
           (net->lo & lo) == (a->lo & lo);
}

static int32_t slow_find(const struct csv_table *rows, const struct address *a)
{
    int32_t best = -1;
    uint32_t most = 0;

    for (uint32_t i = 0; i < csv_table_n_rows(rows); i++) {
        struct address net;
        uint32_t prefix;

        check(network_of(rows, i, &net, &prefix));
        if (covers(&net, prefix, a) && (best < 0 || prefix > most)) {
            best = csv_table_nth(rows, i);
            most = prefix;
        }
    }
    return best;
}

static void compare(const struct csv_table *rows, const struct cidr_table *t,
                    struct address a)
{
    if (a.four) {
        a.hi = 0;
        a.lo &= UINT32_MAX;
    }
    check(cidr_table_find(t, &a) == slow_find(rows, &a));
}

static void look_at_edges(const struct csv_table *rows, const struct cidr_table *t)
{
    for (uint32_t i = 0; i < csv_table_n_rows(rows) && i < 40; i++) {
        struct address net, a;
        uint32_t prefix, bits;

        check(network_of(rows, i, &net, &prefix));
        compare(rows, t, net);
        bits = net.four ? 96 + prefix : prefix;
        a = net;
        a.lo--;
        a.hi -= a.lo == UINT64_MAX;
        compare(rows, t, a);
        a = net;
        a.lo |= bits <= 64 ? UINT64_MAX : bits >= 128 ? 0 : UINT64_MAX >> (bits - 64);
        a.hi |= bits >= 64 ? 0 : UINT64_MAX >> bits;
        compare(rows, t, a);
        a.lo++;
        a.hi += a.lo == 0;
        compare(rows, t, a);
    }
}

static void read_table(struct str text)
{
    struct str list = cidr_table_list(text);
    struct csv_table *rows;
    struct cidr_table *t = NULL;
    unsigned told = 0;

    rows = csv_table_new(list.p == NULL ? text : list, (struct str){NULL, 0}, ',', note,
                         &told);
    free((char *)list.p);
    if (rows != NULL) {
        t = cidr_table_new(rows, note, &told);
    }
    check((t == NULL) == (told > 0));
    if (t != NULL) {
        look_at_edges(rows, t);
    }
    cidr_table_free(t);
    csv_table_unref(rows);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    char *text = malloc(n + 12);

    memcpy(text, "network,v\n", 10);
    memcpy(text + 10, data, n);
    read_table((struct str){text + 10, n});
    read_table((struct str){text, n + 10});
    free(text);
    return 0;
}
