#include <cjson/cJSON.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "base/text.h"
#include "cli/ask.h"

/* What a listener for clients says of a path that no route has. */
static const char OF_CLIENTS[] = "no route of the policy has this path";

/* The server's own words: JSON with a detail, or a line. */
bool ask_refused(const struct ask_answer *answer, struct err *e)
{
    cJSON *o = cJSON_ParseWithLength(answer->text, answer->n);
    const cJSON *detail = cJSON_GetObjectItem(o, "detail");
    char *plain = text_new(
        TEXT_LINE, str_of(cJSON_IsString(detail) ? detail->valuestring : answer->text));

    for (size_t n = strlen(plain); n > 0 && plain[n - 1] == ' '; n--) {
        plain[n - 1] = '\0'; /* it was the end of a line */
    }
    if (answer->status == 404 && strstr(answer->text, OF_CLIENTS) != NULL) {
        (void)err_set(
            e, "a listener for clients answers: expected the admin listener; name "
               "it with --admin ADDRESS or --spool DIR");
    } else if (answer->status == 404 &&
               strstr(answer->text, "\"unknown_path\"") != NULL) {
        (void)err_set(e,
                      "the server does not know this order; is it an older version?");
    } else {
        (void)err_set(e, "the server refuses (%ld): %.300s%s", answer->status, plain,
                      answer->status == 401 || answer->status == 403
                          ? "; --token-file or SLUICE_ADMIN_TOKEN gives the token"
                          : "");
    }
    free(plain);
    cJSON_Delete(o);
    return false;
}
