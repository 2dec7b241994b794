// worker/variables/evaluate.h -- templates to text. Pure.
// Never: lets a value end a header line: append_line() leaves control bytes out. Allocates but for the text appended.
#pragma once
#include <array>
#include <span>
#include <string>
#include <string_view>

#include "shared/config/template.h"
#include "worker/variables/facts.h"

namespace lb {

struct Facts {
    const RequestFacts& request;
    const AnswerFacts* answer = nullptr;  // null: not known yet
    const EndFacts* end = nullptr;
    std::span<const std::string_view> captures{};  // [1] is $1
};

// Appends the text of one piece, raw; a value that is not known is "".
void append_value(std::string& out, const config::Piece& piece, const Facts& facts);
// Appends the whole template, for a header or a redirect: control bytes of values are left out, so that the result is
// always one line. False, and nothing is appended, when that takes more than `most` bytes: half a value is a wrong one.
// The bound is beyond what heads can hold; they have bounds of their own.
inline constexpr std::size_t line_max = 65536;
[[nodiscard]] bool append_line(std::string& out, const config::Template& text, const Facts& facts,
                               std::size_t most = line_max);

// Room for a value that is made rather than found: a number, a time, a host in lower case.
using ValueRoom = std::array<char, 256>;
// A value as up to two neighbours, for whoever does not append it to a string. `before` is "/" for the $request_uri of an
// absolute target without a path ("http://h?x"), otherwise empty. Views into the facts, the piece or the room.
struct Value {
    std::string_view text;
    std::string_view before{};
};
Value value_of(const config::Piece& piece, const Facts& facts, ValueRoom& room) noexcept;

// Whether a variable is a number wherever it is known; JSON writes those without quotes.
bool is_number(config::Variable variable) noexcept;
// Whether it is made of RequestFacts::head.
bool is_of_request_head(config::Variable variable) noexcept;
// Who ended it: "client", "backend" or "lb"; "" for End::done.
std::string_view side(End end) noexcept;

}  // namespace lb
