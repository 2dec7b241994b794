// shared/config/pattern.cpp -- see pattern.h.
#include "shared/config/pattern.h"

#include <fmt/format.h>
#include <re2/re2.h>

#include <algorithm>
#include <array>

namespace lb::config {
namespace {

constexpr std::size_t longest_source = 4096;
constexpr int most_memory = 1 << 20;
constexpr std::size_t most_groups = 10;

re2::StringPiece piece(std::string_view text) noexcept { return {text.data(), text.size()}; }

re2::RE2::Options options() {
    // Latin-1 makes a character of every byte: what comes from outside need not be UTF-8.
    re2::RE2::Options out(re2::RE2::Latin1);
    out.set_log_errors(false);  // on standard error, past the error log
    out.set_max_mem(most_memory);
    // A path with %0A in it holds a line feed, and ".*" must not stop there.
    out.set_dot_nl(true);
    return out;
}

}  // namespace

Result<Pattern, std::string> Pattern::compile(std::string_view text) {
    if (text.size() > longest_source) {
        return Failed{fmt::format("the pattern is longer than {} bytes", longest_source)};
    }
    auto compiled = std::make_shared<const re2::RE2>(piece(text), options());
    if (!compiled->ok()) return Failed{compiled->error()};
    Pattern pattern;
    pattern.source_ = text;
    pattern.compiled_ = std::move(compiled);
    return pattern;
}

bool Pattern::matches(std::string_view text) const noexcept {
    return compiled_ && compiled_->Match(piece(text), 0, text.size(), re2::RE2::UNANCHORED, nullptr, 0);
}

bool Pattern::match(std::string_view text, std::span<std::string_view> groups) const noexcept {
    if (!compiled_) return false;
    std::array<re2::StringPiece, most_groups> found;
    const std::size_t wanted = std::min(groups.size(), found.size());
    if (!compiled_->Match(piece(text), 0, text.size(), re2::RE2::UNANCHORED, found.data(),
                          static_cast<int>(wanted))) {
        return false;
    }
    for (std::size_t i = 0; i < groups.size(); i++) {
        const bool set = i < wanted && found[i].data() != nullptr;
        groups[i] = set ? std::string_view(found[i].data(), found[i].size()) : std::string_view{};
    }
    return true;
}

unsigned Pattern::captures() const noexcept {
    return compiled_ ? static_cast<unsigned>(compiled_->NumberOfCapturingGroups()) : 0;
}

}  // namespace lb::config
