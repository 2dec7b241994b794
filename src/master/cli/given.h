// master/cli/given.h -- the words of the command line as they stand there: which flags, with which values, what else.
// Owns:  the table of flags and how they may be spelt.
// Never: knows what a flag or a word means, or which of them go together (options.cpp does).
#pragma once
#include <cstddef>
#include <iterator>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "master/cli/options.h"

namespace lb::cli {

// The order is the one of --help. --manual is for the build and not in it.
enum FlagId : std::size_t {
    config_flag,
    test_flag,
    dump_flag,
    set_flag,
    prefix_flag,
    signal_flag,
    quiet_flag,
    header_flag,
    from_flag,
    listener_flag,
    json_flag,
    wait_flag,
    backends_flag,
    port_flag,
    version_flag,
    build_flag,
    help_flag,
    manual_flag,
    flag_count,
};

inline constexpr std::string_view command_names[] = {"explain", "status", "backend"};

struct Given {
    std::vector<std::string> values[flag_count];     // "" for each use of a flag without a value
    std::size_t command = std::size(command_names);  // of them; all: none was there
    std::vector<std::string> words;                  // behind it, flags aside
    [[nodiscard]] bool has_command() const noexcept { return command < std::size(command_names); }
    [[nodiscard]] bool has(FlagId id) const noexcept { return !values[id].empty(); }
    // The last one; the caller knows that there is one.
    [[nodiscard]] const std::string& of(FlagId id) const noexcept { return values[id].back(); }
};

using Message = std::optional<std::string>;  // what is wrong, or nothing

// Walks the arguments once.
Message scan(std::span<char*> arguments, Given& given);
// As a message names a flag: -c, or --port.
std::string spelling(std::size_t id);

}  // namespace lb::cli
