// shared/route/matcher.h -- which route a request takes. Pure but for a scratch buffer of its own: one for each process.
// Owns:  the index: by host, then by path, so that 1 000 routes cost no more than 10.
// Never: changes a request. What it compares is a normalised copy of the path (path.h), what is forwarded the original.
//
// Order: exact host before wildcard (the longest first) before no host; inside these, the order of the file. All
// conditions of a route must hold; the first route that holds wins.
#pragma once
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "shared/config/model.h"
#include "shared/http/message.h"
#include "shared/net/address.h"

namespace lb::route {

struct Question {
    std::uint32_t listener = 0;     // index into Config::listeners
    const http::RequestHead& head;  // its host may carry a port and any case
    const Address& client;          // through trusted hops
};

class Matcher {
 public:
    // The configuration must outlive it.
    explicit Matcher(const config::Config& config);
    ~Matcher();
    Matcher(const Matcher&) = delete;
    Matcher& operator=(const Matcher&) = delete;

    // Index into Config::routes, or config::no_index: no route holds. Allocates nothing once its scratch has grown.
    [[nodiscard]] std::uint32_t find(const Question& question);

    // For people: every route in the order in which it would be asked, then those of other listeners and hosts, and the
    // first condition that does not hold. Walks all routes; `taken` is what find() says.
    struct Verdict {
        std::uint32_t route = config::no_index;
        bool taken = false;
        std::string
            why;  // "host is not api.example.com", "path /v2/x does not begin with /v1/"; empty: it holds
    };
    [[nodiscard]] std::vector<Verdict> explain(const Question& question);

 private:
    struct State;
    std::unique_ptr<State> state_;
};

}  // namespace lb::route
