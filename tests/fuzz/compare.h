// tests/fuzz/compare.h -- runs both parsers over the same bytes, message by message, and stops at a difference that no list names.
// Never: decides what may differ (differences.h).
#pragma once
#include <cstdio>
#include <cstdlib>
#include <set>

#include "differences.h"
#include "llhttp_peer.h"

namespace lb::fuzz {

inline const char* show(Outcome outcome) {
    return outcome == Outcome::accepted ? "accepted" : outcome == Outcome::refused ? "refused" : "incomplete";
}

inline void print(const char* who, const Message& m) {
    std::fprintf(stderr,
                 "%s: head %s, body %s, why '%s'\n  '%s' '%s' %u, framing %d %llu, keep-alive %d, upgrade "
                 "%d, end %zu\n",
                 who, show(m.head), show(m.body), m.why.c_str(), m.method.c_str(), m.target.c_str(), m.status,
                 static_cast<int>(m.framing.kind), static_cast<unsigned long long>(m.framing.length),
                 m.keep_alive, m.upgrade, m.end);
    for (const auto& [name, value] : m.fields)
        std::fprintf(stderr, "  [%s] [%s]\n", name.c_str(), value.c_str());
    for (const auto& [name, value] : m.trailers)
        std::fprintf(stderr, "  trailer [%s] [%s]\n", name.c_str(), value.c_str());
    std::fprintf(stderr, "  payload [%s]\n", m.payload.c_str());
}

// Names of the differences that were met, for the test that wants each of them met.
inline std::set<std::string_view>& met() {
    static std::set<std::string_view> names;
    return names;
}

inline void explain(const Disagreement& it) {
    bool known = false;
    for (const Difference& difference : differences::all) {
        if (!differences::applies(difference, it)) continue;
        met().insert(difference.name);
        known = true;
    }
    if (known) return;
    static constexpr std::array<const char*, 10> aspects = {"head",    "body",    "method",  "target",
                                                            "status",  "fields",  "framing", "keep-alive",
                                                            "upgrade", "trailers"};
    std::fprintf(stderr, "a difference without a name: %s\n", aspects[static_cast<std::size_t>(it.aspect)]);
    print("lb", it.lb);
    print("llhttp", it.llhttp);
    std::abort();
}

// True: both read the message alike, and another one may follow on the same connection.
inline bool compare(std::string_view bytes, const Message& lb, const Message& peer, bool response,
                    bool no_body) {
    const auto differs = [&](Aspect aspect) { explain({aspect, response, bytes, lb, peer, no_body}); };
    if (lb.head != Outcome::accepted || peer.head != Outcome::accepted) {
        // Neither took it: who notices first does not matter.
        if (lb.head == Outcome::accepted || peer.head == Outcome::accepted) differs(Aspect::head);
        return false;
    }
    if (lb.method != peer.method) differs(Aspect::method);
    if (lb.target != peer.target) differs(Aspect::target);
    if (lb.status != peer.status) differs(Aspect::status);
    if (lb.fields != peer.fields) differs(Aspect::fields);
    if (lb.keep_alive != peer.keep_alive) differs(Aspect::keep_alive);
    if (lb.upgrade != peer.upgrade) differs(Aspect::upgrade);
    if (lb.framing.kind != peer.framing.kind || lb.framing.length != peer.framing.length) {
        differs(Aspect::framing);
        return false;
    }
    if (lb.body != peer.body) {
        if (lb.body == Outcome::accepted || peer.body == Outcome::accepted) differs(Aspect::body);
        return false;
    }
    if (lb.body != Outcome::accepted) return false;
    require(lb.payload == peer.payload, "both read the same body");
    require(lb.end == peer.end, "and the next message at the same byte");
    if (lb.trailers != peer.trailers) differs(Aspect::trailers);
    return lb.keep_alive && peer.keep_alive && !lb.upgrade && !peer.upgrade && lb.end > 0;
}

// The same message in words that llhttp has: POST for a method that it has no name for, version 1.1 for a later one. So what
// else is in the message is compared all the same.
inline std::string translated(std::string_view bytes, const Disagreement& it) {
    const std::size_t line = bytes.find_first_not_of("\r\n");
    std::string out(bytes);
    if (differences::later_minor(it)) {
        const std::size_t end = out.find_first_of("\r\n", line);
        out[it.response ? line + 7 : end - 1] = '1';
    }
    if (differences::other_method(it)) out.replace(line, it.lb.method.size(), "POST");
    return out;
}

// Calls use(rest, message, head) for each request.
template <class Use>
void compare_requests(std::string_view rest, Use use, bool again = true) {
    while (!rest.empty()) {
        http::RequestHead head;
        const Message ours = read_request(rest, head);
        use(rest, ours, head);
        const Message peer = Peer::read(rest, HTTP_REQUEST, false, false);
        const std::string other = translated(rest, {Aspect::head, false, rest, ours, peer});
        if (again && other != rest) compare_requests(other, use, false);
        if (!compare(rest, ours, peer, false, false)) return;
        rest.remove_prefix(ours.end);
    }
}

// As answers to GET and to HEAD.
inline void compare_responses(std::string_view whole, bool again = true) {
    for (const http::Method request : {http::Method::get, http::Method::head}) {
        const bool no_body = request == http::Method::head;
        std::string_view rest = whole;
        while (!rest.empty()) {
            const Message ours = read_response(rest, request);
            const Message peer = Peer::read(rest, HTTP_RESPONSE, no_body, true);
            const std::string other = translated(rest, {Aspect::head, true, rest, ours, peer, no_body});
            if (again && other != rest) compare_responses(other, false);
            if (!compare(rest, ours, peer, true, no_body)) break;
            rest.remove_prefix(ours.end);
        }
    }
}

}  // namespace lb::fuzz
