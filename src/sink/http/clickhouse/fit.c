#include "sink/http/clickhouse/fit.h"

#include <stdlib.h>
#include <string.h>

#include "base/attr.h"

enum {
    /* From there on a String takes numbers and truths; objects and arrays. */
    READS_NUMBERS = 23000,
    READS_OBJECTS = 24001
};

/* The values that a column's type takes. */
enum takes {
    TAKES_ANY,
    TAKES_TEXT,
    TAKES_SECONDS,
    TAKES_TICKS,
    TAKES_DAYS,
    TAKES_INTEGERS,
    TAKES_FRACTIONS,
    TAKES_WORDS,
    TAKES_TRUTHS,
    TAKES_IDS,
    TAKES_LISTS,
    TAKES_OBJECTS
};

static bool begins(struct str s, const char *with)
{
    size_t n = strlen(with);

    return s.n >= n && memcmp(s.p, with, n) == 0;
}

struct str fits_bare(struct str type)
{
    static const char *const around[] = {"Nullable(", "LowCardinality("};

    for (size_t i = 0; i < N_ELEMS(around);) {
        if (begins(type, around[i])) {
            type.p += strlen(around[i]);
            type.n -= strlen(around[i]) + 1;
            i = 0;
        } else {
            i++;
        }
    }
    return type;
}

static enum takes takes(struct str type)
{
    if (begins(type, "String") || begins(type, "FixedString")) {
        return TAKES_TEXT;
    }
    if (begins(type, "DateTime")) {
        return begins(type, "DateTime64") ? TAKES_TICKS : TAKES_SECONDS;
    }
    if (begins(type, "Date")) {
        return TAKES_DAYS;
    }
    if (begins(type, "Bool")) {
        return TAKES_TRUTHS;
    }
    if (begins(type, "UUID") || begins(type, "IPv")) {
        return TAKES_IDS;
    }
    if (begins(type, "Array")) {
        return TAKES_LISTS;
    }
    if (begins(type, "Map") || begins(type, "Tuple") || begins(type, "JSON") ||
        begins(type, "Object")) {
        return TAKES_OBJECTS;
    }
    if (begins(type, "Enum8") || begins(type, "Enum16")) {
        return TAKES_WORDS;
    }
    if (begins(type, "Float") || begins(type, "Decimal")) {
        return TAKES_FRACTIONS;
    }
    if ((begins(type, "Int") || begins(type, "UInt")) && !begins(type, "Interval")) {
        return TAKES_INTEGERS;
    }
    return TAKES_ANY;
}

static int bits(struct str type)
{
    return atoi(type.p + (type.p[0] == 'U' ? 4 : 3));
}

bool fits_null(struct str type)
{
    return begins(type, "Nullable(") || begins(type, "LowCardinality(Nullable(");
}

bool fits_words(struct str type)
{
    return takes(type) == TAKES_WORDS;
}

bool fits_text(struct str type)
{
    return takes(type) == TAKES_TEXT || takes(type) == TAKES_ANY;
}

/* The problem with a value of the schema's type in a column, and the remedy; NULL: no
 * certain problem. Named in columns, a value is written as the column wants it
 * (forms.h). */
static const char *time_trouble(bool named, enum takes t, struct str type)
{
    if ((t == TAKES_SECONDS || t == TAKES_DAYS) && !named) {
        return "its milliseconds would wrap there without an error: make the column "
               "UInt64";
    }
    if (t == TAKES_TICKS && !named) {
        return "its milliseconds would be read as seconds there, without an error: "
               "make "
               "the column UInt64, or name all columns in columns = { }, which writes "
               "seconds";
    }
    if (t == TAKES_INTEGERS && bits(type) < 64) {
        return "its milliseconds would wrap there without an error: make the "
               "column UInt64";
    }
    if (t == TAKES_FRACTIONS && begins(type, "Float32")) {
        return "its milliseconds would be rounded there: make the column UInt64";
    }
    return t == TAKES_TRUTHS || t == TAKES_WORDS
               ? "the column takes no time: make it UInt64"
               : NULL;
}

static const char *object_trouble(enum takes t)
{
    if (t == TAKES_TEXT) {
        return "a String takes no object or array: name a field inside it, or "
               "keep the whole event with \"@event\"";
    }
    return t == TAKES_ANY || t == TAKES_OBJECTS || t == TAKES_LISTS
               ? NULL
               : "the column takes no object or array: name a field inside it";
}

static const char *truth_trouble(enum takes t)
{
    return t == TAKES_SECONDS || t == TAKES_TICKS || t == TAKES_DAYS || t == TAKES_WORDS
               ? "the column takes neither true nor false: make it UInt8"
               : NULL;
}

static const char *text_trouble(bool named, uint32_t version, enum field_type is)
{
    if (named || is == FIELD_STR || is == FIELD_ENUM) {
        return NULL;
    }
    if (is == FIELD_ANY || is == FIELD_LIST) {
        return version < READS_OBJECTS
                   ? "it may be an object or array, which a String takes not: say "
                     "str { }, or name a field inside it in columns = { }"
                   : NULL;
    }
    return version < READS_NUMBERS
               ? "a String of this server takes text in quotes only: make the column a "
                 "number"
               : NULL;
}

/* A column that is smaller than the size that the field has. */
static const char *size_trouble(struct str type, struct whole_range r)
{
    bool is_unsigned = type.p[0] == 'U';
    int room = bits(type);

    return r.bits == 0 ||
                   (r.is_unsigned ? room > r.bits || (is_unsigned && room == r.bits)
                                  : !is_unsigned && room >= r.bits)
               ? NULL
               : "its values would wrap there without an error: make the column as "
                 "large "
                 "as the field (`sluice schema` prints it)";
}

/* An Array takes items of its own type. */
static const char *list_trouble(enum takes t, struct str type, const struct field *f,
                                uint32_t version)
{
    static const char array[] = "Array(";
    const size_t n = sizeof array - 1;

    if (t != TAKES_LISTS) {
        return t == TAKES_OBJECTS || t == TAKES_ANY
                   ? NULL
                   : "the column takes no array: make it Array";
    }
    return begins(type, array) &&
                   fits_trouble(fits_bare((struct str){type.p + n, type.n - n - 1}),
                                f->item, false, version) != NULL
               ? "its items do not fit those of the column: make it an Array of the "
                 "item's type"
               : NULL;
}

const char *fits_trouble(struct str type, const struct field *field, bool named,
                         uint32_t version)
{
    enum takes t = takes(type);
    enum field_type is;

    if (field == NULL) {
        return object_trouble(t);
    }
    is = field->type;
    if (t == TAKES_TEXT) {
        return text_trouble(named, version, is);
    }
    if (is == FIELD_ANY) {
        return NULL;
    }
    if (is == FIELD_LIST) {
        return list_trouble(t, type, field, version);
    }
    if (t == TAKES_OBJECTS || t == TAKES_LISTS) {
        return "the column takes objects or arrays only: make it of the field's type";
    }
    if (t == TAKES_IDS && is != FIELD_STR && is != FIELD_ENUM) {
        return "the column takes text only: make it of the field's type";
    }
    if (is == FIELD_TIME) {
        return time_trouble(named, t, type);
    }
    if (is == FIELD_BOOL) {
        return truth_trouble(t);
    }
    if (is == FIELD_INT && t == TAKES_INTEGERS && !named) {
        return size_trouble(type, field->range);
    }
    if (is == FIELD_ENUM) {
        return t == TAKES_INTEGERS || t == TAKES_FRACTIONS || t == TAKES_SECONDS ||
                       t == TAKES_TICKS || t == TAKES_DAYS || t == TAKES_TRUTHS
                   ? "the column takes no words: make it String"
                   : NULL;
    }
    return NULL;
}
