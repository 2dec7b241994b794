// tests/unit/geo/countries_test.cpp -- look-ups in databases made by tests/data/make_countries, and damaged ones.
#include "shared/geo/countries.h"

#include <gtest/gtest.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>

#include "shared/base/random.h"

namespace lb::geo {
namespace {

constexpr const char* countries_file = "tests/data/countries.mmdb";

Address address(std::string_view text) {
    const auto parsed = parse_host(text, 80);
    EXPECT_TRUE(parsed.ok()) << text;
    return parsed ? parsed.value() : Address{};
}

std::string read_file(const std::string& path) {
    std::ifstream in(path, std::ios::binary);
    return {std::istreambuf_iterator<char>(in), {}};
}

struct Scratch {
    Scratch() {
        char name[] = "/tmp/lb-geo-XXXXXX";
        path = mkdtemp(name);
    }
    Scratch(const Scratch&) = delete;
    Scratch& operator=(const Scratch&) = delete;
    ~Scratch() { std::filesystem::remove_all(path); }
    [[nodiscard]] std::string file(std::string_view bytes) const {
        std::string name = path + "/x.mmdb";
        std::ofstream(name, std::ios::binary | std::ios::trunc) << bytes;
        return name;
    }
    std::string path;
};

std::string error_of(const std::string& path) {
    const auto opened = Countries::open(path);
    return opened.ok() ? "opened" : opened.error();
}

// Every address that the tests ask for; what comes out does not count, but that it does.
void ask_all(const Countries& countries) {
    for (const char* text :
         {"127.0.1.1", "127.0.2.1", "127.0.3.1", "127.0.4.1", "127.0.5.1", "10.0.0.1", "255.255.255.255",
          "0.0.0.0", "::", "2001:db8:1::1", "2002:7f00:101::", "ffff::"}) {
        const std::string_view code = countries.country_of(address(text));
        EXPECT_TRUE(code.empty() || code.size() == 2) << text;
    }
}

TEST(Countries, OfAnAddress) {
    const auto opened = Countries::open(countries_file);
    ASSERT_TRUE(opened.ok()) << opened.error();
    const Countries& countries = *opened.value();
    EXPECT_EQ(countries.country_of(address("127.0.1.1")), "DE");
    EXPECT_EQ(countries.country_of(address("127.0.1.255")), "DE");
    EXPECT_EQ(countries.country_of(address("127.0.2.1")), "FR");
    EXPECT_EQ(countries.country_of(address("2001:db8:1::1")), "NL");
    EXPECT_EQ(countries.country_of(address("127.0.3.1")), "PL") << "registered there";
    EXPECT_EQ(countries.country_of(address("::ffff:127.0.1.1")), "DE") << "IPv4 in IPv6 notation";
    EXPECT_EQ(countries.country_of(address("2002:7f00:101::")), "DE") << "6to4, as the database has it";
}

TEST(Countries, UnknownIsEmpty) {
    const auto opened = Countries::open(countries_file);
    ASSERT_TRUE(opened.ok()) << opened.error();
    const Countries& countries = *opened.value();
    for (const char* text : {"127.0.0.1", "10.0.0.1", "2001:db8:2::1", "127.0.4.1", "127.0.5.1", "127.0.6.1"})
        EXPECT_EQ(countries.country_of(address(text)), "") << text;
    EXPECT_EQ(countries.country_of(Address{}), "");
    Address local;
    local.any.un.sun_family = AF_UNIX;
    local.length = sizeof(sa_family_t);
    EXPECT_EQ(countries.country_of(local), "");
}

TEST(Countries, OutlivesItsFileAndAFork) {
    const Scratch scratch;
    const std::string path = scratch.file(read_file(countries_file));
    const auto opened = Countries::open(path);
    ASSERT_TRUE(opened.ok()) << opened.error();
    ASSERT_EQ(truncate(path.c_str(), 0), 0);
    EXPECT_EQ(opened.value()->country_of(address("127.0.1.1")), "DE");
    const pid_t child = fork();
    ASSERT_GE(child, 0);
    if (child == 0) _exit(opened.value()->country_of(address("127.0.2.1")) == "FR" ? 0 : 1);
    int status = 0;
    ASSERT_EQ(waitpid(child, &status, 0), child);
    EXPECT_EQ(status, 0);
}

TEST(Countries, WhatIsNoDatabase) {
    const Scratch scratch;
    EXPECT_EQ(error_of("/nonexistent/x.mmdb"), "/nonexistent/x.mmdb: No such file or directory");
    EXPECT_EQ(error_of("tests/data"), "tests/data is not a regular file");
    const std::string path = scratch.file("");
    EXPECT_EQ(error_of(path), path + " is empty");
    (void)scratch.file("country,DE\n");
    EXPECT_EQ(error_of(path).find(path + " is not a MaxMind database, or is damaged: "), 0u)
        << error_of(path);
    const std::string pipe = scratch.path + "/pipe";
    ASSERT_EQ(mkfifo(pipe.c_str(), 0600), 0);
    EXPECT_EQ(error_of(pipe), pipe + " is not a regular file");
    ASSERT_EQ(truncate(path.c_str(), static_cast<off_t>(Countries::largest_file + 1)), 0);
    EXPECT_EQ(error_of(path), path + " is larger than 512 MB: not read");
}

TEST(Countries, TheKindOfDatabase) {
    EXPECT_EQ(error_of("tests/data/numbers.mmdb"),
              "tests/data/numbers.mmdb knows no countries: its type is Test-ASN");
    const auto unnamed = Countries::open("tests/data/unnamed.mmdb");
    ASSERT_TRUE(unnamed.ok()) << unnamed.error();
    EXPECT_EQ(unnamed.value()->country_of(address("127.0.1.1")), "DE");
    EXPECT_EQ(unnamed.value()->country_of(address("::ffff:127.0.1.1")), "DE")
        << "it has IPv4 in one place only";
}

// Cut anywhere: the description at the end is gone, or says more than there is.
TEST(Countries, CutFilesAreRefusedOrHarmless) {
    const Scratch scratch;
    const std::string whole = read_file(countries_file);
    ASSERT_GT(whole.size(), 1000u);
    for (std::size_t length = 1; length < whole.size(); length += 7) {
        const auto opened = Countries::open(scratch.file(std::string_view(whole).substr(0, length)));
        if (opened.ok()) ask_all(*opened.value());
    }
    // The front is missing: the tree is not where it should be.
    for (std::size_t from = 1; from < whole.size(); from += 7) {
        const auto opened = Countries::open(scratch.file(std::string_view(whole).substr(from)));
        if (opened.ok()) ask_all(*opened.value());
    }
}

TEST(Countries, DamagedFilesAreRefusedOrHarmless) {
    const Scratch scratch;
    const std::string whole = read_file(countries_file);
    Random random(20261121);
    for (int round = 0; round < 4000; round++) {
        std::string bytes = whole;
        // Mostly in the data and the description behind the tree: that is where the structure is.
        const auto size = static_cast<std::uint32_t>(bytes.size());
        for (std::uint32_t n = 1 + random.below(8); n > 0; n--) {
            const std::uint32_t from = random.below(2) == 0 ? 0 : size - std::min(size, 700U);
            bytes[from + random.below(size - from)] = static_cast<char>(random.below(256));
        }
        const auto opened = Countries::open(scratch.file(bytes));
        if (opened.ok()) ask_all(*opened.value());
    }
}

}  // namespace
}  // namespace lb::geo
