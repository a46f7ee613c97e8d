#include "policy/load/literals.h"

#include <ctype.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

/* As reject takes codes; a policy with more words than that keeps the first ones. */
enum { WORD_MAX = 63, WORDS_MAX = 100000 };

struct literals {
    struct str *list;
    uint32_t n, room;
};

struct literals *literals_new(void)
{
    return mem_zalloc(sizeof(struct literals));
}

void literals_free(struct literals *l)
{
    if (l != NULL) {
        free(l->list);
        free(l);
    }
}

static bool is_word(char c)
{
    return isalnum((unsigned char)c) || c == '_' || c == '-';
}

static void add(struct literals *l, struct str word)
{
    if (l->n == l->room) {
        l->room = 2 * l->room + 64;
        l->list = mem_realloc(l->list, l->room * sizeof *l->list);
    }
    l->list[l->n++] = word;
}

/* Each quotation mark is looked at as a beginning, so that one that stands alone, in a
 * comment or in a long text, hides no word after it. */
void literals_add(struct literals *l, struct str text)
{
    for (size_t i = 0; i < text.n && l->n < WORDS_MAX; i++) {
        char mark = text.p[i];
        size_t end = i + 1;

        if (mark != '"' && mark != '\'') {
            continue;
        }
        while (end < text.n && end - i - 1 <= WORD_MAX && is_word(text.p[end])) {
            end++;
        }
        if (end < text.n && text.p[end] == mark && end > i + 1 &&
            end - i - 1 <= WORD_MAX) {
            add(l, (struct str){text.p + i + 1, end - i - 1});
        }
    }
}

static int by_text(const void *a, const void *b)
{
    const struct str *x = a, *y = b;
    int c = memcmp(x->p, y->p, x->n < y->n ? x->n : y->n);

    return c != 0 ? c : x->n < y->n ? -1 : x->n > y->n;
}

void literals_sort(struct literals *l)
{
    if (l->n > 0) {
        qsort(l->list, l->n, sizeof *l->list, by_text);
    }
}

bool literals_has(const struct literals *l, const char *word)
{
    struct str key = str_of(word);

    return l->n > 0 && bsearch(&key, l->list, l->n, sizeof *l->list, by_text) != NULL;
}
