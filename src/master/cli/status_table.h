// master/cli/status_table.h -- the JSON of lb status as a table for people. Pure: time, width and colour are arguments.
// Never: breaks a line where the terminal would; shows a control byte of a name.
#pragma once
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "shared/base/result.h"

namespace lb::cli {

struct TableStyle {
    std::int64_t now = 0;     // unix seconds
    std::size_t columns = 0;  // of the terminal; 80 at least and 100 at most are used
    bool color = false;
};

// The error is a sentence: what is no status.
Result<std::string, std::string> status_table(std::string_view json, const TableStyle& style);

// "12s", "5m", "3h", "20d": short, in the largest unit that fits twice, or once below a minute. Negative: "0s".
std::string short_time(std::int64_t seconds);

}  // namespace lb::cli
