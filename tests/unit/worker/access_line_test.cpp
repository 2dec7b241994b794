#include "worker/log/access_line.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <cstdio>
#include <filesystem>
#include <fstream>
#include <sstream>

#include "worker/log/access_file.h"

namespace lb {
namespace {

AccessEntry example() {
    AccessEntry e;
    e.local_time = "21/Nov/2026:10:00:00 +0000";
    e.iso_time = "2026-11-21T10:00:00Z";
    e.client = "192.0.2.7";
    e.listener = "web";
    e.pool = "app";
    e.backend = "a1";
    e.request_line = "GET /x HTTP/1.1";
    e.user_agent = "curl/8";
    e.status = 200;
    e.bytes_sent = 300;
    e.body_bytes = 128;
    e.bytes_received = 90;
    e.attempts = 2;
    e.duration = 1'002'003;
    e.connect = 0;
    e.response = -1;
    return e;
}

TEST(AccessLine, Combined) {
    std::string out;
    append_access_line(out, config::LogFormat::combined, example());
    EXPECT_EQ(out,
              "192.0.2.7 - - [21/Nov/2026:10:00:00 +0000] \"GET /x HTTP/1.1\" 200 128 \"-\" \"curl/8\"\n");
}

TEST(AccessLine, Json) {
    std::string out;
    append_access_line(out, config::LogFormat::json, example());
    EXPECT_EQ(
        out,
        "{\"time\":\"2026-11-21T10:00:00Z\",\"client\":\"192.0.2.7\",\"listener\":\"web\",\"pool\":\"app\","
        "\"backend\":\"a1\","
        "\"request\":\"GET /x "
        "HTTP/1.1\",\"status\":200,\"end\":\"done\",\"attempts\":2,\"body_bytes\":128,\"bytes_sent\":300,"
        "\"bytes_received\":90,\"request_time\":1.002003,\"connect_time\":0.000000,\"response_time\":null,"
        "\"referer\":\"\","
        "\"user_agent\":\"curl/8\"}\n");
}

TEST(AccessLine, NothingFromOutsideEndsOrForgesALine) {
    AccessEntry e = example();
    e.user_agent = "a\"b\\c\nd\x01\xff";
    std::string out;
    append_access_line(out, config::LogFormat::combined, e);
    EXPECT_NE(out.find("\"a\\x22b\\x5Cc\\x0Ad\\x01\\xFF\"\n"), std::string::npos) << out;
    out.clear();
    append_access_line(out, config::LogFormat::json, e);
    EXPECT_EQ(out.find('\n'), out.size() - 1);
    EXPECT_NE(out.find("a\\\"b\\\\c\\nd\\u0001"), std::string::npos) << out;
}

std::string slurp(const std::string& path) {
    std::ostringstream out;
    out << std::ifstream(path).rdbuf();
    return out.str();
}

struct LogFolder {
    std::string path = std::filesystem::temp_directory_path() / ("lb-access-" + std::to_string(getpid()));
    LogFolder() { std::filesystem::create_directories(path); }
    ~LogFolder() { std::filesystem::remove_all(path); }
};

TEST(AccessLogs, WholeLinesAndReopen) {
    const LogFolder folder;
    const std::string file = folder.path + "/access.log";
    const std::vector<config::AccessLog> settings{{"main", file, config::LogFormat::combined}};
    AccessLogs logs(settings, 1);
    logs.write(0, example());
    EXPECT_EQ(slurp(file), "");  // buffered
    logs.flush();
    const std::string line = slurp(file);
    EXPECT_EQ(line.back(), '\n');
    logs.write(0, example());
    std::filesystem::rename(file, file + ".1");
    logs.reopen();
    logs.write(0, example());
    logs.flush();
    EXPECT_EQ(slurp(file + ".1"), line + line);
    EXPECT_EQ(slurp(file), line);
}

TEST(AccessLogs, AFullDiskCostsLinesThatAreCounted) {
    const std::vector<config::AccessLog> settings{{"main", "/dev/full", config::LogFormat::combined}};
    AccessLogs logs(settings, 1);
    for (int i = 0; i < 3; i++) logs.write(0, example());
    logs.flush();
    EXPECT_EQ(logs.take_dropped(), 3u);
    EXPECT_EQ(logs.take_dropped(), 0u);
}

TEST(AccessLogs, APipeThatIsFullKeepsABoundedAmount) {
    int ends[2];
    ASSERT_EQ(pipe2(ends, O_NONBLOCK), 0);
    const std::vector<config::AccessLog> settings{{"main", "", config::LogFormat::combined}};
    {
        AccessLogs logs(settings, ends[1]);
        for (int i = 0; i < 20000; i++) logs.write(0, example());
        EXPECT_GT(logs.take_dropped(), 0u);
    }
    std::string got(1 << 20, '\0');
    const ssize_t n = read(ends[0], got.data(), got.size());
    ASSERT_GT(n, 0);
    EXPECT_EQ(got.substr(0, 9), "192.0.2.7");
    close(ends[0]);
    close(ends[1]);
}

}  // namespace
}  // namespace lb
