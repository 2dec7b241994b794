// A file of backends: what it may say, and how its changes are noticed.
#include "master/discovery/file_source.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "loop.h"
#include "master/discovery/hosts.h"
#include "packets.h"

namespace lb::discovery {
namespace {

using test::Directory;
using test::replace_file;
using test::write_file;

std::string names(const Members* members) {
    if (members == nullptr) return "-";
    std::string out;
    for (const auto& each : *members) {
        out += (out.empty() ? "" : " ") + each.name;
        if (each.weight != 1) out += fmt::format("*{}", each.weight);
        if (each.backup) out += "(backup)";
    }
    return out;
}
std::string parsed(const std::string& text) {
    const auto members = parse_members(text, "/etc/lb/app.list");
    return members ? names(&members.value()) : "error: " + members.error();
}

TEST(Lines, AreBackendsAsInTheConfiguration) {
    EXPECT_EQ(parsed("10.0.0.1:80\n10.0.0.2:80 weight=3 name=b backup\n"), "10.0.0.1:80 b*3(backup)");
    EXPECT_EQ(parsed("  10.0.0.1:80\t\r\n\n# all of it\n; and this\n10.0.0.2:80 # the new one\n[::1]:80"),
              "10.0.0.1:80 10.0.0.2:80 [::1]:80");
    EXPECT_EQ(parsed("10.0.0.1:80 name=\"a # b\"\n"), "a # b");
}

TEST(Lines, NamesAndUnixSocketsToo) {
    const auto members = parse_members("db.example:5432\nunix:app.sock\n", "/etc/lb/app.list");
    ASSERT_TRUE(members.ok()) << members.error();
    EXPECT_EQ(members.value()[0].dns_name, "db.example");
    EXPECT_TRUE(members.value()[0].addresses.empty());
    EXPECT_EQ(to_string(members.value()[1].addresses[0]), "unix:/etc/lb/app.sock");
}

TEST(Lines, OneMistakeRefusesTheFileWithItsLine) {
    EXPECT_EQ(parsed("10.0.0.1:80\n10.0.0.2:99999\n"),
              "error: /etc/lb/app.list:2: the port must be 1 to 65535");
    EXPECT_EQ(parsed("10.0.0.1:80\n\n10.0.0.1:80 weight=2\n"),
              "error: /etc/lb/app.list:3: backend 10.0.0.1:80 is named twice, first in line 1");
    EXPECT_EQ(parsed("10.0.0.1:80 wieght=2\n").substr(0, 26), "error: /etc/lb/app.list:1:");
    EXPECT_EQ(parsed(std::string("10.0.0.1:80\0\n", 13)), "error: /etc/lb/app.list:1: a zero byte");
    EXPECT_EQ(parsed(std::string(9000, 'x')), "error: /etc/lb/app.list:1: a line longer than 8192 bytes");
}

TEST(Lines, AFileWithoutABackendIsAnError) {
    EXPECT_EQ(parsed(""), "error: /etc/lb/app.list: it names no backend");
    EXPECT_EQ(parsed("# none today\n"), "error: /etc/lb/app.list: it names no backend");
}

TEST(Lines, AreBounded) {
    std::string text;
    for (std::uint32_t i = 0; i < FileSource::most_members; i++) {
        text += fmt::format("10.{}.{}.{}:80\n", i >> 16, (i >> 8) & 255, i & 255);
    }
    EXPECT_EQ(parse_members(text, "f").value().size(), FileSource::most_members);
    EXPECT_EQ(parse_members(text + "10.9.9.9:80\n", "f").error(), "f:10001: more than 10000 backends");
}

struct FileSourceTest : testing::Test {
    test::Loop loop;
    Directory directory;
    std::string path = directory / "app.list";
    int changes = 0;
    std::vector<std::string> trouble;
    std::unique_ptr<FileSource> source;

    void open() {
        source = std::make_unique<FileSource>(
            loop.base.get(), path,
            FileSource::Calls{[this] { changes++; },
                              [this](const std::string& error) { trouble.push_back(error); }});
    }
    bool becomes(const std::string& text) {
        return loop.until([&] { return names(source->members()) == text; });
    }
};

TEST_F(FileSourceTest, IsReadAtOnceAndFollowsRenamesAndWrites) {
    write_file(path, "10.0.0.1:80\n");
    open();
    EXPECT_EQ(names(source->members()), "10.0.0.1:80");
    EXPECT_EQ(changes, 0);
    const Micros begun = monotonic_now();
    replace_file(path, "10.0.0.1:80\n10.0.0.2:80\n");
    EXPECT_TRUE(becomes("10.0.0.1:80 10.0.0.2:80"));
    write_file(path, "10.0.0.3:80\n");
    EXPECT_TRUE(becomes("10.0.0.3:80"));
    EXPECT_LT(monotonic_now() - begun, 900'000) << "noticed, not found by looking every few seconds";
    EXPECT_EQ(changes, 2);
    EXPECT_TRUE(trouble.empty());
}

TEST_F(FileSourceTest, ABadFileKeepsTheOldSetAndIsSaidOnce) {
    write_file(path, "10.0.0.1:80\n");
    open();
    replace_file(path, "10.0.0.1:80\nnonsense\n");
    ASSERT_TRUE(loop.until([&] { return trouble.size() == 1; }));
    EXPECT_EQ(trouble[0].substr(0, path.size() + 3), path + ":2:");
    EXPECT_EQ(names(source->members()), "10.0.0.1:80");
    replace_file(path, "10.0.0.1:80\nnonsense\n# again\n");
    replace_file(path, "10.0.0.5:80\n");
    EXPECT_TRUE(becomes("10.0.0.5:80"));
    EXPECT_EQ(trouble.size(), 2u);
    EXPECT_EQ(trouble[1], "");
}

TEST_F(FileSourceTest, AMissingFileIsAnErrorAndNoticedWhenItComes) {
    open();
    EXPECT_EQ(source->members(), nullptr);
    EXPECT_EQ(source->error(), path + ": No such file or directory");
    EXPECT_TRUE(trouble.empty()) << "the one who made it asks";
    write_file(path, "10.0.0.1:80\n");
    EXPECT_TRUE(becomes("10.0.0.1:80"));
    unlink(path.c_str());
    ASSERT_TRUE(loop.until([&] { return trouble.size() == 2; }));
    EXPECT_EQ(trouble[1], path + ": No such file or directory");
    EXPECT_EQ(names(source->members()), "10.0.0.1:80") << "the last set stays";
    replace_file(path, "10.0.0.1:80\n");
    ASSERT_TRUE(loop.until([&] { return trouble.size() == 3; }));
    EXPECT_EQ(changes, 1) << "it is the same set";
}

TEST_F(FileSourceTest, ASwitchedLinkIsNoticed) {
    // As a configuration map is mounted: the file is a link through a directory link that is replaced.
    std::filesystem::create_directory(directory / "..1");
    std::filesystem::create_directory(directory / "..2");
    write_file(directory / "..1/app.list", "10.0.0.1:80\n");
    write_file(directory / "..2/app.list", "10.0.0.2:80\n");
    std::filesystem::create_symlink("..1", directory / "..data");
    std::filesystem::create_symlink("..data/app.list", path);
    open();
    EXPECT_EQ(names(source->members()), "10.0.0.1:80");
    std::filesystem::create_symlink("..2", directory / "..tmp");
    const Micros begun = monotonic_now();
    std::filesystem::rename(directory / "..tmp", directory / "..data");
    EXPECT_TRUE(becomes("10.0.0.2:80"));
    EXPECT_LT(monotonic_now() - begun, 900'000);
}

TEST_F(FileSourceTest, AFileInTheMiddleOfBeingWrittenIsNotTaken) {
    write_file(path, "10.0.0.1:80\n10.0.0.2:80\n");
    open();
    FILE* writer = std::fopen(path.c_str(), "w");  // empties it
    std::fputs("10.0.0.1:80\n", writer);
    std::fflush(writer);
    write_file(directory / "other", "x");  // something else happens meanwhile
    loop.until([] { return false; }, 300'000);
    EXPECT_EQ(names(source->members()), "10.0.0.1:80 10.0.0.2:80");
    EXPECT_TRUE(trouble.empty());
    std::fputs("10.0.0.9:80\n", writer);
    std::fclose(writer);
    EXPECT_TRUE(becomes("10.0.0.1:80 10.0.0.9:80"));
}

TEST_F(FileSourceTest, WhatIsNoFileOrTooLongIsRefused) {
    ASSERT_EQ(mkfifo(path.c_str(), 0600), 0);
    open();
    EXPECT_EQ(source->error(), path + ": not a regular file");
    unlink(path.c_str());
    replace_file(path, std::string(FileSource::most_bytes + 1, '#'));
    ASSERT_TRUE(
        loop.until([&] { return trouble.size() == 1 || !source->error().ends_with("regular file"); }));
    ASSERT_TRUE(loop.until([&] { return source->error() == path + ": larger than 1048576 bytes"; }));
}

TEST_F(FileSourceTest, ADirectoryThatComesLaterIsWatchedThen) {
    path = directory / "later/app.list";
    open();
    std::filesystem::create_directory(directory / "later");
    write_file(path, "10.0.0.1:80\n");
    EXPECT_TRUE(becomes("10.0.0.1:80"));
}

TEST(Hosts, NamesAndAliasesInAnyCaseAndOnlyWhileTheFileSaysSo) {
    Directory directory;
    const std::string path = directory / "hosts";
    write_file(path,
               "127.0.0.1 localhost\n10.0.0.1\tDB.example db # the first\r\n10.0.0.2 db.example\nnonsense "
               "x\n10.0.0.3\n"
               "fe80::1 ll\n");
    Hosts hosts(path);
    EXPECT_EQ(test::text_of(hosts.find("db.example")), "10.0.0.1 10.0.0.2");
    EXPECT_EQ(test::text_of(hosts.find("db")), "10.0.0.1");
    EXPECT_EQ(test::text_of(hosts.find("localhost")), "127.0.0.1");
    EXPECT_EQ(test::text_of(hosts.find("app.localhost")), "127.0.0.1 ::1");
    EXPECT_TRUE(hosts.find("x").empty());
    EXPECT_TRUE(hosts.find("ll").empty());
    replace_file(path, "10.0.0.9 db.example\n");
    EXPECT_EQ(test::text_of(hosts.find("db.example")), "10.0.0.9");
    EXPECT_TRUE(hosts.find("db").empty());
    unlink(path.c_str());
    EXPECT_TRUE(hosts.find("db.example").empty());
    EXPECT_EQ(test::text_of(hosts.find("localhost")), "127.0.0.1 ::1");
}

}  // namespace
}  // namespace lb::discovery
