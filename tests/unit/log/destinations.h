// What logs are written to in these tests: a folder, the error log, pipes.
#pragma once
#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/socket.h>
#include <unistd.h>

#include <csignal>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <string>
#include <vector>

#include "shared/base/log.h"
#include "shared/net/fd.h"
#include "support.h"
#include "worker/log/access_logs.h"

namespace lb {

inline std::string slurp(const std::string& path) {
    std::ostringstream out;
    out << std::ifstream(path).rdbuf();
    return out.str();
}

// A folder, with an error log in it.
class Destination : public testing::Test {
 protected:
    Destination() {
        static int number = 0;
        folder_ = std::filesystem::temp_directory_path() /
                  ("lb-log-" + std::to_string(getpid()) + "-" + std::to_string(number++));
        std::filesystem::create_directories(folder_);
        EXPECT_EQ(log::open({log::Kind::file, path("error.log"), log::Level::notice}), "");
        (void)signal(SIGPIPE, SIG_IGN);  // as in a worker
    }
    ~Destination() override {
        (void)log::open({});
        std::filesystem::remove_all(folder_);
    }
    [[nodiscard]] std::string path(const std::string& name) const { return folder_ + "/" + name; }
    [[nodiscard]] std::size_t said(std::string_view what) const {
        const std::string all = slurp(path("error.log"));
        std::size_t count = 0;
        for (std::size_t at = all.find(what); at != std::string::npos; at = all.find(what, at + 1)) count++;
        return count;
    }

 private:
    std::string folder_;
};

inline std::vector<config::AccessLog> logs_to(config::LogSink sink, const std::string& path,
                                              std::string_view format = "$request") {
    config::AccessLog log = access_log(format);
    log.sink = sink;
    log.path = path;
    return {log};
}

// Lines that are numbers, so that a missing, torn or doubled one is seen.
inline void write_number(AccessLogs& logs, std::size_t number, std::size_t width = 60) {
    std::string text = std::to_string(number);
    text.insert(0, width - std::min(width, text.size()), '.');
    const RequestFacts request;
    const std::string captured = capture(logs.format(0), request, text);
    logs.write(0, captured, {}, request, {}, {});
}
// The numbers of whole lines of that width; a failure for each line that is none.
inline std::vector<std::size_t> numbers(std::string_view text, std::size_t width = 60) {
    std::vector<std::size_t> out;
    while (!text.empty()) {
        const std::string_view line = text.substr(0, text.find('\n'));
        EXPECT_EQ(line.size(), width) << "a line in pieces: " << line;
        EXPECT_LT(line.size(), text.size()) << "no newline at the end";
        const std::size_t digits = std::min(line.find_first_not_of('.'), line.size());
        out.push_back(static_cast<std::size_t>(std::atoll(std::string(line.substr(digits)).c_str())));
        text.remove_prefix(std::min(line.size() + 1, text.size()));
    }
    return out;
}
inline std::vector<std::size_t> up_to(std::size_t count, std::size_t from = 0) {
    std::vector<std::size_t> out;
    for (std::size_t i = from; i < count; i++) out.push_back(i);
    return out;
}

struct Pipe {
    Fd reading, writing;
    explicit Pipe(int flags) {
        int ends[2];
        EXPECT_EQ(pipe2(ends, O_CLOEXEC), 0);
        reading = Fd(ends[0]);
        writing = Fd(ends[1]);
        EXPECT_EQ(fcntl(reading.get(), F_SETFL, O_NONBLOCK), 0);
        EXPECT_EQ(fcntl(writing.get(), F_SETFL, flags), 0);
        EXPECT_GE(fcntl(writing.get(), F_SETPIPE_SZ, 4096), 4096);
    }
};
// All that can be read without waiting.
inline std::string drain(int fd) {
    std::string out;
    char block[65536];
    for (ssize_t n = 0; (n = read(fd, block, sizeof block)) > 0;)
        out.append(block, static_cast<std::size_t>(n));
    return out;
}

}  // namespace lb
