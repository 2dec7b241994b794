// tests/fuzz/head_checks.h -- what must hold for every head the parser calls complete, whatever the bytes were.
// Never: repeats the parser's own code: the properties are stated by other means.
#pragma once
#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <string_view>
#include <vector>

#include "shared/http/http1_parser.h"

namespace lb::fuzz {

inline void require(bool holds, const char* what) {
    if (holds) return;
    std::fprintf(stderr, "property does not hold: %s\n", what);
    std::abort();
}

inline bool inside(std::string_view part, std::string_view whole) {
    return part.data() >= whole.data() && part.data() + part.size() <= whole.data() + whole.size();
}

inline bool token_byte(char c) {
    if ((c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z')) return true;
    return c != '\0' && std::string_view("!#$%&'*+-.^_`|~").find(c) != std::string_view::npos;
}

// The lines of the fields, one after the other, are the received bytes between the first line and the empty one.
// `head` begins with the first line. Each part lies inside its line, and no byte is there that could end a line.
inline void check_fields(std::string_view head, const std::vector<http::Field>& fields) {
    require(head.ends_with("\r\n\r\n"), "a head ends with an empty line");
    const std::size_t first_line = head.find("\r\n");
    std::string_view rest = head.substr(first_line + 2);
    for (const http::Field& field : fields) {
        require(field.line.data() == rest.data(), "a field begins where the one before it ended");
        require(inside(field.line, head), "a line lies inside the head");
        require(field.line.ends_with("\r\n"), "a line has its CRLF");
        // Of an absolute target: its host stands in place of the Host field's.
        const bool of_target =
            field.id == http::FieldId::host && inside(field.value, head.substr(0, first_line));
        require(inside(field.name, field.line) && (inside(field.value, field.line) || of_target),
                "name and value are in the line");
        require(!field.name.empty() && std::all_of(field.name.begin(), field.name.end(), token_byte),
                "a name is a token");
        require(field.line.substr(field.name.size()).starts_with(':'), "the colon follows the name");
        require(std::all_of(
                    field.value.begin(), field.value.end(),
                    [](char c) { return c == '\t' || (static_cast<unsigned char>(c) >= 0x20 && c != 0x7f); }),
                "a value has no control byte");
        require(field.value.empty() || (field.value.front() != ' ' && field.value.front() != '\t' &&
                                        field.value.back() != ' ' && field.value.back() != '\t'),
                "a value has no blanks around it");
        require(field.id == http::field_id(field.name), "the id is that of the name");
        rest.remove_prefix(field.line.size());
    }
    require(rest == "\r\n", "nothing but the empty line follows the fields");
}

inline bool same_fields(const std::vector<http::Field>& a, const std::vector<http::Field>& b) {
    return std::equal(a.begin(), a.end(), b.begin(), b.end(), [](const http::Field& x, const http::Field& y) {
        return x.name == y.name && x.value == y.value && x.line == y.line && x.id == y.id &&
               x.ends_here == y.ends_here;
    });
}

inline std::size_t count(const std::vector<http::Field>& fields, http::FieldId id) {
    return static_cast<std::size_t>(
        std::count_if(fields.begin(), fields.end(), [id](const http::Field& f) { return f.id == id; }));
}

// A copy without a byte too many, so that the address sanitizer sees a read beyond it.
class Exact {
 public:
    explicit Exact(std::string_view bytes) : bytes_(bytes.begin(), bytes.end()) {}
    [[nodiscard]] std::string_view view() const { return {bytes_.data(), bytes_.size()}; }

 private:
    std::vector<char> bytes_;
};

// Feeds ever longer prefixes, `step` bytes longer each, until parse(prefix, seen) is not incomplete.
template <class Parse>
http::HeadResult in_pieces(std::string_view bytes, std::size_t step, Parse parse) {
    std::size_t seen = 0;
    while (true) {
        const std::size_t size = std::min(seen + step, bytes.size());
        const http::HeadResult result = parse(bytes.substr(0, size), seen);
        if (result.state != http::HeadResult::State::incomplete || size == bytes.size()) return result;
        seen = size;
    }
}

// Pieces may hide an error until the end of the head turns up, and nothing else.
inline void check_pieces(const http::HeadResult& whole, const http::HeadResult& pieces) {
    using State = http::HeadResult::State;
    if (whole.state == State::error) {
        require(pieces.state != State::complete, "what is refused whole is not accepted in pieces");
    } else {
        require(pieces.state == whole.state, "pieces end as the whole does");
        require(pieces.consumed == whole.consumed, "pieces use up as much as the whole");
    }
}

}  // namespace lb::fuzz
