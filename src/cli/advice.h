/* advice - what an operator does next about a problem. Pure. */
#pragma once

/* For a word of facts.h; NULL: there is nothing to do, or the problem's text says it. */
const char *advice_for(const char *what);
