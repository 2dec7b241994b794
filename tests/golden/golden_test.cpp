// tests/golden/golden_test.cpp -- files to what they come to: each cases/NAME.ini against cases/NAME.expected.
// The second holds the warnings as comments and the text of lb -T, or one line for each mistake. After a wanted change
// LB_UPDATE=1 writes the expected files anew; read the difference before you keep it.
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <string>
#include <vector>

#include "master/config/parser.h"

namespace lb::config {
namespace {

namespace fs = std::filesystem;

const std::string cases = "tests/golden/cases";  // from the top of the source tree

std::vector<std::string> names() {
    std::vector<std::string> out;
    for (const auto& entry : fs::directory_iterator(cases)) {
        if (entry.path().extension() == ".ini") out.push_back(entry.path().stem().string());
    }
    std::sort(out.begin(), out.end());
    return out;
}

std::string read(const std::string& path) {
    std::ifstream in(path, std::ios::binary);
    std::stringstream bytes;
    bytes << in.rdbuf();
    return bytes.str();
}

// Paths below the working directory are relative to it, so that no file of expectations knows where the tree is.
std::string without_directory(std::string text) {
    const std::string here = fs::current_path().string() + "/";
    for (std::size_t at = text.find(here); at != std::string::npos; at = text.find(here, at)) {
        text.erase(at, here.size());
    }
    return text;
}

Source source_of(const std::string& name) {
    return {.file = cases + "/" + name + ".ini", .directory = fs::current_path().string()};
}

std::string outcome(const std::string& name) {
    const auto loaded = load(source_of(name));
    std::string out;
    if (!loaded) {
        for (const ConfigError& error : loaded.error()) out += show(error) + "\n";
        return without_directory(out);
    }
    for (const std::string& warning : loaded.value().warnings) out += "# " + warning + "\n";
    return without_directory(out + dump(loaded.value().config));
}

class Golden : public testing::TestWithParam<std::string> {};

TEST_P(Golden, ComesToWhatIsExpected) {
    const std::string path = cases + "/" + GetParam() + ".expected";
    const std::string out = outcome(GetParam());
    if (std::getenv("LB_UPDATE") != nullptr) std::ofstream(path, std::ios::binary) << out;
    EXPECT_EQ(out, read(path)) << path;
}

TEST_P(Golden, WhatItPrintsLoadsToTheSame) {
    const auto loaded = load(source_of(GetParam()));
    if (!loaded) GTEST_SKIP() << "a case of mistakes";
    const auto again = load_text(dump(loaded.value().config));
    ASSERT_TRUE(again) << show(again.error()[0]);
    EXPECT_EQ(again.value().config, loaded.value().config);
}

INSTANTIATE_TEST_SUITE_P(Cases, Golden, testing::ValuesIn(names()),
                         [](const auto& info) { return info.param; });

TEST(Shipped, FileLoadsWithoutAWarning) {
    const auto loaded = load({.file = "etc/lb.ini"});
    ASSERT_TRUE(loaded) << show(loaded.error()[0]);
    EXPECT_TRUE(loaded.value().warnings.empty()) << loaded.value().warnings[0];
}

// What the example promises when its comments are taken away is part of it.
TEST(Shipped, FileLoadsWithItsCommentedKeysToo) {
    std::istringstream in(read("etc/lb.ini"));
    std::string text;
    std::size_t uncommented = 0;
    for (std::string line; std::getline(in, line); text += line + "\n") {
        if (line.starts_with("include = ")) line.insert(0, "#");  // a text includes nothing
        const bool key = line.starts_with("# ") && line.find(" = ") != std::string::npos;
        if (!key && !line.starts_with("# [")) continue;
        line.erase(0, 2);
        uncommented++;
    }
    EXPECT_GE(uncommented, 5u);
    const auto loaded = load_text(text, "etc/lb.ini");
    ASSERT_TRUE(loaded) << show(loaded.error()[0]);
    EXPECT_EQ(loaded.value().config.pools[0].backends.size(), 3u);
}

}  // namespace
}  // namespace lb::config
