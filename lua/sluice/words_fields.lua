-- words_fields: the types of a schema's fields.

local M = {}

local DAY_MS = 24 * 3600 * 1000

local required = { type = "boolean", default = false,
  help = "Whether sluice refuses an event that lacks the field or has null there." }

M.fields = {
  str = { help = "A text.", options = { required = required,
    cut = { type = "count", min = 1, max = 2 ^ 28,
      help = "Number of characters that sluice stores. It cuts a longer text there, never "
        .. "inside a character, and counts it in sluice_cut_texts_total." },
    format = { type = "enum", values = { "uuid", "ip", "url", "email" },
      help = "Form of the text: \"uuid\" is 8-4-4-4-12 hexadecimal digits, \"ip\" an IPv4 or "
        .. "IPv6 address, \"url\" scheme://host… without spaces, \"email\" name@host.tld. "
        .. "sluice refuses other texts with bad_format." },
    pattern = { type = "pattern",
      help = "Lua pattern that fits somewhere in the text, or in all of it with ^ and $. It "
        .. "counts bytes, has no captures, no %b and no %f, and takes one step for each byte "
        .. "of any text. sluice refuses other texts with bad_format." },
    min = { type = "count", min = 0, max = 2 ^ 31,
      help = "Smallest number of characters (Unicode code points)." },
    max = { type = "count", min = 0, max = 2 ^ 31,
      help = "Largest number of characters (Unicode code points)." } } },
  num = { help = "A number.", options = { required = required,
    convert = { type = "boolean", default = false,
      help = "Whether sluice also takes a number in a text (\"12.5\", \"007\", \".5\", \"+5\"), "
        .. "and stores the number." },
    min = { type = "number", help = "Smallest value." },
    max = { type = "number", help = "Largest value." } } },
  int = { help = "A whole number of 64 bits, written without a decimal point and "
    .. "without an exponent, so that an integer column can read it. -0 is stored as 0.",
    options = { required = required,
    bits = { type = "bits",
      help = "Size of the number. sluice refuses values beyond it with "
        .. "too_small or too_large. By default 64." },
    unsigned = { type = "boolean", default = false,
      help = "Whether the number has no sign, so that with 64 bits values up to "
        .. "18446744073709551615 fit and -1 does not." },
    convert = { type = "boolean", default = false,
      help = "Whether sluice also takes 1.0, 1e3 and digits in a text (\"42\", \"007\"), "
        .. "and stores the number's digits." },
    min = { type = "number", help = "Smallest value." },
    max = { type = "number", help = "Largest value." } } },
  list = { help = "An array whose items are all of one type: list { str { max = 20 }, "
    .. "max = 10 }. Items have no required, and are stored as they were sent.", item = true,
    options = { required = required,
    min = { type = "count", min = 0, max = 2 ^ 28, help = "Smallest number of items." },
    max = { type = "count", min = 0, max = 2 ^ 28, help = "Largest number of items." } } },
  bool = { help = "true or false.", options = { required = required,
    convert = { type = "boolean", default = false,
      help = "Whether sluice also takes \"true\" and \"false\" in a text, in any case, and 1 and "
        .. "0 with or without quotes, and stores true or false." } } },
  enum = { help = "One text of a list.", list = true,
    options = { required = required } },
  time = { help = "A time as whole milliseconds since 1970, or as RFC 3339 text. Without "
    .. "max_age sluice refuses numbers below 100000000000, which are most likely seconds. "
    .. "sluice stores it as it was sent; with formats or unit, as whole milliseconds.",
    options = { required = required,
      formats = { type = "words",
        values = { "rfc3339", "iso8601", "no_zone", "date", "http", "number" },
        help = "Forms of text that sluice takes. \"rfc3339\": 2025-11-23T12:13:20Z; "
          .. "\"iso8601\": also zones such as +0100, +01 and \" UTC\", no seconds, a comma "
          .. "before the fraction, 20251123T121320Z; \"no_zone\": ISO 8601 without a zone is "
          .. "UTC; \"date\": 2025-11-23 is midnight UTC; \"http\": Sun, 23 Nov 2025 12:13:20 "
          .. "GMT; \"number\": a number in quotes. By default \"rfc3339\"." },
      unit = { type = "enum", values = { "s", "ms", "us", "ns", "auto" },
        help = "Unit of a number since 1970, which may have a fraction. sluice refuses "
          .. "numbers that would lie before 1973-03-03 or after 5138-11-16, so that no number "
          .. "is a time in two units. \"auto\" takes the unit that fits: seconds from 1e8, "
          .. "milliseconds from 1e11, microseconds from 1e14, nanoseconds from 1e17 to 1e20. "
          .. "With formats it is \"ms\" by default." },
      max_age = { type = "duration", min = 0, max = 36500 * DAY_MS,
        help = "Highest age of the time when the request arrives. sluice refuses older "
          .. "events; by default it accepts any age." },
      max_skew = { type = "duration", min = 0, max = 36500 * DAY_MS,
        help = "How far the time may lie in the future when the request arrives. By default "
          .. "any distance." } } },
  any = { help = "Any JSON value.", options = { required = required } },
}

-- What a schema says besides its fields.
M.schema_options = {
  others = { type = "enum", default = "keep", values = { "keep", "drop", "refuse" },
    help = "What happens to a field that no line of the schema names. \"drop\" takes it out "
      .. "before on_event sees the event. Only on_refused still keeps the bytes that were "
      .. "sent. \"refuse\" refuses the event (unknown_field). A line with a path, such as "
      .. "[\"properties.page\"], names only that within properties; an any { } names all that "
      .. "lies in it." },
}

return M
