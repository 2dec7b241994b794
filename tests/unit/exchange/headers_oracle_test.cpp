// What passes of a request, against rules written down a second time, with strings and without ids or bit sets.
#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "shared/base/random.h"
#include "shared/base/text.h"
#include "support.h"
#include "worker/exchange/forward_headers.h"

namespace lb {
namespace {

using Fields = std::vector<std::pair<std::string, std::string>>;

constexpr std::array names{"X-Forwarded-For",
                           "X-Forwarded-Host",
                           "X-Forwarded-Proto",
                           "X-Forwarded-Port",
                           "X-Forwarded-Prefix",
                           "X-Real-IP",
                           "Forwarded",
                           "X-Request-Id",
                           "Via",
                           "Proxy",
                           "Proxy-Authorization",
                           "Authorization",
                           "Cookie",
                           "Keep-Alive",
                           "Proxy-Connection",
                           "TE",
                           "Upgrade",
                           "HTTP2-Settings",
                           "Trailer",
                           "X_Forwarded_For",
                           "X-Real_IP",
                           "X-Forwarded",
                           "X-Forwarded-",
                           "X-Forwarder-For",
                           "Proxys",
                           "X-A",
                           "X-B",
                           "Max-Forwards"};
constexpr std::array values{
    "", "1.1.1.1", "10.0.0.1, 2.2.2.2", "for=1.1.1.1", "for=\"[::1]\";proto=https", "\"", "https", "a b"};
constexpr std::array options{"close",          "keep-alive",        "Upgrade",    "TE", "Host",
                             "Content-Length", "Transfer-Encoding", "Connection", "",   "X-A;q=1"};

std::string lower(std::string text) {
    for (char& c : text) c = text::lower(c);
    return text;
}

bool one_of(const std::string& name, const std::set<std::string>& set) { return set.count(name) != 0; }

class Source {
 public:
    explicit Source(std::uint64_t seed) : random_(seed) {}
    bool one_in(std::uint64_t n) { return random_.next() % n == 0; }
    std::size_t below(std::size_t n) { return static_cast<std::size_t>(random_.next() % n); }
    template <class List>
    std::string any(const List& list) {
        return list[below(list.size())];
    }
    std::string in_any_case(std::string text) {
        for (char& c : text) {
            const bool letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
            if (letter && one_in(4)) c = static_cast<char>(c ^ 0x20);
        }
        return text;
    }
    Fields fields() {
        Fields out;
        const std::size_t count = below(12);
        for (std::size_t i = 0; i < count; i++) {
            if (one_in(4)) {
                out.emplace_back(in_any_case("Connection"), connection());
            } else {
                out.emplace_back(in_any_case(any(names)), any(values));
            }
        }
        return out;
    }

 private:
    std::string connection() {
        std::string out;
        const std::size_t count = below(7);
        for (std::size_t i = 0; i < count; i++) {
            if (i > 0) out += one_in(2) ? "," : " ,\t";
            out += in_any_case(one_in(3) ? any(options) : any(names));
        }
        return out;
    }
    Random random_;
};

std::string without_blanks(std::string text) {
    text.erase(0, text.find_first_not_of(" \t"));
    text.erase(text.find_last_not_of(" \t") + 1);
    return text;
}

struct Named {
    std::set<std::string> options;
    unsigned count = 0;
};
Named named_by_connection(const Fields& fields) {
    Named out;
    for (const auto& [name, value] : fields) {
        if (lower(name) != "connection") continue;
        std::string rest = value + ",";
        while (!rest.empty()) {
            const std::string option = without_blanks(rest.substr(0, rest.find(',')));
            rest.erase(0, rest.find(',') + 1);
            if (option.empty()) continue;
            out.options.insert(lower(option));
            out.count++;
        }
    }
    return out;
}

bool family(const std::string& name) { return name.rfind("x-forwarded-", 0) == 0 && name.size() > 12; }

bool passes(const std::string& name, const Named& named, const Forwarding& how,
            const std::vector<config::Edit>& edits) {
    const bool x = how.mode == config::Forwarded::x || how.mode == config::Forwarded::both;
    const bool rfc = how.mode == config::Forwarded::rfc7239 || how.mode == config::Forwarded::both;
    for (const config::Edit& edit : edits) {
        if (edit.kind != config::EditKind::add && lower(edit.name) == name && name != "host") return false;
    }
    if (name.find('_') != std::string::npos) return false;
    if (one_of(name, {"connection", "keep-alive", "proxy-connection", "te", "transfer-encoding", "upgrade",
                      "http2-settings", "expect", "proxy"})) {
        return false;
    }
    const bool immune = family(name) || one_of(name, {"host", "content-length", "transfer-encoding",
                                                      "x-real-ip", "forwarded", "x-request-id", "via"});
    if (one_of(name, named.options) && !immune) return false;
    if (name == "x-request-id" && !how.request_id.empty()) return false;
    if (how.mode == config::Forwarded::off) return true;
    if (!how.sender_trusted) return !family(name) && name != "x-real-ip" && name != "forwarded";
    return !(x && name == "x-forwarded-for") && !(rfc && name == "forwarded");
}

std::string joined(const Fields& fields, const std::string& wanted) {
    std::string out;
    for (const auto& [name, value] : fields) {
        if (lower(name) == wanted && !value.empty()) out += value + ", ";
    }
    return out;
}

bool there(const Fields& fields, const std::string& wanted) {
    return std::any_of(fields.begin(), fields.end(),
                       [&](const auto& field) { return lower(field.first) == wanted; });
}

std::string expected(const Fields& fields, const Forwarding& how, const std::vector<config::Edit>& edits) {
    const Named named = named_by_connection(fields);
    std::string out = "GET / HTTP/1.1\r\nHost: x.test\r\n";
    for (const auto& [name, value] : fields) {
        if (passes(lower(name), named, how, edits)) out += name + ": " + value + "\r\n";
    }
    const auto add = [&](const std::string& name, const std::string& value) {
        const bool edited = std::any_of(edits.begin(), edits.end(), [&](const config::Edit& edit) {
            return edit.kind != config::EditKind::add && lower(edit.name) == lower(name);
        });
        if (!edited) out += name + ": " + value + "\r\n";
    };
    if (how.mode == config::Forwarded::x || how.mode == config::Forwarded::both) {
        add("X-Forwarded-For", joined(fields, "x-forwarded-for") + "192.0.2.7");
        if (!how.sender_trusted || !there(fields, "x-forwarded-proto")) add("X-Forwarded-Proto", "http");
        if (!how.sender_trusted || !there(fields, "x-forwarded-host")) add("X-Forwarded-Host", "x.test");
    }
    if (how.mode == config::Forwarded::rfc7239 || how.mode == config::Forwarded::both) {
        // Of the values above these alone can stand in a list.
        bool good = true;
        for (const auto& [name, value] : fields) {
            if (lower(name) == "forwarded") good = good && (value.empty() || value.rfind("for=", 0) == 0);
        }
        add("Forwarded", (good ? joined(fields, "forwarded") : "") + "for=192.0.2.7;host=x.test;proto=http");
    }
    if (!how.request_id.empty()) add("X-Request-Id", std::string(how.request_id));
    if (how.via) add("Via", "1.1 lb");
    for (const config::Edit& edit : edits) {
        if (edit.kind != config::EditKind::remove)
            out += edit.name + ": " + edit.value.pieces[0].text + "\r\n";
    }
    return out + "\r\n";
}

// Of the names above, those of which a request may have one line only.
bool twice(const Fields& fields) {
    for (const char* name : {"authorization", "proxy-authorization", "max-forwards"}) {
        const auto lines = std::count_if(fields.begin(), fields.end(),
                                         [&](const auto& field) { return lower(field.first) == name; });
        if (lines > 1) return true;
    }
    return false;
}

TEST(HeadersOracle, WhatPassesIsWhatTheRulesSay) {
    const std::vector<std::vector<config::Edit>> routes{
        {},
        {},
        {set_field("X-Forwarded-Proto", "https"), remove_field("x-real-ip")},
        {add_field("Via", "1.0 r")},
        {set_field("Authorization", "r"), set_field("Proxy", "r"), remove_field("X-Request-Id")}};
    unsigned refused = 0;
    for (std::uint64_t seed = 1; seed <= 3'000; seed++) {
        Source source(seed);
        const Fields fields = source.fields();
        std::string text = "GET / HTTP/1.1\r\nHost: x.test\r\n";
        for (const auto& [name, value] : fields) text += name + ": " + value + "\r\n";
        text += "\r\n";
        http::RequestHead head;
        const auto result = http::parse_request(text, 0, {}, head);
        if (twice(fields)) {
            ASSERT_EQ(result.state, http::HeadResult::State::error) << text;
            continue;
        }
        if (named_by_connection(fields).count > 16) {
            ASSERT_EQ(result.state, http::HeadResult::State::error) << text;
            refused++;
            continue;
        }
        ASSERT_EQ(result.state, http::HeadResult::State::complete) << result.why << '\n' << text;
        head.upgrade = {};  // other tests have these two
        head.te_trailers = false;

        Forwarding how;
        constexpr std::array modes{config::Forwarded::off, config::Forwarded::x, config::Forwarded::rfc7239,
                                   config::Forwarded::both};
        how.mode = modes[source.below(modes.size())];
        how.sender_trusted = source.one_in(2);
        how.via = source.one_in(3);
        how.sender = "192.0.2.7";
        if (!source.one_in(3)) how.request_id = "id-1";
        const auto& edits = routes[source.below(routes.size())];
        std::string scratch;
        const RequestFacts none;
        how.edits = make_request_edits(scratch, edits, {none});

        std::string out(request_head_bound(head, how), '\0');
        http::Sink sink(out.data(), out.size());
        write_request_head(sink, head, how);
        ASSERT_FALSE(sink.overflow());
        ASSERT_EQ(sink.view(), expected(fields, how, edits))
            << "mode " << static_cast<int>(how.mode) << " trusted " << how.sender_trusted << '\n'
            << text;
    }
    EXPECT_GT(refused, 0U) << "too many options were never tried";
}

}  // namespace
}  // namespace lb
