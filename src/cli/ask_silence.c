/* Why a request to a server has no answer, in words for its operator. */
#include <curl/curl.h>

#include "base/err.h"
#include "cli/ask.h"

/* As OpenSSL has them: libcurl may be built with another library. */
enum { UNSPECIFIED = 1, NOT_YET_VALID = 9, HAS_EXPIRED = 10 };

static bool no_trust(const struct ask_silence *s, struct err *e)
{
    const char *what = "--cacert FILE names the certificates to trust";

    if (s->verified == NOT_YET_VALID || s->verified == HAS_EXPIRED) {
        what = "renew the files of admin.tls; until then curl -k asks the server";
    } else if (s->verified <= UNSPECIFIED && s->rc == CURLE_PEER_FAILED_VERIFICATION) {
        /* All is good but the name. */
        what = "--admin https://HOST:PORT names the server by a name that its "
               "certificate has";
    }
    return err_set(e, "the certificate of %s can't be checked: %s; %s", s->where,
                   s->why, what);
}

static bool no_time(const struct ask_silence *s, struct err *e)
{
    if (!s->connected && s->socket[0] != '\0') {
        return ask_socket_fails(s->socket, s->where, e);
    }
    return err_set(
        e,
        "no %s %s within %ld s: the server is stopped, hangs or is "
        "overloaded; look at its process (ps -o pid,stat,wchan,cmd)%s",
        s->connected ? "answer from" : "connection to", s->where, s->timeout_ms / 1000,
        s->connected && s->order ? ". It may still obey once it goes on" : "");
}

/* A listener that lets nobody in says nothing. */
static bool cut(const struct ask_silence *s, struct err *e)
{
    return err_set(e, "the answer of %s is cut: %s; try again%s", s->where, s->why,
                   s->status != 0 || s->socket[0] != '\0'
                       ? ""
                       : ", or look whether allow, deny, proxy_protocol and tls.client "
                         "of the policy's admin listener let this machine in");
}

bool ask_no_answer(const struct ask_silence *s, struct err *e)
{
    switch (s->rc) {
    case CURLE_OPERATION_TIMEDOUT:
        return no_time(s, e);
    case CURLE_PEER_FAILED_VERIFICATION:
    case CURLE_SSL_CACERT_BADFILE:
        return no_trust(s, e);
    case CURLE_SSL_CONNECT_ERROR:
        return err_set(e, "no TLS with %s: %s; is its admin listener without TLS?",
                       s->where, s->why);
    case CURLE_UNSUPPORTED_PROTOCOL:
    case CURLE_WEIRD_SERVER_REPLY:
        return err_set(e,
                       "%s does not answer with HTTP; is it no sluice, or does it want "
                       "https://HOST:PORT?",
                       s->where);
    case CURLE_GOT_NOTHING:
    case CURLE_PARTIAL_FILE:
    case CURLE_RECV_ERROR:
    case CURLE_SEND_ERROR:
    case CURLE_WRITE_ERROR:
        return cut(s, e);
    default:
        if (s->socket[0] != '\0') {
            return ask_socket_fails(s->socket, s->where, e);
        }
        return err_set(e,
                       "no server answers at %s: %s; name another with --admin ADDRESS "
                       "or --spool DIR",
                       s->where, s->why);
    }
}
