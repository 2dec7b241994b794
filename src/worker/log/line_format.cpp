#include "worker/log/line_format.h"

#include <algorithm>
#include <array>

#include "worker/log/escape.h"

namespace lb {
namespace {

using config::Variable;

// A captured value is its length in two bytes, low one first, and its bytes.
constexpr std::size_t mark_size = 2;
static_assert(LineFormat::most_value <= 0xffff);

std::array<char, mark_size> mark(std::size_t size) noexcept {
    return {static_cast<char>(size & 0xff), static_cast<char>(size >> 8)};
}

// The next value; "" when the capture has none, as that of an exchange which did not come so far.
std::string_view take(std::string_view& capture) noexcept {
    if (capture.size() < mark_size) return {};
    const std::size_t size = static_cast<unsigned char>(capture[0]) |
                             static_cast<std::size_t>(static_cast<unsigned char>(capture[1])) << 8;
    capture.remove_prefix(mark_size);
    if (size > capture.size()) {
        capture = {};
        return {};
    }
    const std::string_view value = capture.substr(0, size);
    capture.remove_prefix(size);
    return value;
}

bool captured_with_the_head(Variable variable) noexcept {
    return is_of_request_head(variable) || variable == Variable::client_addr ||
           variable == Variable::client_port || variable == Variable::scheme ||
           variable == Variable::request_id;
}

// Different ones of these never lie over each other in the head.
constexpr bool is_apart(Variable variable) noexcept {
    return variable == Variable::http || variable == Variable::cookie || variable == Variable::arg;
}

// A literal is the operator's; that it holds no newline is the reader's promise, that a line is a line is ours.
std::string on_one_line(std::string text) {
    std::erase_if(text, [](char c) { return c == '\n' || c == '\r' || c == '\0'; });
    return text;
}

}  // namespace

LineFormat::LineFormat(const config::AccessLog& log) : escape_(log.escape) {
    std::array<std::size_t, 3> copies{};
    parts_.reserve(log.format.pieces.size());
    for (const config::Piece& piece : log.format.pieces) {
        Part part;
        part.piece = piece;
        part.number = is_number(piece.variable);
        if (piece.variable == Variable::text) {
            part.piece.text = on_one_line(piece.text);
        } else if (captured_with_the_head(piece.variable)) {
            part.from = From::request_capture;
        } else if (piece.variable == Variable::response_header) {
            part.from = From::answer_capture;
            answer_parts_ = true;
        } else {
            part.from = From::facts;
        }
        unix_time_ = unix_time_ || piece.variable == Variable::time_unix;
        address_ = address_ || piece.variable == Variable::backend_addr;
        if (is_apart(piece.variable)) {
            const auto same = static_cast<std::size_t>(
                std::count(log.format.pieces.begin(), log.format.pieces.end(), piece));
            std::size_t& most = copies[piece.variable == Variable::http     ? 0
                                       : piece.variable == Variable::cookie ? 1
                                                                            : 2];
            most = std::max(most, same);
        }
        parts_.push_back(std::move(part));
    }
    copies_ = copies[0] + copies[1] + copies[2];
}

std::string_view LineFormat::request_value(const Part& part, const RequestFacts& request,
                                           std::string_view line, ValueRoom& room,
                                           std::string_view& before) const noexcept {
    if (part.piece.variable == Variable::request && request.head == nullptr) return cut(line, most_value);
    const Value value = value_of(part.piece, {request}, room);
    before = value.before;
    return cut(value.text, most_value - value.before.size());
}

std::size_t LineFormat::capture_bound(const RequestFacts& request, std::string_view line) const noexcept {
    ValueRoom room;
    std::size_t bound = request.head == nullptr ? 0 : copies_ * request.head->bytes;
    for (const Part& part : parts_) {
        if (part.from != From::request_capture) continue;
        bound += mark_size;
        if (is_apart(part.piece.variable)) continue;
        std::string_view before;
        bound += request_value(part, request, line, room, before).size();
        bound += before.size();
    }
    return bound;
}

void LineFormat::capture_request(http::Sink& out, const RequestFacts& request,
                                 std::string_view line) const noexcept {
    ValueRoom room;
    for (const Part& part : parts_) {
        if (part.from != From::request_capture) continue;
        std::string_view before;
        const std::string_view value = request_value(part, request, line, room, before);
        const auto length = mark(before.size() + value.size());
        out.put({length.data(), length.size()});
        out.put(before);
        out.put(value);
    }
}

void LineFormat::capture_answer_parts(std::string& out, const AnswerFacts& answer) const {
    out.clear();
    ValueRoom room;
    for (const Part& part : parts_) {
        if (part.from != From::answer_capture) continue;
        const std::string_view value = cut(value_of(part.piece, {{}, &answer}, room).text, most_value);
        const auto length = mark(value.size());
        out.append(length.data(), length.size());
        out.append(value);
    }
}

void LineFormat::append_line(std::string& out, std::string_view request_capture,
                             std::string_view answer_capture, const RequestFacts& request,
                             const AnswerFacts& answer, const EndFacts& end) const {
    const std::size_t begin = out.size();
    const Facts facts{request, &answer, &end};
    ValueRoom room;
    for (const Part& part : parts_) {
        std::string_view value;
        switch (part.from) {
            case From::literal: out += part.piece.text; continue;
            case From::request_capture: value = take(request_capture); break;
            case From::answer_capture: value = take(answer_capture); break;
            case From::facts: value = value_of(part.piece, facts, room).text; break;
        }
        if (out.size() - begin > most_line && !part.number) value = {};
        append_value(out, part, value);
    }
    out += '\n';
}

void LineFormat::append_value(std::string& out, const Part& part, std::string_view value) const {
    if (part.number) {
        // "000", which stands for no status, is no number of JSON.
        if (escape_ == config::LogEscape::json && (value.empty() || value == "000")) value = "null";
        out += value.empty() ? std::string_view("-") : value;
    } else if (escape_ == config::LogEscape::json) {
        append_json_escaped(out, cut(value, most_value));
    } else if (value.empty()) {
        out += '-';
    } else {
        append_text_escaped(out, cut(value, most_value));
    }
}

}  // namespace lb
