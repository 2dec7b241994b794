// master/explain_lines.h -- how an explanation is set: "label     text", and further texts under the first. Pure.
#pragma once
#include <fmt/format.h>

#include <algorithm>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "shared/base/text.h"

namespace lb {

// What came from outside, so that it cannot steer a terminal.
inline std::string escaped(std::string_view text) {
    std::string out;
    text::append_escaped(out, text);
    return out;
}

class Lines {
 public:
    using Rows = std::vector<std::pair<std::string, std::string>>;

    explicit Lines(std::vector<std::string>& lines) : lines_(lines) {}
    void add(std::string_view label, std::string_view text) {
        lines_.push_back(fmt::format("{:<10}{}", label, text));
    }
    // Rows of two columns, the first as wide as its longest within reason.
    void table(std::string_view label, const Rows& rows) {
        constexpr std::size_t widest = 40;
        std::size_t width = 0;
        for (const auto& row : rows) width = std::max(width, std::min(row.first.size(), widest));
        for (const auto& [name, text] : rows) {
            add(label, fmt::format("{:<{}}  {}", name, width, text));
            label = "";
        }
    }

 private:
    std::vector<std::string>& lines_;
};

}  // namespace lb
