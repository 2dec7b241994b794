// A syslog daemon: a datagram socket of the test.
#include <sys/un.h>

#include <regex>

#include "destinations.h"
#include "worker/log/syslog_sink.h"

namespace lb {
namespace {

class Syslog : public Destination {
 protected:
    void listen() {
        unlink(socket_path().c_str());
        daemon_.reset(socket(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
        sockaddr_un address{};
        address.sun_family = AF_UNIX;
        socket_path().copy(address.sun_path, sizeof address.sun_path - 1);
        ASSERT_EQ(bind(daemon_.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address), 0);
    }
    void stop() {
        daemon_.reset();
        unlink(socket_path().c_str());
    }
    // The messages that are there, without what stands before the line.
    std::string received() {
        std::string out;
        static const std::regex form(
            R"(<30>(Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec) [ 123]\d \d\d:\d\d:\d\d lb\[(\d+)\]: ([^\n]*))");
        char block[65536];
        for (ssize_t n = 0; (n = recv(daemon_.get(), block, sizeof block, 0)) >= 0;) {
            const std::string message(block, static_cast<std::size_t>(n));
            std::smatch parts;
            if (!std::regex_match(message, parts, form)) {
                ADD_FAILURE() << message;
                continue;
            }
            EXPECT_EQ(parts[2], std::to_string(getpid()));
            out += parts[3].str() + '\n';
        }
        return out;
    }
    [[nodiscard]] std::string socket_path() const { return path("log"); }
    std::unique_ptr<AccessLogs> logs() {
        return std::make_unique<AccessLogs>(logs_to(config::LogSink::syslog, ""), -1, socket_path());
    }
    Fd daemon_;
};

constexpr Micros second = 1'000'000;

TEST_F(Syslog, GetsOneMessageForEachLine) {
    listen();
    const auto logs = this->logs();
    for (std::size_t i = 0; i < 3; i++) write_number(*logs, i);
    logs->flush(second);
    EXPECT_EQ(numbers(received()), up_to(3));
    EXPECT_EQ(logs->take_written(), 3u);
    EXPECT_EQ(logs->take_dropped(), 0u);
    EXPECT_EQ(slurp(path("error.log")), "");
}

TEST_F(Syslog, ThatIsFullHoldsUpNobodyAndLosesNothingSoon) {
    listen();
    const auto logs = this->logs();
    for (std::size_t i = 0; i < 3000; i++) write_number(*logs, i);  // more than max_dgram_qlen
    logs->flush(second);
    EXPECT_LT(logs->take_written(), 3000u);
    std::string got;
    for (Micros tick = 1; tick < 5000 && got.size() < std::size_t{3000} * 61; tick++) {
        got += received();
        logs->flush(second + tick);
    }
    EXPECT_EQ(numbers(got), up_to(3000));
    EXPECT_EQ(logs->take_dropped(), 0u);
}

TEST_F(Syslog, ThatStaysFullCostsLinesThatAreCounted) {
    listen();
    const auto logs = this->logs();
    for (std::size_t i = 0; i < 30'000; i++) write_number(*logs, i);
    const std::uint64_t dropped = logs->take_dropped();
    EXPECT_GT(dropped, 7'000u);
    logs->close(second);
    EXPECT_EQ(logs->take_written() + logs->take_dropped() + dropped, 30'000u);
}

TEST_F(Syslog, ThatIsMissingCostsLinesAndIsTriedOnceASecond) {
    const auto logs = this->logs();
    EXPECT_EQ(said("No such file or directory"), 1u) << slurp(path("error.log"));
    write_number(*logs, 0);
    logs->flush(second);
    EXPECT_EQ(logs->take_dropped(), 1u);
    listen();
    write_number(*logs, 1);
    logs->flush(2 * second - 1);
    EXPECT_EQ(received(), "") << "not tried yet";
    EXPECT_EQ(logs->take_dropped(), 0u) << "waits for the next try";
    logs->flush(2 * second);
    EXPECT_EQ(numbers(received()), up_to(2, 1));
    EXPECT_EQ(logs->take_written(), 1u);
    EXPECT_EQ(said("takes lines again; 1 of this process were lost"), 1u);
}

TEST_F(Syslog, ThatIsStartedAnewLosesNothing) {
    listen();
    const auto logs = this->logs();
    write_number(*logs, 0);
    logs->flush(second);
    EXPECT_EQ(numbers(received()), up_to(1));
    listen();  // the old socket is closed, a new one has its name
    write_number(*logs, 1);
    logs->flush(2 * second);
    EXPECT_EQ(numbers(received()), up_to(2, 1)) << "connected again at once";
    stop();
    write_number(*logs, 2);
    logs->flush(2 * second + 10);
    EXPECT_EQ(logs->take_dropped(), 0u) << "waits";
    listen();
    write_number(*logs, 3);
    logs->flush(3 * second);
    EXPECT_EQ(numbers(received()), up_to(4, 2));
    EXPECT_EQ(logs->take_dropped(), 0u);
    EXPECT_EQ(logs->take_written(), 4u);
}

TEST_F(Syslog, IsConnectedAnewOnReopen) {
    const auto logs = this->logs();
    logs->flush(second);
    listen();
    logs->reopen();
    write_number(*logs, 0);
    logs->flush(second + 1);
    EXPECT_EQ(numbers(received()), up_to(1));
}

TEST_F(Syslog, ALineThatIsTooLongForADatagramIsLostAlone) {
    listen();
    SyslogSink sink(socket_path());
    const std::string giant(LogSink::most_kept, 'x');  // more than net.core.wmem_default
    for (const std::string_view line :
         {std::string_view("one"), std::string_view(giant), std::string_view("two")}) {
        std::string* room = sink.room(0);
        ASSERT_NE(room, nullptr);
        room->append(line).append("\n");
        sink.line_added(0);
    }
    sink.flush(second);
    EXPECT_EQ(received(), "one\ntwo\n");
    EXPECT_EQ(sink.take_written(), 2u);
    EXPECT_EQ(sink.take_dropped(), 1u);
}

TEST_F(Syslog, APathThatIsTooLongIsSaid) {
    SyslogSink sink(std::string(200, 'x'));
    EXPECT_EQ(said("File name too long"), 1u);
}

}  // namespace
}  // namespace lb
