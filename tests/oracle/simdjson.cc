#include "oracle/oracle.h"

#include <simdjson.h>

static simdjson::dom::parser parser;
static simdjson::dom::element root;

extern "C" enum oracle_answer oracle_parse(const char *body, size_t n, bool *object,
                                           bool *array)
{
    auto error = parser.parse(body, n, false).get(root);

    *object = *array = false;
    switch (error) {
    case simdjson::SUCCESS:
        *object = root.is_object();
        *array = root.is_array();
        return ORACLE_ACCEPTS;
    case simdjson::NUMBER_ERROR:
        return ORACLE_NUMBER;
    case simdjson::DEPTH_ERROR:
        return ORACLE_DEEP;
    default:
        return ORACLE_REFUSES;
    }
}

extern "C" struct oracle_value oracle_find(size_t i, const char *key, const char *sub)
{
    struct oracle_value v = {};
    simdjson::dom::element e = root;

    if (root.is_array() && root.get_array().value_unsafe().at(i).get(e)) {
        return v;
    }
    if (!e.is_object() || e.at_key(key).get(e) ||
        (sub != nullptr && (!e.is_object() || e.at_key(sub).get(e)))) {
        return v;
    }
    switch (e.type()) {
    case simdjson::dom::element_type::NULL_VALUE:
        v.kind = ORACLE_NULL;
        break;
    case simdjson::dom::element_type::BOOL:
        v.kind = ORACLE_BOOL;
        v.truth = bool(e);
        break;
    case simdjson::dom::element_type::INT64:
    case simdjson::dom::element_type::UINT64:
    case simdjson::dom::element_type::DOUBLE:
        v.kind = ORACLE_NUM;
        v.num = double(e);
        break;
    case simdjson::dom::element_type::STRING:
        v.kind = ORACLE_TEXT;
        v.text = e.get_string().value_unsafe().data();
        v.n = e.get_string().value_unsafe().size();
        break;
    default:
        v.kind = ORACLE_OTHER;
    }
    return v;
}

extern "C" bool oracle_enter(const char *key, const char *sub)
{
    simdjson::dom::element e;

    if (!root.is_object() || root.at_key(key).get(e) ||
        (sub != nullptr && (!e.is_object() || e.at_key(sub).get(e))) || !e.is_array()) {
        return false;
    }
    root = e;
    return true;
}
