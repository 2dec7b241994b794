// Files, FIFOs and standard output.
#include <sys/resource.h>
#include <sys/stat.h>

#include "destinations.h"

namespace lb {
namespace {

using config::LogSink;

class Files : public Destination {};

TEST(Sampling, TakesTheShareThatWasAskedFor) {
    std::vector<config::AccessLog> settings(4, access_log("$status"));
    for (config::AccessLog& log : settings) log.sink = LogSink::standard_output;
    settings[0].sample = 0;
    settings[1].sample = 1;
    settings[2].sample = 250'000;
    settings[3].sample = 1'000'000;
    const Fd null(open("/dev/null", O_WRONLY));
    const AccessLogs logs(settings, null.get());
    Random random(7);
    std::array<int, 4> taken{};
    for (std::uint32_t log = 0; log < 4; log++) {
        for (int i = 0; i < 100'000; i++) taken[log] += logs.wanted(log, random) ? 1 : 0;
    }
    EXPECT_EQ(taken[0], 0);
    EXPECT_LE(taken[1], 8);
    EXPECT_NEAR(taken[2], 25'000, 6 * 137);  // six standard deviations
    EXPECT_EQ(taken[3], 100'000);
}

TEST(Sampling, AllOfThemTakesNoChance) {
    const std::vector<config::AccessLog> settings{access_log("$status")};
    const AccessLogs logs(logs_to(LogSink::standard_output, ""), -1);
    Random random(7), untouched(7);
    EXPECT_TRUE(logs.wanted(0, random));
    EXPECT_EQ(random.next(), untouched.next());
}

TEST_F(Files, GetWholeLinesWhenAskedAndAreReopened) {
    const std::string file = path("access.log");
    AccessLogs logs(logs_to(LogSink::file, file), -1);
    struct stat what {};
    ASSERT_EQ(stat(file.c_str(), &what), 0);
    EXPECT_EQ(what.st_mode & 0777 & ~0640u, 0u);
    for (std::size_t i = 0; i < 3; i++) write_number(logs, i);
    EXPECT_EQ(slurp(file), "");  // gathered
    EXPECT_EQ(logs.take_written(), 0u);
    logs.flush(1);
    EXPECT_EQ(numbers(slurp(file)), up_to(3));
    EXPECT_EQ(logs.take_written(), 3u);
    write_number(logs, 3);
    std::filesystem::rename(file, file + ".1");
    logs.reopen();
    write_number(logs, 4);
    logs.flush(2);
    EXPECT_EQ(numbers(slurp(file + ".1")), up_to(4)) << "what waited belongs to the old file";
    EXPECT_EQ(numbers(slurp(file)), up_to(5, 4));
    EXPECT_EQ(logs.take_written(), 2u);
    EXPECT_EQ(logs.take_dropped(), 0u);
}

TEST_F(Files, AreWrittenBeforeMuchGathers) {
    const std::string file = path("access.log");
    AccessLogs logs(logs_to(LogSink::file, file), -1);
    for (std::size_t i = 0; i < 1100; i++) write_number(logs, i);  // 67 100 bytes
    EXPECT_GT(slurp(file).size(), 60'000u);
    write_number(logs, 1100);
    logs.close(1);
    EXPECT_EQ(numbers(slurp(file)), up_to(1101));
    EXPECT_EQ(logs.take_written(), 1101u);
}

TEST_F(Files, AppendToWhatIsThere) {
    const std::string file = path("access.log");
    std::ofstream(file) << "before\n";
    {
        AccessLogs logs(logs_to(LogSink::file, file, "$status"), -1);
        logs.write(0, {}, {}, {}, {}, {});
    }
    EXPECT_EQ(slurp(file), "before\n000\n") << "written at the end, too";
}

TEST_F(Files, ThatAreFullCostLinesThatAreCounted) {
    AccessLogs logs(logs_to(LogSink::file, "/dev/full"), -1);
    for (Micros second = 1; second <= 5; second++) {
        for (std::size_t i = 0; i < 3; i++) write_number(logs, i);
        logs.flush(second * 1'000'000);
        EXPECT_EQ(logs.take_dropped(), 3u);
        EXPECT_EQ(logs.take_dropped(), 0u);
    }
    EXPECT_EQ(logs.take_written(), 0u);
    EXPECT_EQ(said("No space left on device"), 1u) << slurp(path("error.log"));
}

TEST_F(Files, ThatCannotBeOpenedAreTriedAgainOnceASecond) {
    const std::string folder = path("later"), file = folder + "/access.log";
    AccessLogs logs(logs_to(LogSink::file, file), -1);
    write_number(logs, 0);
    logs.flush(1'000'000);
    EXPECT_EQ(logs.take_dropped(), 1u);
    EXPECT_EQ(said("No such file or directory"), 1u) << slurp(path("error.log"));
    std::filesystem::create_directory(folder);
    write_number(logs, 1);
    logs.flush(1'999'999);
    EXPECT_EQ(logs.take_dropped(), 1u) << "not tried yet";
    write_number(logs, 2);
    logs.flush(2'000'000);
    EXPECT_EQ(numbers(slurp(file)), up_to(3, 2));
    EXPECT_EQ(logs.take_written(), 1u);
    EXPECT_EQ(said("takes lines again; 2 of this process were lost"), 1u) << slurp(path("error.log"));
}

// A disk that becomes full inside of a line, and has room again.
class SizeLimit {
 public:
    explicit SizeLimit(rlim_t bytes) {
        (void)signal(SIGXFSZ, SIG_IGN);
        EXPECT_EQ(getrlimit(RLIMIT_FSIZE, &before_), 0);
        const rlimit now{bytes, before_.rlim_max};
        EXPECT_EQ(setrlimit(RLIMIT_FSIZE, &now), 0);
    }
    ~SizeLimit() { EXPECT_EQ(setrlimit(RLIMIT_FSIZE, &before_), 0); }
    SizeLimit(const SizeLimit&) = delete;
    SizeLimit& operator=(const SizeLimit&) = delete;

 private:
    rlimit before_{};
};

TEST_F(Files, ThatWereFullInsideALineGetTheRestOfItFirst) {
    const std::string file = path("access.log");
    AccessLogs logs(logs_to(LogSink::file, file), -1);
    {
        const SizeLimit limit(61 + 20);
        for (std::size_t i = 0; i < 4; i++) write_number(logs, i);
        logs.flush(1);
        EXPECT_EQ(slurp(file).size(), 81u);
        EXPECT_EQ(logs.take_written(), 1u);
        EXPECT_EQ(logs.take_dropped(), 2u) << "the one that was begun is not lost";
        write_number(logs, 4);
        logs.flush(2);
        EXPECT_EQ(logs.take_dropped(), 1u);
    }
    write_number(logs, 5);
    logs.flush(3);
    EXPECT_EQ(numbers(slurp(file)), (std::vector<std::size_t>{0, 1, 5}));
    EXPECT_EQ(logs.take_written(), 2u);
    EXPECT_EQ(logs.take_dropped(), 0u);
}

TEST_F(Files, ThatWereMovedAwayInsideALineAreNotFollowedByTheRest) {
    const std::string file = path("access.log");
    AccessLogs logs(logs_to(LogSink::file, file), -1);
    {
        const SizeLimit limit(61 + 20);
        for (std::size_t i = 0; i < 3; i++) write_number(logs, i);
        logs.flush(1);
        EXPECT_EQ(logs.take_dropped(), 1u);
        std::filesystem::rename(file, file + ".1");
        logs.reopen();
        EXPECT_EQ(logs.take_dropped(), 1u) << "the half line";
    }
    write_number(logs, 7);
    logs.close(2);
    EXPECT_EQ(numbers(slurp(file)), up_to(8, 7));
    EXPECT_EQ(logs.take_written(), 2u);
}

TEST_F(Files, ThatAreReopenedInPlaceInsideALineKeepIt) {
    const std::string file = path("access.log");
    AccessLogs logs(logs_to(LogSink::file, file), -1);
    {
        const SizeLimit limit(61 + 20);
        for (std::size_t i = 0; i < 2; i++) write_number(logs, i);
        logs.flush(1);
        logs.reopen();
    }
    logs.close(2);
    EXPECT_EQ(numbers(slurp(file)), up_to(2));
}

TEST_F(Files, ThatCannotBeReopenedKeepTheirDescriptor) {
    const std::string folder = path("logs"), file = folder + "/access.log";
    std::filesystem::create_directory(folder);
    AccessLogs logs(logs_to(LogSink::file, file), -1);
    std::filesystem::rename(folder, path("moved"));
    logs.reopen();
    EXPECT_EQ(said("No such file or directory"), 1u);
    write_number(logs, 0);
    logs.flush(1);
    EXPECT_EQ(numbers(slurp(path("moved") + "/access.log")), up_to(1));
}

TEST_F(Files, AFifoWaitsForItsReader) {
    const std::string fifo = path("fifo");
    ASSERT_EQ(mkfifo(fifo.c_str(), 0600), 0);
    AccessLogs logs(logs_to(LogSink::file, fifo), -1);
    write_number(logs, 0);
    logs.flush(1'000'000);
    EXPECT_EQ(logs.take_dropped(), 1u);
    Fd reader(open(fifo.c_str(), O_RDONLY | O_NONBLOCK));
    ASSERT_TRUE(reader);
    write_number(logs, 1);
    logs.flush(2'000'000);
    EXPECT_EQ(numbers(drain(reader.get())), up_to(2, 1));
    reader.reset();
    write_number(logs, 2);
    logs.flush(3'000'000);
    EXPECT_EQ(logs.take_dropped(), 1u);
    reader.reset(open(fifo.c_str(), O_RDONLY | O_NONBLOCK));
    write_number(logs, 3);
    logs.flush(4'000'000);
    EXPECT_EQ(numbers(drain(reader.get())), up_to(4, 3)) << "the next reader";
}

// Standard output as it may be inherited: of each kind that can be full.
enum class Output { pipe, blocking_pipe, blocking_socket };
class StandardOutput : public Destination, public testing::WithParamInterface<Output> {
 protected:
    StandardOutput() : pipe_(GetParam() == Output::pipe ? O_NONBLOCK : 0) {
        if (GetParam() != Output::blocking_socket) return;
        int ends[2];
        EXPECT_EQ(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends), 0);
        const int small = 16384;  // much less, and the kernel would cut even PIPE_BUF bytes in pieces
        EXPECT_EQ(setsockopt(ends[1], SOL_SOCKET, SO_SNDBUF, &small, sizeof small), 0);
        EXPECT_EQ(fcntl(ends[0], F_SETFL, O_NONBLOCK), 0);
        pipe_.reading = Fd(ends[0]);
        pipe_.writing = Fd(ends[1]);
    }
    [[nodiscard]] int in() const { return pipe_.writing.get(); }
    [[nodiscard]] int out() const { return pipe_.reading.get(); }
    Pipe pipe_;
};

TEST_P(StandardOutput, ThatIsFullHoldsUpNobodyAndLosesNothingSoon) {
    const int flags = fcntl(in(), F_GETFL);
    AccessLogs logs(logs_to(LogSink::standard_output, ""), in());
    for (std::size_t i = 0; i < 5000; i++) write_number(logs, i);  // a third of a megabyte
    logs.flush(1);
    EXPECT_EQ(fcntl(in(), F_GETFL), flags) << "it belongs to others too";
    EXPECT_EQ(logs.take_dropped(), 0u);
    EXPECT_LT(logs.take_written(), 5000u);
    std::string got;
    for (Micros tick = 2; tick < 20'000 && got.size() < std::size_t{5000} * 61; tick++) {
        got += drain(out());
        logs.flush(tick);
    }
    EXPECT_EQ(numbers(got), up_to(5000));
}

TEST_P(StandardOutput, ThatStaysFullCostsLinesThatAreCounted) {
    constexpr std::size_t all = 30'000;  // 1.8 MB
    std::string got;
    std::uint64_t written = 0, dropped = 0;
    {
        AccessLogs logs(logs_to(LogSink::standard_output, ""), in());
        for (std::size_t i = 0; i < all; i++) write_number(logs, i);
        dropped = logs.take_dropped();
        EXPECT_GT(dropped, all / 4);
        EXPECT_LT(dropped, all / 2) << "about a megabyte is kept";
        EXPECT_EQ(said("it takes lines too slowly"), 1u);
        const std::size_t expected = (all - dropped) * 61;
        for (Micros tick = 2; tick < 50'000 && got.size() < expected; tick++) {
            got += drain(out());
            logs.flush(tick);
        }
        EXPECT_EQ(said("takes lines again"), 1u);
        write_number(logs, all);
        logs.close(60'000);
        got += drain(out());
        written = logs.take_written();
        EXPECT_EQ(logs.take_dropped(), 0u);
    }
    std::vector<std::size_t> expected = up_to(all - dropped);
    expected.push_back(all);
    EXPECT_EQ(numbers(got), expected) << "the older lines stay";
    EXPECT_EQ(written, expected.size());
}

TEST_P(StandardOutput, OfSeveralWorkersIsNotMixed) {
    std::vector<std::unique_ptr<AccessLogs>> workers;
    for (int i = 0; i < 3; i++)
        workers.push_back(std::make_unique<AccessLogs>(logs_to(LogSink::standard_output, ""), in()));
    for (std::size_t i = 0; i < 3000; i++) write_number(*workers[i % 3], i);
    std::string got;
    for (Micros tick = 1; tick < 20'000 && got.size() < std::size_t{3000} * 61; tick++) {
        // Another one comes first each time, so that each is cut short by the others.
        for (std::size_t i = 0; i < 3; i++) workers[(static_cast<std::size_t>(tick) + i) % 3]->flush(tick);
        got += drain(out());
    }
    std::vector<std::size_t> found = numbers(got);
    std::sort(found.begin(), found.end());
    EXPECT_EQ(found, up_to(3000));
}

TEST_P(StandardOutput, TakesLinesThatAreLongerThanItIs) {
    AccessLogs logs(logs_to(LogSink::standard_output, "", "$request$request$request$request$request"), in());
    for (std::size_t i = 0; i < 10; i++) write_number(logs, i, 4000);
    std::string got;
    for (Micros tick = 1; tick < 5'000 && got.size() < std::size_t{10} * 20001; tick++) {
        logs.flush(tick);
        got += drain(out());
    }
    EXPECT_EQ(numbers(got, 20000), up_to(10));
}

TEST_P(StandardOutput, WithoutAReaderCostsLines) {
    pipe_.reading.reset();
    AccessLogs logs(logs_to(LogSink::standard_output, ""), in());
    write_number(logs, 0);
    logs.flush(1);
    EXPECT_EQ(logs.take_dropped(), 1u);
    EXPECT_EQ(said("Broken pipe"), 1u);
}

TEST_P(StandardOutput, LosesWhatStillWaitsAtTheEnd) {
    AccessLogs logs(logs_to(LogSink::standard_output, ""), in());
    for (std::size_t i = 0; i < 5000; i++) write_number(logs, i);
    logs.close(1);
    const std::uint64_t written = logs.take_written();
    EXPECT_GT(written, 0u);
    EXPECT_EQ(written + logs.take_dropped(), 5000u);
}

INSTANTIATE_TEST_SUITE_P(OfEachKind, StandardOutput,
                         testing::Values(Output::pipe, Output::blocking_pipe, Output::blocking_socket),
                         [](const auto& instance) {
                             switch (instance.param) {
                                 case Output::pipe: return "Pipe";
                                 case Output::blocking_pipe: return "BlockingPipe";
                                 case Output::blocking_socket: return "BlockingSocket";
                             }
                             return "";
                         });

}  // namespace
}  // namespace lb
