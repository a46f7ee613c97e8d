#include "policy/load/keys_file.h"

#include <stdio.h>
#include <string.h>

static const char HEAD[] = "\1keys\n";

static bool has_line_end(struct str s)
{
    return s.n > 0 && memchr(s.p, '\n', s.n) != NULL;
}

bool keys_file_text(struct str key, struct str expires, struct str disabled, char *out,
                    size_t room)
{
    int n;

    if (has_line_end(key) || has_line_end(expires) || has_line_end(disabled)) {
        return false;
    }
    n = snprintf(out, room, "%s%.*s\n%.*s\n%.*s", HEAD, (int)key.n, key.p,
                 (int)expires.n, expires.p, (int)disabled.n, disabled.p);
    return n > 0 && (size_t)n < room;
}

bool keys_file_columns(const char *text, struct key_rules *out)
{
    struct str parts[3];

    if (strncmp(text, HEAD, sizeof HEAD - 1) != 0) {
        return false;
    }
    text += sizeof HEAD - 1;
    for (size_t i = 0; i < N_ELEMS(parts); i++) {
        parts[i] = (struct str){text, strcspn(text, "\n")};
        text += parts[i].n + (text[parts[i].n] != '\0');
    }
    *out =
        (struct key_rules){.key = parts[0], .expires = parts[1], .disabled = parts[2]};
    return true;
}
