// shared/route/rewrite.cpp -- see rewrite.h. Sources: RFC 3986 2.1, 2.3, 3.3, 5.2.4.
#include "shared/route/rewrite.h"

#include <algorithm>

#include "shared/http/chars.h"
#include "shared/route/path.h"

namespace lb::route {
namespace {

namespace chars = http::chars;

bool stands(char c, Encoding encoding) noexcept {
    switch (encoding) {
        case Encoding::target: return chars::is(c, chars::target);
        case Encoding::uri: {
            constexpr std::string_view not_in_uris = "\"<>\\^`{|}";
            return c == '#' || (chars::is(c, chars::target) && not_in_uris.find(c) == std::string_view::npos);
        }
        case Encoding::path: {
            constexpr std::string_view others = "/!$&'()*+,;=:@";
            return chars::is(c, chars::host) || others.find(c) != std::string_view::npos;
        }
    }
    return false;
}

bool escape_at(std::string_view text, std::size_t at) noexcept {
    return text[at] == '%' && at + 2 < text.size() && chars::is(text[at + 1], chars::hex) &&
           chars::is(text[at + 2], chars::hex);
}

std::size_t decoded_size(std::string_view path) noexcept {
    std::size_t size = 0;
    for (std::size_t at = 0; at < path.size(); at += escape_at(path, at) ? 3 : 1) size++;
    return size;
}

// Whether a segment of it, escapes decoded, is "." or "..".
bool has_dot_segment(std::string_view path) noexcept {
    std::size_t dots = 0;
    bool only_dots = true;
    const auto ends = [&] { return only_dots && (dots == 1 || dots == 2); };
    while (!path.empty()) {
        const bool escape = escape_at(path, 0);
        const std::string_view one = path.substr(0, escape ? 3 : 1);
        path.remove_prefix(one.size());
        if (one == "/" || one == "%2F" || one == "%2f") {
            if (ends()) return true;
            dots = 0;
            only_dots = true;
        } else if (one == "." || one == "%2E" || one == "%2e") {
            dots++;
        } else {
            only_dots = false;
        }
    }
    return ends();
}

// Resolves dot segments of what values brought into a new path, so that it stays below the text the template begins with.
void keep_below(std::string& made, const config::Template& to) {
    const std::size_t end = std::min(made.find('?'), made.size());
    std::size_t fixed = 0;
    if (!to.pieces.empty() && to.pieces.front().variable == config::Variable::text) {
        fixed = std::min(to.pieces.front().text.size(), end);
    }
    const std::size_t slash = fixed == 0 ? std::string::npos : made.rfind('/', fixed - 1);
    const std::size_t segment = slash == std::string::npos ? 0 : slash + 1;
    if (!has_dot_segment(std::string_view(made).substr(segment, end - segment))) return;
    std::string scratch;
    const std::string_view behind = std::string_view(made).substr(fixed, end - fixed);
    const bool slashed = behind.starts_with('/');
    const std::string rooted = (slashed ? "" : "/") + std::string(behind);
    std::string kept;
    append_encoded(kept, normalise(rooted, scratch).substr(slashed ? 0 : 1), Encoding::path);
    made.replace(fixed, end - fixed, kept);
}

std::string_view path_of(const http::RequestHead& head) noexcept {
    return head.target_needs_slash ? "/" : head.target.substr(0, head.target.find('?'));
}

}  // namespace

Found::Found(const config::Pattern& pattern, const http::RequestHead& head) {
    if (head.target == "*") return;
    const std::string_view path = path_of(head);
    const std::string_view copy = normalise(path, copy_);
    // Whatever else than decoding made the copy, made it shorter.
    const bool as_it_came = decoded_size(path) == copy.size();
    matched_ = as_it_came && pattern.match(path, groups_);
    if (matched_ || copy == path) return;
    matched_ = in_copy_ = pattern.match(copy, groups_);
    if (matched_) encode();
}

void Found::encode() {
    std::size_t most = 0;
    for (const std::string_view group : groups_) most += 3 * group.size();
    encoded_.reserve(most);  // the groups are views of it while it grows
    for (std::string_view& group : groups_) {
        const std::size_t begin = encoded_.size();
        append_encoded(encoded_, group, Encoding::path);
        group = {encoded_.data() + begin, encoded_.size() - begin};
    }
}

bool make_target(std::string& target, std::string made, const config::Template& to,
                 const http::RequestHead& head) {
    keep_below(made, to);
    target.clear();
    if (!made.starts_with('/')) target = "/";
    append_encoded(target, made, Encoding::target);
    const std::size_t mark = head.target.find('?');
    if (made.find('?') == std::string::npos && mark != std::string_view::npos)
        target += head.target.substr(mark);
    return target.size() <= target_max;
}

void append_encoded(std::string& out, std::string_view text, Encoding encoding) {
    for (const char c : text) {
        if (stands(c, encoding)) {
            out += c;
            continue;
        }
        constexpr std::string_view digits = "0123456789ABCDEF";
        const auto byte = static_cast<unsigned char>(c);
        out += '%';
        out += digits[byte >> 4];
        out += digits[byte & 15];
    }
}

}  // namespace lb::route
