/*
 * fit - which values of a schema's types the type of a ClickHouse column takes. Pure;
 * any thread.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/str.h"
#include "plan/check.h"

/* The type within Nullable(), LowCardinality(). */
struct str fits_bare(struct str type);
bool fits_null(struct str type); /* it is within Nullable() */

/* Of a bare type: the problem with such a value in it, and the remedy; NULL: no certain
 * problem. field NULL: an object. named: in columns, so that it is written as the type
 * wants (forms.h). version: 18016 is 18.16. */
const char *fits_trouble(struct str type, const struct field *field, bool named,
                         uint32_t version);
bool fits_words(struct str type); /* an Enum */
bool fits_text(struct str type);  /* it may be a String */
