#include "sink/kafka/topic.h"

bool topic_is_valid(struct str name)
{
    for (size_t i = 0; i < name.n; i++) {
        char c = name.p[i];

        if (((c | 32) < 'a' || (c | 32) > 'z') && (c < '0' || c > '9') && c != '.' &&
            c != '_' && c != '-') {
            return false;
        }
    }
    return name.n > 0 && name.n <= TOPIC_BYTES_MAX;
}
