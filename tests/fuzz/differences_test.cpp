// tests/fuzz/differences_test.cpp -- the list of differences from llhttp (differences.h) is what the document's table explains, no
// name more and none less, and each is met by a seed of the two targets that compare.
// Arguments: the folder of seeds, then the pages of which one holds the table.
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <set>
#include <string>

#include "compare.h"

namespace lb::fuzz {
namespace {

std::string contents(const std::filesystem::path& path) {
    std::ifstream file(path, std::ios::binary);
    return {std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
}

// First cells of the rows below the heading, up to the next heading of its rank.
std::set<std::string> rows(const std::string& page) {
    std::set<std::string> out;
    const std::size_t begin = page.find("## Differences from llhttp\n");
    if (begin == std::string::npos) return out;
    const std::size_t end = page.find("\n## ", begin + 1);
    for (std::size_t at = page.find("\n| ", begin); at < end; at = page.find("\n| ", at + 1)) {
        const std::string name = page.substr(at + 3, page.find(" | ", at + 3) - at - 3);
        if (name != "difference" && name != "---") out.insert(name);
    }
    return out;
}

void run_seeds(const std::filesystem::path& seeds) {
    for (const auto& entry : std::filesystem::directory_iterator(seeds / "llhttp_request"))
        compare_requests(contents(entry.path()), [](auto&&...) {});
    for (const auto& entry : std::filesystem::directory_iterator(seeds / "llhttp_response"))
        compare_responses(contents(entry.path()));
}

int check(int argc, char** argv) {
    std::set<std::string> documented;
    for (int i = 2; i < argc; i++) documented.merge(rows(contents(argv[i])));
    run_seeds(argv[1]);
    int mistakes = 0;
    const auto mistake = [&](std::string_view name, const char* what) {
        std::fprintf(stderr, "%.*s: %s\n", static_cast<int>(name.size()), name.data(), what);
        mistakes++;
    };
    std::set<std::string_view> names;
    for (const Difference& difference : differences::all) {
        if (!names.insert(difference.name).second) continue;
        if (documented.erase(std::string(difference.name)) == 0)
            mistake(difference.name, "has no row in the table");
        if (met().count(difference.name) == 0) mistake(difference.name, "is met by no seed");
    }
    for (const std::string& name : documented)
        mistake(name, "a row of the table that differences.h does not have");
    std::printf("%zu differences, %d mistakes\n", names.size(), mistakes);
    return mistakes == 0 ? 0 : 1;
}

}  // namespace
}  // namespace lb::fuzz

int main(int argc, char** argv) {
    if (argc < 3) {
        std::fprintf(stderr, "usage: %s SEEDS PAGE...\n", argv[0]);
        return 2;
    }
    return lb::fuzz::check(argc, argv);
}
