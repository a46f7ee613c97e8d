#include "decode/lex.h"

static bool deeper(struct lex *l, uint32_t depth)
{
    if (depth > l->max_depth) {
        l->deep = true;
        return lex_fail(l, l->p, "objects and arrays are nested too deep");
    }
    return true;
}

static bool list(struct lex *l, uint32_t depth)
{
    enum slot_kind kind;

    l->p++;
    lex_maybe_space(l);
    if (l->p < l->end && *l->p == ']') {
        l->p++;
        return true;
    }
    for (;;) {
        if (!lex_value(l, depth + 1, &kind)) {
            return false;
        }
        lex_maybe_space(l);
        if (l->p >= l->end || (*l->p != ',' && *l->p != ']')) {
            return lex_fail(l, l->p, "expected ',' or ']'");
        }
        if (*l->p++ == ']') {
            return true;
        }
        lex_maybe_space(l);
    }
}

static bool object(struct lex *l, uint32_t depth)
{
    enum slot_kind kind;
    bool escaped;

    l->p++;
    lex_maybe_space(l);
    if (l->p < l->end && *l->p == '}') {
        l->p++;
        return true;
    }
    for (;;) {
        if (l->p >= l->end || *l->p != '"') {
            return lex_fail(l, l->p, "expected a key in quotes");
        }
        l->p++;
        if (!lex_string(l, &escaped)) {
            return false;
        }
        lex_maybe_space(l);
        if (l->p >= l->end || *l->p != ':') {
            return lex_fail(l, l->p, "expected ':'");
        }
        l->p++;
        lex_maybe_space(l);
        if (!lex_value(l, depth + 1, &kind)) {
            return false;
        }
        lex_maybe_space(l);
        if (l->p >= l->end || (*l->p != ',' && *l->p != '}')) {
            return lex_fail(l, l->p, "expected ',' or '}'");
        }
        if (*l->p++ == '}') {
            return true;
        }
        lex_maybe_space(l);
    }
}

bool lex_value(struct lex *l, uint32_t depth, enum slot_kind *kind)
{
    if (l->p < l->end && *l->p == '{') {
        *kind = SLOT_OBJECT;
        return deeper(l, depth) && object(l, depth);
    }
    if (l->p < l->end && *l->p == '[') {
        *kind = SLOT_ARRAY;
        return deeper(l, depth) && list(l, depth);
    }
    return lex_scalar(l, kind);
}
