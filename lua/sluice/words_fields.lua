-- words_fields: the types of a schema's fields.

local M = {}

local DAY_MS = 24 * 3600 * 1000

local required = { type = "boolean", default = false,
  help = "Whether sluice refuses an event that lacks the field or has null there." }

M.fields = {
  str = { help = "A text.", options = { required = required,
    min = { type = "count", min = 0, max = 2 ^ 31,
      help = "Smallest number of characters (Unicode code points)." },
    max = { type = "count", min = 0, max = 2 ^ 31,
      help = "Largest number of characters (Unicode code points)." } } },
  num = { help = "A number.", options = { required = required,
    min = { type = "number", help = "Smallest value." },
    max = { type = "number", help = "Largest value." } } },
  int = { help = "A whole number of 64 bits, written without a decimal point and "
    .. "without an exponent, so that an integer column can read it.",
    options = { required = required,
    min = { type = "number", help = "Smallest value." },
    max = { type = "number", help = "Largest value." } } },
  bool = { help = "true or false.", options = { required = required } },
  enum = { help = "One text of a list.", list = true,
    options = { required = required } },
  time = { help = "A time as whole milliseconds since 1970, or as RFC 3339 text. Without "
    .. "max_age sluice refuses numbers below 100000000000, which are most likely seconds.",
    options = { required = required,
      max_age = { type = "duration", min = 0, max = 36500 * DAY_MS,
        help = "Highest age of the time when the request arrives. sluice refuses older "
          .. "events; by default it accepts any age." },
      max_skew = { type = "duration", min = 0, max = 36500 * DAY_MS,
        help = "How far the time may lie in the future when the request arrives. By default "
          .. "any distance." } } },
  any = { help = "Any JSON value.", options = { required = required } },
}

return M
