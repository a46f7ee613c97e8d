/* sluice key [--prefix TEXT | --stdin] */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>

#include "base/base64.h"
#include "cli/cli.h"
#include "cli/commands.h"
#include "plan/key_table.h"
#include "server/supervisor.h"

enum { RANDOM_BYTES = 32, PREFIX_MAX = 64, LETTERS = (RANDOM_BYTES + 2) / 3 * 4 };

static bool is_prefix(const char *text)
{
    return strlen(text) <= PREFIX_MAX &&
           text[strspn(text, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
                             "0123456789_-.")] == '\0';
}

/* The letters of 32 random bytes for URLs and headers. */
static bool make(const char *prefix, char out[PREFIX_MAX + LETTERS + 1])
{
    char bytes[RANDOM_BYTES], letters[LETTERS];
    size_t n;

    if (getrandom(bytes, sizeof bytes, 0) != sizeof bytes) {
        return false;
    }
    n = base64_write((struct str){bytes, sizeof bytes}, letters);
    for (size_t i = 0; i < n; i++) {
        letters[i] = letters[i] == '+'   ? '-'
                     : letters[i] == '/' ? '_'
                     : letters[i] == '=' ? '\0'
                                         : letters[i];
    }
    (void)snprintf(out, PREFIX_MAX + LETTERS + 1, "%s%.*s", prefix, (int)n, letters);
    return true;
}

static int make_key(const char *prefix)
{
    char key[PREFIX_MAX + LETTERS + 1], hex[KEY_HEX_BYTES];

    if (!make(prefix, key)) {
        (void)fprintf(stderr, "sluice: no random bytes: %s\n", strerror(errno));
        return EXIT_SETUP;
    }
    key_hex(str_of(key), hex);
    (void)printf("key     %s\nsha256  %s\n", key, hex);
    return EXIT_OK;
}

/* The key of one line, so that it stands in no list of processes and no history. */
static int hash_stdin(void)
{
    char key[KEY_TEXT_MAX + 2], hex[KEY_HEX_BYTES];
    size_t n = fread(key, 1, sizeof key, stdin);

    if (n > 0 && key[n - 1] == '\n') {
        n--;
    }
    if (n == 0 || n > KEY_TEXT_MAX || memchr(key, '\n', n) != NULL) {
        (void)fprintf(stderr, "sluice: expected one line of 1 to %d bytes, the key\n",
                      KEY_TEXT_MAX);
        return EXIT_USAGE;
    }
    key_hex((struct str){key, n}, hex);
    (void)puts(hex);
    return EXIT_OK;
}

int cli_key(int argc, char **argv)
{
    if (argc == 1) {
        return make_key("");
    }
    if (argc == 2 && strcmp(argv[1], "--stdin") == 0) {
        return hash_stdin();
    }
    if (argc == 3 && strcmp(argv[1], "--prefix") == 0 && is_prefix(argv[2])) {
        return make_key(argv[2]);
    }
    return usage_wrong("key");
}
