// tests/fuzz/message.h -- one message as a parser saw it, in a form that two parsers can be compared in, and lb's own
// view of it.
// Never: knows the other parser (llhttp_peer.h) or which differences are allowed (differences.h).
#pragma once
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "forward.h"

namespace lb::fuzz {

enum class Outcome : std::uint8_t { incomplete, refused, accepted };

struct Message {
    Outcome head = Outcome::incomplete;
    std::string why{};  // it was refused: head or body
    std::string method{};
    std::string target{};  // as it stands in the request line
    unsigned status = 0;
    std::vector<std::pair<std::string, std::string>> fields{};  // values without blanks around them
    std::size_t head_bytes = 0;
    http::Framing framing{};
    bool keep_alive = false;
    bool upgrade = false;  // what follows the message is another protocol

    Outcome body = Outcome::incomplete;
    std::string payload{};
    std::vector<std::pair<std::string, std::string>> trailers{};
    std::size_t end = 0;  // where the next message begins
};

inline std::string_view trim_blanks(std::string_view s) {
    const std::size_t begin = s.find_first_not_of(" \t");
    return begin == std::string_view::npos ? std::string_view{}
                                           : s.substr(begin, s.find_last_not_of(" \t") - begin + 1);
}

// As received: the host of an absolute target stands in a Field in place of what came.
inline void copy_fields(Message& out, const std::vector<http::Field>& fields) {
    for (const http::Field& field : fields) {
        std::string_view value = field.line;
        value.remove_prefix(field.name.size() + 1);
        value.remove_suffix(2);
        out.fields.emplace_back(field.name, trim_blanks(value));
    }
}

inline std::vector<std::pair<std::string, std::string>> split_lines(std::string_view lines) {
    std::vector<std::pair<std::string, std::string>> out;
    while (!lines.empty()) {
        const std::size_t end = lines.find("\r\n");
        const std::size_t colon = lines.find(':');
        require(end != std::string_view::npos && colon < end, "trailers are lines");
        out.emplace_back(lines.substr(0, colon), trim_blanks(lines.substr(colon + 1, end - colon - 1)));
        lines.remove_prefix(end + 2);
    }
    return out;
}

inline void read_body(Message& out, std::string_view rest) {
    std::size_t used = 0;
    switch (out.framing.kind) {
        case http::BodyKind::none: out.body = Outcome::accepted; break;
        case http::BodyKind::until_close:
            out.body = Outcome::accepted;
            out.payload = rest;
            used = rest.size();
            break;
        case http::BodyKind::length:
            used = static_cast<std::size_t>(std::min<std::uint64_t>(rest.size(), out.framing.length));
            out.payload = rest.substr(0, used);
            out.body = used == out.framing.length ? Outcome::accepted : Outcome::incomplete;
            break;
        case http::BodyKind::chunked: {
            http::ChunkedDecoder decoder;
            std::string lines;
            while (used < rest.size() && out.body == Outcome::incomplete) {
                const auto step = decoder.next(rest.substr(used));
                used += step.consumed;
                using State = http::ChunkedDecoder::State;
                if (step.state == State::data) out.payload += step.data;
                if (step.state == State::trailer) lines += step.data;
                if (step.state == State::error) out.body = Outcome::refused;
                if (step.state == State::end) out.body = Outcome::accepted;
            }
            if (out.body == Outcome::refused) out.why = "a chunked body";
            if (out.body == Outcome::accepted) out.trailers = split_lines(lines);
            break;
        }
    }
    out.end = out.head_bytes + used;
}

inline Message begin_message(const http::HeadResult& result) {
    Message out;
    using State = http::HeadResult::State;
    out.head = result.state == State::complete ? Outcome::accepted
               : result.state == State::error  ? Outcome::refused
                                               : Outcome::incomplete;
    out.why = result.why;
    out.head_bytes = result.consumed;
    return out;
}

// `head` is left with views into `bytes`.
inline Message read_request(std::string_view bytes, http::RequestHead& head) {
    Message out = begin_message(parse_request(bytes, 0, {}, head));
    if (out.head != Outcome::accepted) return out;
    const std::size_t blank = head.line.find(' ');
    out.method = head.method_text;
    out.target = head.line.substr(blank + 1, head.line.rfind(' ') - blank - 1);
    copy_fields(out, head.fields);
    out.framing = head.body;
    out.keep_alive = head.keep_alive;
    out.upgrade = !head.upgrade.empty();
    read_body(out, bytes.substr(out.head_bytes));
    return out;
}

inline Message read_response(std::string_view bytes, http::Method request) {
    http::ResponseHead head;
    Message out = begin_message(parse_response(bytes, 0, {}, request, head));
    if (out.head != Outcome::accepted) return out;
    out.status = head.status;
    copy_fields(out, head.fields);
    out.framing = head.body;
    out.keep_alive = head.keep_alive;
    out.upgrade = head.status == 101;
    read_body(out, bytes.substr(out.head_bytes));
    return out;
}

}  // namespace lb::fuzz
