// tests/unit/config/support.h -- short names for what these tests do most: load text, look at its mistakes.
#pragma once
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <stdlib.h>

#include <filesystem>
#include <fstream>
#include <string>
#include <string_view>
#include <vector>

#include "master/config/parser.h"

namespace lb::config {

// The smallest file that loads; sections may follow it.
inline const std::string smallest =
    "[listener web]\nbind = 127.0.0.1:3030\npool = app\n[pool app]\nbackend = 127.0.0.1:8081\n";

inline std::vector<std::string> shown(const Errors& errors) {
    std::vector<std::string> out;
    for (const ConfigError& error : errors) out.push_back(show(error));
    return out;
}
// The mistakes of a text as they are shown; none when it loads.
inline std::vector<std::string> mistakes(std::string_view text) {
    const auto loaded = load_text(text);
    return loaded ? std::vector<std::string>{} : shown(loaded.error());
}
// The settings of a text that must load.
inline Config loaded(std::string_view text) {
    auto result = load_text(text);
    if (!result) {
        for (const std::string& line : shown(result.error())) ADD_FAILURE() << line;
        return {};
    }
    return std::move(result).value().config;
}

// A directory of its own, gone with the test.
class Directory {
 public:
    Directory() {
        std::string name = (std::filesystem::temp_directory_path() / "lb-config-XXXXXX").string();
        path_ = mkdtemp(name.data());
    }
    Directory(const Directory&) = delete;
    Directory& operator=(const Directory&) = delete;
    ~Directory() {
        std::error_code ignored;
        std::filesystem::remove_all(path_, ignored);
    }
    [[nodiscard]] std::string path(const std::string& name = {}) const {
        return name.empty() ? path_ : path_ + "/" + name;
    }
    std::string write(const std::string& name, const std::string& text) const {
        std::filesystem::create_directories(std::filesystem::path(path(name)).parent_path());
        std::ofstream(path(name), std::ios::binary) << text;
        return path(name);
    }

 private:
    std::string path_;
};

}  // namespace lb::config
