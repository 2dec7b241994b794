// shared/route/path.cpp -- see path.h. Sources: RFC 3986 2.1 (escapes), 5.2.4 (dot segments), 6.2.2.
#include "shared/route/path.h"

namespace lb::route {
namespace {

constexpr int hex_value(char c) noexcept {
    if (c >= '0' && c <= '9') return c - '0';
    if (c >= 'a' && c <= 'f') return c - 'a' + 10;
    if (c >= 'A' && c <= 'F') return c - 'A' + 10;
    return -1;
}

// The byte at the front of `text`, an escape taken as one, and moves past it. `text` must not be empty.
char take_byte(std::string_view& text) noexcept {
    const char c = text.front();
    if (c == '%' && text.size() >= 3) {
        const int high = hex_value(text[1]);
        const int low = hex_value(text[2]);
        if (high >= 0 && low >= 0) {
            text.remove_prefix(3);
            return static_cast<char>(high * 16 + low);
        }
    }
    text.remove_prefix(1);
    return c;
}

char take_parameter_byte(std::string_view& text) noexcept {
    if (text.front() != '+') return take_byte(text);
    text.remove_prefix(1);
    return ' ';
}

// `out` ends in a whole segment: "." goes, ".." goes with the segment before it. `out` ends in a slash then.
void end_segment(std::string& out) {
    const std::size_t slash = out.rfind('/');
    const std::string_view last = std::string_view(out).substr(slash + 1);
    if (last == ".") {
        out.resize(slash + 1);
    } else if (last == "..") {
        out.resize(slash == 0 ? 1 : out.rfind('/', slash - 1) + 1);
    }
}

}  // namespace

std::string_view normalise(std::string_view target, std::string& scratch) {
    // Most paths are in compared form already; one pass finds the end and says so.
    std::size_t end = 0;
    bool as_it_is = target.starts_with('/');
    for (; end < target.size() && target[end] != '?'; end++) {
        const char c = target[end];
        if (c == '%') {
            as_it_is = false;
        } else if (c == '/' && end + 1 < target.size()) {
            const char next = target[end + 1];
            if (next == '/' || next == '.') as_it_is = false;
        }
    }
    std::string_view path = target.substr(0, end);
    if (as_it_is) return path;

    scratch.clear();
    scratch.reserve(path.size() + 1);
    scratch += '/';
    while (!path.empty()) {
        const char c = take_byte(path);
        if (c != '/') {
            scratch += c;
            continue;
        }
        end_segment(scratch);
        if (scratch.back() != '/') scratch += '/';
    }
    end_segment(scratch);
    return scratch;
}

std::string_view query_of(std::string_view target) noexcept {
    const std::size_t mark = target.find('?');
    return mark == std::string_view::npos ? std::string_view{} : target.substr(mark + 1);
}

bool has_prefix(std::string_view path, std::string_view prefix) noexcept {
    if (!prefix.starts_with('/') || !path.starts_with(prefix)) return false;
    return prefix.ends_with('/') || path.size() == prefix.size() || path[prefix.size()] == '/';
}

void decode_parameter(std::string_view text, std::string& out) {
    out.clear();
    out.reserve(text.size());
    while (!text.empty()) out += take_parameter_byte(text);
}

bool decodes_to(std::string_view text, std::string_view wanted) noexcept {
    for (const char c : wanted) {
        if (text.empty() || take_parameter_byte(text) != c) return false;
    }
    return text.empty();
}

}  // namespace lb::route
