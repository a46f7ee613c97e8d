/*
 * embed - the Lua sources and headers that the binary carries, made by
 * embed.cmake at build time. Any thread.
 */
#pragma once

#include "base/str.h"

/* "lua/sluice/loader.lua", "src/decode/event.h", "conf/quickstart.lua"; NUL-
 * terminated. {NULL, 0}: there is no such file. */
struct str embed_find(const char *name);
