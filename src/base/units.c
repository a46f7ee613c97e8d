#include "base/units.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>

struct unit {
    const char *name;
    double factor;
};

static bool number_and_unit(struct str s, double *value, struct str *unit)
{
    char digits[32];
    size_t n = 0;
    char *end;

    while (n < s.n && n < sizeof digits - 1 &&
           (isdigit((unsigned char)s.p[n]) || s.p[n] == '.')) {
        digits[n] = s.p[n];
        n++;
    }
    digits[n] = '\0';
    if (n == 0 || digits[0] == '.' || digits[n - 1] == '.') {
        return false;
    }
    *value = strtod(digits, &end);
    *unit = (struct str){s.p + n, s.n - n};
    return *end == '\0';
}

static bool scaled(struct str s, const struct unit *units, size_t n_units, double max,
                   double *out)
{
    struct str unit;
    double value;

    if (!number_and_unit(s, &value, &unit)) {
        return false;
    }
    if (unit.n == 0 && value == 0) {
        *out = 0;
        return true;
    }
    for (size_t i = 0; i < n_units; i++) {
        if (str_eq(unit, str_of(units[i].name))) {
            *out = value * units[i].factor;
            return *out <= max;
        }
    }
    return false;
}

bool units_bytes(struct str s, uint64_t *bytes)
{
    static const struct unit units[] = {
        {"B", 1},          {"KB", 1e3},          {"MB", 1e6},
        {"GB", 1e9},       {"TB", 1e12},         {"KiB", 1024.},
        {"MiB", 1048576.}, {"GiB", 1073741824.}, {"TiB", 1099511627776.}};
    double v;

    if (!scaled(s, units, N_ELEMS(units), 1e18, &v)) {
        return false;
    }
    *bytes = (uint64_t)(v + 0.5);
    return true;
}

bool units_ms(struct str s, int64_t *ms)
{
    static const struct unit units[] = {
        {"ms", 1}, {"s", 1e3}, {"m", 6e4}, {"h", 36e5}, {"d", 864e5}};
    double v;

    if (!scaled(s, units, N_ELEMS(units), 1e15, &v)) {
        return false;
    }
    *ms = (int64_t)(v + 0.5);
    return true;
}

const char *units_show_bytes(char *out, size_t out_bytes, uint64_t bytes)
{
    static const char *const names[] = {"B", "KiB", "MiB", "GiB", "TiB"};
    double v = (double)bytes;
    size_t i = 0;

    while (v >= 1024 && i < N_ELEMS(names) - 1) {
        v /= 1024;
        i++;
    }
    (void)snprintf(out, out_bytes, i == 0 ? "%.0f %s" : "%.1f %s", v, names[i]);
    return out;
}
