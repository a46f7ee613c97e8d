#include "http/error.h"

#include <stdio.h>

#include "base/attr.h"

const char *http_phrase(int status)
{
    static const struct {
        int status;
        const char *text;
    } known[] = {{200, "OK"},
                 {201, "Created"},
                 {202, "Accepted"},
                 {204, "No Content"},
                 {301, "Moved Permanently"},
                 {302, "Found"},
                 {303, "See Other"},
                 {307, "Temporary Redirect"},
                 {308, "Permanent Redirect"},
                 {400, "Bad Request"},
                 {401, "Unauthorized"},
                 {403, "Forbidden"},
                 {404, "Not Found"},
                 {405, "Method Not Allowed"},
                 {406, "Not Acceptable"},
                 {408, "Request Timeout"},
                 {409, "Conflict"},
                 {410, "Gone"},
                 {411, "Length Required"},
                 {413, "Content Too Large"},
                 {415, "Unsupported Media Type"},
                 {417, "Expectation Failed"},
                 {422, "Unprocessable Content"},
                 {429, "Too Many Requests"},
                 {431, "Request Header Fields Too Large"},
                 {500, "Internal Server Error"},
                 {501, "Not Implemented"},
                 {503, "Service Unavailable"},
                 {504, "Gateway Timeout"},
                 {505, "HTTP Version Not Supported"}};

    for (size_t i = 0; i < N_ELEMS(known); i++) {
        if (known[i].status == status) {
            return known[i].text;
        }
    }
    return "Other";
}

size_t http_error_text(int status, const char *code, const char *detail, int64_t limit,
                       char *out, size_t n)
{
    char bound[40] = "";
    int k;

    if (limit >= 0) {
        (void)snprintf(bound, sizeof bound, ",\"limit\":%ld", (long)limit);
    }
    k = snprintf(out, n, "{\"error\":\"%s\",\"code\":\"%s\"%s,\"detail\":\"%s\"}",
                 http_phrase(status), code, bound, detail);

    return (size_t)k < n ? (size_t)k : n - 1;
}

const char *http_error_lines(int status)
{
    return status == 503   ? "Retry-After: 2\r\n"
           : status == 415 ? "Accept-Encoding: gzip, deflate, br, zstd\r\n"
                           : "";
}

struct http_error http_error_encoding(void)
{
    return (struct http_error){415, "unsupported_encoding",
                               "expected no Content-Encoding, or one of gzip, "
                               "deflate, br, zstd",
                               -1};
}

struct http_error http_error_large(uint64_t max_body)
{
    struct http_error e = {
        .status = 413, .code = "too_large", .limit = (int64_t)max_body};

    (void)snprintf(e.detail, sizeof e.detail,
                   "the body is larger than the allowed %lu bytes; send less",
                   (unsigned long)max_body);
    return e;
}

struct http_error http_error_inflate(enum encoding_result r, uint64_t max_body)
{
    struct http_error e = {
        .status = 413, .code = "too_large", .limit = (int64_t)max_body};

    if (r == ENCODING_BAD) {
        return (struct http_error){400, "bad_encoding",
                                   "the body is cut off, or not valid in its "
                                   "Content-Encoding",
                                   -1};
    }
    (void)snprintf(e.detail, sizeof e.detail,
                   "the decompressed body is larger than the allowed %lu bytes; "
                   "send less",
                   (unsigned long)max_body);
    return e;
}
