// worker/log/escape.h -- values from outside as they stand in a log line. Pure.
// Never: lets a value end a line or a quoted text, or forge what follows.
#pragma once
#include <string>
#include <string_view>

namespace lb {

// Printable ASCII but quote and backslash stays; every other byte becomes \xHH, as in nginx's logs.
void append_text_escaped(std::string& out, std::string_view value);
// What stands between the quotes of a JSON string, always valid: quote, backslash, control bytes and DEL escaped, valid
// UTF-8 as it is, and each byte that is none as \u00HH.
void append_json_escaped(std::string& out, std::string_view value);
// The first `most` bytes, fewer when that would cut a UTF-8 sequence.
std::string_view cut(std::string_view value, std::size_t most) noexcept;

}  // namespace lb
