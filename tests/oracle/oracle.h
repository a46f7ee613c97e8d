/*
 * oracle - simdjson's DOM as a second opinion on JSON: for tests and fuzzers.
 * One thread; the last document is kept until the next call.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#ifdef __cplusplus
extern "C" {
#endif

enum oracle_answer {
    ORACLE_REFUSES = 0,
    ORACLE_ACCEPTS,
    ORACLE_NUMBER, /* only a number beyond 64 bits or a double: no opinion */
    ORACLE_DEEP
};

enum oracle_kind {
    ORACLE_NONE,
    ORACLE_NULL,
    ORACLE_BOOL,
    ORACLE_NUM,
    ORACLE_TEXT,
    ORACLE_OTHER
};

struct oracle_value {
    enum oracle_kind kind;
    bool truth;
    double num;
    const char *text; /* unescaped */
    size_t n;
};

/* body has 64 readable bytes behind it. *object and *array: the kind of its root. */
enum oracle_answer oracle_parse(const char *body, size_t n, bool *object, bool *array);

/* The value of key (and of sub in it, unless NULL) in element i of the root
 * array, or in the root object. */
struct oracle_value oracle_find(size_t i, const char *key, const char *sub);

/* Makes the value of key (and of sub in it, unless NULL) of the root object the
 * root. False: it is no array; the root stays. */
bool oracle_enter(const char *key, const char *sub);

#ifdef __cplusplus
}
#endif
