// parsers - what other parsers take of the same bodies (a line each), on one line:
// simdjson on demand with the same six fields read, its DOM, and yyjson's DOM.
//
//   parsers FILE...
//
// As bench/scan measures. None of them looks for keys given twice. Built by
// bench/parsers.sh, for this machine alone (-march=native).
#include <chrono>
#include <cstdio>
#include <cstring>
#include <fstream>
#include <string>
#include <vector>

#include "simdjson.h"
extern "C" {
#include "yyjson.h"
}

namespace
{

enum { ROUNDS = 25 };

std::vector<simdjson::padded_string> bodies;
simdjson::ondemand::parser on_demand;
simdjson::dom::parser dom;
size_t bytes; // read, so that reading is not left out
double sum;

void text(simdjson::ondemand::value v)
{
    bytes += std::string_view(v.get_string()).size();
}

void read_event(simdjson::ondemand::object event)
{
    for (auto field : event) {
        simdjson::ondemand::raw_json_string key = field.key();

        if (key == "event_id" || key == "event_type" || key == "user_id") {
            text(field.value());
        } else if (key == "timestamp" || key == "value") {
            sum += double(field.value().get_double());
        } else if (key == "properties") {
            for (auto inner : field.value().get_object()) {
                simdjson::ondemand::raw_json_string name = inner.key();

                if (name == "page") {
                    text(inner.value());
                }
            }
        }
    }
}

size_t with_on_demand(size_t i)
{
    auto document = on_demand.iterate(bodies[i]);
    size_t n = 0;

    for (simdjson::ondemand::object event : document.get_array()) {
        read_event(event);
        n++;
    }
    return n;
}

size_t with_dom(size_t i)
{
    return simdjson::dom::array(dom.parse(bodies[i])).size();
}

size_t with_yyjson(size_t i)
{
    yyjson_doc *d = yyjson_read(bodies[i].data(), bodies[i].size(), 0);
    size_t n = yyjson_arr_size(yyjson_doc_get_root(d));

    yyjson_doc_free(d);
    return n;
}

// Nanoseconds an event.
double measure(size_t (*parse)(size_t i))
{
    std::vector<double> best(bodies.size());
    double all = 0;
    size_t events = 0;

    for (int r = 0; r < ROUNDS; r++) {
        events = 0;
        for (size_t i = 0; i < bodies.size(); i++) {
            auto t = std::chrono::steady_clock::now();

            events += parse(i);
            std::chrono::duration<double, std::nano> d =
                std::chrono::steady_clock::now() - t;
            best[i] = r == 0 || d.count() < best[i] ? d.count() : best[i];
        }
    }
    for (double b : best) {
        all += b;
    }
    return all / (double)events;
}

} // namespace

int main(int argc, char **argv)
{
    for (int i = 1; i < argc; i++) {
        const char *name = strrchr(argv[i], '/');
        std::ifstream f(argv[i]);
        std::string line;

        bodies.clear();
        while (std::getline(f, line)) {
            bodies.emplace_back(line);
        }
        std::printf("%s: simdjson " SIMDJSON_VERSION " on demand %.0f ns an event, "
                    "its DOM %.0f; yyjson " YYJSON_VERSION_STRING " %.0f\n",
                    name == nullptr ? argv[i] : name + 1, measure(with_on_demand),
                    measure(with_dom), measure(with_yyjson));
    }
    return sum < 0 && bytes == 0; // never
}
