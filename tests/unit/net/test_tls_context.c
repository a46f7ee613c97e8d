/* The files of TLS: what each mistake in them is called, and which certificate a client
 * gets. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <fcntl.h>
#include <sys/stat.h>
#include <time.h>

#include "base/err.h"
#include "net/tls_context.h"
#include "net/tls_names.h"

#include "unit/tools/certs.h"

static char *dir;
static struct certs_made a, b, rsa, ca;

static int set_up(void **state)
{
    (void)state;
    dir = certs_folder();
    ca = certs_make(dir, (struct certs_wish){.name = "ca", .ca = true});
    a = certs_make(dir, (struct certs_wish){.name = "a", .hosts = "DNS:a.example"});
    b = certs_make(dir, (struct certs_wish){.name = "b",
                                            .hosts = "DNS:b.example,DNS:*.b.example"});
    rsa = certs_make(
        dir,
        (struct certs_wish){.name = "rsa", .hosts = "DNS:a.example", .rsa_bits = 2048});
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    certs_free(&a);
    certs_free(&b);
    certs_free(&rsa);
    certs_free(&ca);
    (void)rmdir(dir);
    free(dir);
    return 0;
}

static const char *mistake(const struct tls_options *o)
{
    static struct err e;
    struct tls_context *c = tls_context_new(o, NULL, &e);

    assert_null(c);
    return e.text;
}

static const char *mistake_of(const char *cert, const char *key)
{
    return mistake(&(struct tls_options){
        .files = &(struct tls_files){.cert = cert, .key = key}, .n_files = 1});
}

static void holds(const char *text, const char *part)
{
    if (strstr(text, part) == NULL) {
        fail_msg("\"%s\" does not hold \"%s\"", text, part);
    }
}

static const char *path_of(const char *name)
{
    static char path[CERTS_PATH];

    (void)snprintf(path, sizeof path, "%s/%s", dir, name);
    return path;
}

static void put(const char *path, const char *text, size_t n)
{
    FILE *f = fopen(path, "w");

    assert_non_null(f);
    assert_int_equal(n, fwrite(text, 1, n, f));
    assert_int_equal(0, fclose(f));
}

static void each_mistake_names_its_file_and_what_is_expected(void **state)
{
    struct certs_made weak =
        certs_make(dir, (struct certs_wish){.name = "weak", .rsa_bits = 1024});
    struct certs_made old =
        certs_make(dir, (struct certs_wish){.name = "old", .by = &ca, .sha1 = true});

    (void)state;
    holds(mistake_of("/nowhere/a.pem", a.key_path),
          "can't read the certificate \"/nowhere/a.pem\": No such file");
    holds(mistake_of(a.cert_path, "/nowhere/a.key"),
          "can't read the key \"/nowhere/a.key\": No such file");
    holds(mistake_of(a.key_path, a.key_path), "holds no certificate; expected PEM");
    holds(mistake_of(a.cert_path, a.cert_path), "holds no private key; expected PEM");
    holds(mistake_of(dir, a.key_path), "is not a file of at most 1 MiB");
    holds(mistake_of(a.cert_path, b.key_path), "does not belong to the certificate");
    holds(mistake_of(weak.cert_path, weak.key_path),
          "has an RSA key of 1024 bits; expected at least 2048");
    holds(mistake_of(old.cert_path, old.key_path),
          "is signed with SHA1; expected SHA-256 or better");
    certs_free(&weak);
    certs_free(&old);
}

static void a_key_with_a_passphrase_is_refused_without_asking_for_it(void **state)
{
    const char *path = path_of("locked.key");
    FILE *f = fopen(path, "w");

    (void)state;
    assert_int_equal(1,
                     PEM_write_PrivateKey(f, a.key, EVP_aes_128_cbc(),
                                          (const unsigned char *)"x", 1, NULL, NULL));
    assert_int_equal(0, fclose(f));
    holds(mistake_of(a.cert_path, path), "is encrypted; expected one without");
    (void)unlink(path);
}

/* A renewal may be seen at any byte of it. */
static void a_file_cut_at_any_byte_is_never_taken_for_whole(void **state)
{
    char text[4096], path[CERTS_PATH];
    const char *of[] = {a.cert_path, a.key_path};

    (void)state;
    for (int k = 0; k < 2; k++) {
        FILE *f = fopen(of[k], "r");
        size_t n = fread(text, 1, sizeof text, f);

        (void)fclose(f);
        (void)snprintf(path, sizeof path, "%s", path_of("cut"));
        for (size_t i = 0; i + 1 < n; i++) { /* the last byte is a newline */
            put(path, text, i);
            (void)(k == 0 ? mistake_of(path, a.key_path)
                          : mistake_of(a.cert_path, path));
        }
        (void)unlink(path);
    }
}

static void a_chain_cut_inside_its_second_certificate_is_refused(void **state)
{
    char text[4096], path[CERTS_PATH];
    FILE *f;
    size_t n;

    (void)state;
    (void)snprintf(path, sizeof path, "%s", path_of("chain"));
    certs_write_cert(path, a.cert, ca.cert);
    f = fopen(path, "r");
    n = fread(text, 1, sizeof text, f);
    (void)fclose(f);
    put(path, text, n - 40);
    holds(mistake_of(path, a.key_path), "number 2 in it is not readable");
    (void)unlink(path);
}

static void a_certificate_out_of_its_time_is_a_warning(void **state)
{
    struct certs_made old = certs_make(
        dir, (struct certs_wish){.name = "old", .from_days = -9, .to_days = -2});
    struct certs_made early = certs_make(
        dir, (struct certs_wish){.name = "early", .from_days = 3, .to_days = 9});
    struct tls_files files[] = {{.cert = a.cert_path, .key = a.key_path},
                                {.cert = old.cert_path, .key = old.key_path},
                                {.cert = early.cert_path, .key = early.key_path}};
    struct err e;
    uint32_t i = 0;
    int64_t now = (int64_t)time(NULL);
    struct tls_context *c =
        tls_context_new(&(struct tls_options){.files = files, .n_files = 3}, NULL, &e);

    (void)state;
    assert_non_null(c);
    assert_true(tls_context_late(c, &i, now, &e));
    assert_int_equal(1, i);
    holds(e.text, "expired on 20");
    i++;
    assert_true(tls_context_late(c, &i, now, &e));
    assert_int_equal(2, i);
    holds(e.text, "is not valid before 20");
    i++;
    assert_false(tls_context_late(c, &i, now, &e));
    assert_in_range((tls_context_expires_s(c, 0) - now) / CERTS_DAY_S, 364, 365);
    tls_context_unref(c);
    certs_free(&old);
    certs_free(&early);
}

static void a_name_said_twice_for_one_kind_of_key_is_a_mistake(void **state)
{
    const char *name[] = {"In.Example"}, *same[] = {"in.example."}, *bad[] = {"a b"};
    struct tls_files files[] = {
        {.cert = a.cert_path, .key = a.key_path, .names = name, .n_names = 1},
        {.cert = b.cert_path, .key = b.key_path, .names = same, .n_names = 1}};
    struct tls_options o = {.files = files, .n_files = 2};
    struct tls_context *c;
    struct err e;

    (void)state;
    holds(mistake(&o),
          "the name \"in.example\" has two certificates with the same kind");
    files[1].cert = rsa.cert_path;
    files[1].key = rsa.key_path;
    c = tls_context_new(&o, NULL, &e);
    assert_non_null(c);
    tls_context_unref(c);
    files[1].names = bad;
    holds(mistake(&o), "the name \"a b\" is not a host such as");
}

static void a_ca_that_is_none_is_named(void **state)
{
    struct tls_options o = {
        .files = &(struct tls_files){.cert = a.cert_path, .key = a.key_path},
        .n_files = 1,
        .client = TLS_CLIENT_REQUIRED,
        .ca = a.key_path};

    (void)state;
    holds(mistake(&o), "the CA \"");
    holds(mistake(&o), "holds no certificate");
    o.ca = "/nowhere/ca.pem";
    holds(mistake(&o), "can't read the CA \"/nowhere/ca.pem\"");
}

static void a_wildcard_serves_one_label_and_no_other(void **state)
{
    struct tls_names t = {0};

    (void)state;
    tls_names_add(&t, "*.b.example", 2);
    tls_names_add(&t, "x.b.example", 4);
    tls_names_add(&t, "a.example", 1);
    tls_names_sort(&t);
    assert_int_equal(1, tls_names_find(&t, "A.EXAMPLE."));
    assert_int_equal(2, tls_names_find(&t, "y.b.example"));
    assert_int_equal(4, tls_names_find(&t, "x.b.example"));
    assert_int_equal(0, tls_names_find(&t, "b.example"));
    assert_int_equal(0, tls_names_find(&t, "z.y.b.example"));
    assert_int_equal(0, tls_names_find(&t, "*.b.example"));
    assert_int_equal(0, tls_names_find(&t, ""));
    assert_int_equal(0, tls_names_find(&t, "."));
    assert_int_equal(0, tls_names_find(&t, ".b.example"));
    tls_names_fini(&t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_mistake_names_its_file_and_what_is_expected),
        cmocka_unit_test(a_key_with_a_passphrase_is_refused_without_asking_for_it),
        cmocka_unit_test(a_file_cut_at_any_byte_is_never_taken_for_whole),
        cmocka_unit_test(a_chain_cut_inside_its_second_certificate_is_refused),
        cmocka_unit_test(a_certificate_out_of_its_time_is_a_warning),
        cmocka_unit_test(a_name_said_twice_for_one_kind_of_key_is_a_mistake),
        cmocka_unit_test(a_ca_that_is_none_is_named),
        cmocka_unit_test(a_wildcard_serves_one_label_and_no_other)};

    return cmocka_run_group_tests_name("tls_context", tests, set_up, tear_down);
}
