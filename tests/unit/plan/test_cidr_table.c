/* Networks as files have them; the smallest one wins. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/attr.h"
#include "plan/cidr_table.h"

struct file {
    struct csv_table *rows;
    struct cidr_table *networks;
    char told[4000];
};

static void note(void *arg, uint32_t line, const char *text)
{
    struct file *f = arg;

    (void)snprintf(f->told + strlen(f->told), sizeof f->told - strlen(f->told),
                   "%u: %s\n", line, text);
}

/* Whether it is a table of networks; close_file either way. */
static bool open_file(struct file *f, struct str text)
{
    struct str list = cidr_table_list(text);

    *f = (struct file){0};
    f->rows = csv_table_new(list.p == NULL ? text : list, (struct str){NULL, 0}, ',',
                            note, f);
    free((char *)list.p);
    if (f->rows != NULL) {
        f->networks = cidr_table_new(f->rows, note, f);
    }
    return f->networks != NULL;
}

static void close_file(struct file *f)
{
    csv_table_unref(f->rows);
    cidr_table_free(f->networks);
}

static void expect(const struct file *f, const char *ip, const char *want)
{
    struct address a;
    struct str got;

    assert_true(address_read(str_of(ip), &a));
    got = csv_table_cell(f->rows, cidr_table_find(f->networks, &a), 1);
    if (want == NULL ? got.p != NULL : !str_eq(got, str_of(want))) {
        fail_msg("%s: %.*s, expected %s", ip, (int)got.n, got.p, want);
    }
}

static void finds_the_smallest_network(void **state)
{
    struct file f;

    (void)state;
    assert_true(open_file(&f, STR("network,name\n"
                                  "10.1.0.0/16,sixteen\n"
                                  "10.0.0.0/8,eight\n"
                                  "10.1.2.3,one\n"
                                  "10.255.255.255/32,end\n"
                                  "255.255.255.0/24,last\n"
                                  "::ffff:172.16.0.0/108,mapped\n"
                                  "2001:db8::/32,docs\n"
                                  "2001:db8:0:1::/64,one net\n"
                                  "2001:db8::8000:0:0:0/65,half\n"
                                  "2001:db8::1,host\n"
                                  "ffff::/16,high\n")));
    expect(&f, "10.0.0.0", "eight");
    expect(&f, "10.0.255.255", "eight");
    expect(&f, "10.1.0.0", "sixteen");
    expect(&f, "10.1.2.2", "sixteen");
    expect(&f, "10.1.2.3", "one");
    expect(&f, "::ffff:10.1.2.3", "one");
    expect(&f, "10.1.2.4", "sixteen");
    expect(&f, "10.2.0.0", "eight");
    expect(&f, "10.255.255.254", "eight");
    expect(&f, "10.255.255.255", "end");
    expect(&f, "11.0.0.0", NULL);
    expect(&f, "9.255.255.255", NULL);
    expect(&f, "0.0.0.0", NULL);
    expect(&f, "255.255.255.255", "last");
    expect(&f, "172.31.255.255", "mapped");
    expect(&f, "172.32.0.0", NULL);
    expect(&f, "2001:db8::", "docs");
    expect(&f, "2001:db8::1", "host");
    expect(&f, "2001:db8::2", "docs");
    expect(&f, "2001:db8::7fff:ffff:ffff:ffff", "docs");
    expect(&f, "2001:db8::8000:0:0:0", "half");
    expect(&f, "2001:db8:0:0:ffff:ffff:ffff:ffff", "half");
    expect(&f, "2001:db8:0:1::", "one net");
    expect(&f, "2001:db8:0:2::", "docs");
    expect(&f, "2001:db9::", NULL);
    expect(&f, "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", "high");
    expect(&f, "::", NULL);
    /* Not mapped, though its last bits are an IPv4 address. */
    expect(&f, "::10.1.2.3", NULL);
    close_file(&f);
}

static void takes_the_whole_space(void **state)
{
    struct file f;

    (void)state;
    assert_true(
        open_file(&f, STR("n,v\n0.0.0.0/0,four\n::/0,six\n128.0.0.0/1,half\n")));
    expect(&f, "0.0.0.0", "four");
    expect(&f, "127.255.255.255", "four");
    expect(&f, "128.0.0.0", "half");
    expect(&f, "255.255.255.255", "half");
    expect(&f, "::", "six");
    expect(&f, "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", "six");
    close_file(&f);
}

static void reads_plain_lists(void **state)
{
    struct file f;

    (void)state;
    assert_true(open_file(&f, STR("\xEF\xBB\xBF; Spamhaus\r\n"
                                  "# more\r\n\r\n"
                                  "1.10.16.0/20 ; SBL256894\r\n"
                                  "  2001:db8::/32\twith \"quotes\", and more \r\n"
                                  "192.0.2.0/24,,x\n"
                                  "198.51.100.0/24 # a remark\n"
                                  "203.0.113.9")));
    expect(&f, "1.10.16.1", "SBL256894");
    expect(&f, "2001:db8::", "with \"quotes\", and more");
    expect(&f, "192.0.2.0", "x");
    expect(&f, "198.51.100.0", "a remark");
    expect(&f, "203.0.113.9", "203.0.113.9");
    close_file(&f);
}

static void names_each_mistake_with_its_line(void **state)
{
    static const struct {
        const char *text, *told;
    } rows[] = {
        {"network,v\n10.0.0.0/8,a\nx,b\n10.0.0.0/33,c\n",
         "3: \"x\" is no network such as 10.0.0.0/8 or 2001:db8::/32\n"
         "4: \"10.0.0.0/33\" has no prefix from 0 to 32 behind its /\n"},
        {"network,v\n10.0.0.1/8,a\n2001:db8::1/64,b\n2001:db8::/129,c\n10.0.0.0/08,d\n",
         "2: \"10.0.0.1/8\" has bits behind its prefix: the network's first address is "
         "expected\n"
         "3: \"2001:db8::1/64\" has bits behind its prefix: the network's first "
         "address "
         "is expected\n"
         "4: \"2001:db8::/129\" has no prefix from 0 to 128 behind its /\n"
         "5: \"10.0.0.0/08\" has no prefix from 0 to 32 behind its /\n"},
        {"network,v\n10.0.0.0/8,a\n\n::ffff:10.0.0.0/104,b\n",
         "4: \"::ffff:10.0.0.0/104\" is the same network as that of line 2\n"},
        {"network,v\n::ffff:0.0.0.0/95,a\n",
         "2: \"::ffff:0.0.0.0/95\" covers more than the IPv4 addresses in "
         "::ffff:0:0/96: "
         "write the network without ::ffff:\n"},
        {"10.0.0.0/8\r11.0.0.0/8\r",
         "1: one column only: a key and a value at least\n"},
        {"10.0.0.0/8\n11.0.0.0/8\n10.0.0.0/8 x\n",
         "4: the key \"10.0.0.0/8\" is given twice, first in line 2\n"},
        {"\"10.0.0.0/8\",\"v\"\n\"11.0.0.0/8\",\"v\"\n",
         "1: the first line has a network; it names the columns, such as "
         "network,name\n"},
        {"a,b\n10.0.0.0/8,1\n10.0.0.0/8,2\n",
         "3: the key \"10.0.0.0/8\" is given twice, first in line 2\n"},
        {"a,b\n10.0.0.0/,1\n/8,2\n10.0.0.0/8/8,3\n10.0.0.0/-1,4\n10.0.0.0/ 8,5\n",
         "2: \"10.0.0.0/\" has no prefix from 0 to 32 behind its /\n"
         "3: \"/8\" is no network such as 10.0.0.0/8 or 2001:db8::/32\n"
         "4: \"10.0.0.0/8/8\" has no prefix from 0 to 32 behind its /\n"
         "5: \"10.0.0.0/-1\" has no prefix from 0 to 32 behind its /\n"
         "6: \"10.0.0.0/ 8\" has no prefix from 0 to 32 behind its /\n"},
    };

    (void)state;
    for (size_t i = 0; i < N_ELEMS(rows); i++) {
        struct file f;

        assert_false(open_file(&f, str_of(rows[i].text)));
        assert_string_equal(f.told, rows[i].told);
        close_file(&f);
    }
}

static void says_it_in_twenty_lines_at_most(void **state)
{
    char text[2000] = "n,v\n";
    struct file f;
    unsigned n = 0;

    (void)state;
    for (unsigned i = 0; i < 100; i++) {
        (void)snprintf(text + strlen(text), 20, "x%u,1\n", i);
    }
    assert_false(open_file(&f, str_of(text)));
    for (const char *p = f.told; *p != '\0'; p++) {
        n += *p == '\n';
    }
    assert_int_equal(n, 21);
    close_file(&f);
}

/* ---- against one row after the other ---- */

static bool covers(const struct address *net, uint32_t prefix, const struct address *a)
{
    uint32_t from = net->four ? 96 : 0;

    for (uint32_t i = from; i < from + prefix; i++) {
        uint64_t x = i < 64 ? net->hi >> (63 - i) : net->lo >> (127 - i);
        uint64_t y = i < 64 ? a->hi >> (63 - i) : a->lo >> (127 - i);

        if ((x & 1) != (y & 1)) {
            return false;
        }
    }
    return net->four == a->four;
}

static int32_t slow_find(const struct csv_table *rows, const struct address *a)
{
    int32_t best = -1;
    uint32_t most = 0;

    for (uint32_t i = 0; i < csv_table_n_rows(rows); i++) {
        int32_t row = csv_table_nth(rows, i);
        struct address net;
        uint32_t prefix;

        assert_null(address_read_network(csv_table_cell(rows, row, 0), &net, &prefix));
        if (covers(&net, prefix, a) && (best < 0 || prefix > most)) {
            best = row;
            most = prefix;
        }
    }
    return best;
}

/* Few bits differ, so that networks lie in each other and end together. */
static void random_text(bool four, unsigned prefix, char *out, size_t n)
{
    uint64_t bits = (uint64_t)random() & (uint64_t)random();
    unsigned rest = four ? 32 - prefix : 64 - prefix;

    if (four) {
        bits = (bits | (random() % 4 == 0 ? 0xff000000 : 0)) & 0xffffffff;
        bits = rest >= 32 ? 0 : bits >> rest << rest;
        (void)snprintf(out, n, "%u.%u.%u.%u/%u", (unsigned)(bits >> 24),
                       (unsigned)(bits >> 16 & 255), (unsigned)(bits >> 8 & 255),
                       (unsigned)(bits & 255), prefix);
        return;
    }
    bits = bits << 33 | bits << 1;
    bits = rest >= 64 ? 0 : bits >> rest << rest;
    (void)snprintf(out, n, "%x:%x:%x:%x::/%u", (unsigned)(bits >> 48),
                   (unsigned)(bits >> 32 & 0xffff), (unsigned)(bits >> 16 & 0xffff),
                   (unsigned)(bits & 0xffff), prefix);
}

static void agrees_with_a_slow_reader(void **state)
{
    (void)state;
    srandom(7);
    for (int round = 0; round < 300; round++) {
        char text[8000] = "network,v\n", one[80];
        struct file f;

        for (int i = 0; i < 60; i++) {
            bool four = random() % 2 == 0;

            random_text(four, (unsigned)random() % (four ? 33 : 65), one, sizeof one);
            (void)strcat(one, ",x\n");
            if (strstr(text, one) == NULL) {
                (void)strcat(text, one);
            }
        }
        if (!open_file(&f, str_of(text))) {
            fail_msg("%s%s", f.told, text);
        }
        for (int i = 0; i < 200; i++) {
            bool four = random() % 2 == 0;
            struct address a;

            random_text(four, four ? 32 : 64, one, sizeof one);
            *strchr(one, '/') = '\0';
            assert_true(address_read(str_of(one), &a));
            a.lo += (uint64_t)(random() % 3) - 1;
            a.lo &= four ? 0xffffffff : UINT64_MAX;
            assert_int_equal(cidr_table_find(f.networks, &a), slow_find(f.rows, &a));
        }
        close_file(&f);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(finds_the_smallest_network),
        cmocka_unit_test(takes_the_whole_space),
        cmocka_unit_test(reads_plain_lists),
        cmocka_unit_test(names_each_mistake_with_its_line),
        cmocka_unit_test(says_it_in_twenty_lines_at_most),
        cmocka_unit_test(agrees_with_a_slow_reader),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
