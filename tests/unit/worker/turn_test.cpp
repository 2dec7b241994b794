// What keeps one turn of the loop short, and what says that a long one gets on.
#include <gtest/gtest.h>
#include <sys/socket.h>
#include <unistd.h>

#include <memory>
#include <vector>

#include "worker/io/conn.h"
#include "worker/io/io.h"

namespace lb {
namespace {

TEST(TurnShare, ShrinksAsTheTurnGrowsAndLeavesNobodyOut) {
    io::TurnShare share;
    std::uint64_t moved = 0;
    for (int connection = 0; connection < 500; connection++) {
        EXPECT_GE(share.one(), io::TurnShare::least);
        EXPECT_LE(share.one(), io::TurnShare::most);
        const std::uint64_t took = share.one();
        share.took(took);
        moved += took;
    }
    EXPECT_TRUE(share.spent());
    EXPECT_LE(moved, io::TurnShare::whole + 500 * io::TurnShare::least);
    share.next_turn();
    EXPECT_FALSE(share.spent());
    EXPECT_EQ(share.one(), io::TurnShare::most);
}

class Quiet final : public io::Conn {
 public:
    using Conn::Conn;
    ~Quiet() { shut(); }
    unsigned served = 0;

 private:
    void on_io() override {
        served++;
        char byte;
        (void)receive(&byte, 1);
    }
    void on_deadline() override {}
};

TEST(Progress, IsToldWithinATurnThatServesMany) {
    io::Io io(1, 1024);
    int told = 0;
    io.progress.tells([](void* count) { ++*static_cast<int*>(count); }, &told);
    constexpr unsigned connections = 3 * io::Progress::every;
    std::vector<std::unique_ptr<Quiet>> conns;
    std::vector<Fd> peers;
    for (unsigned i = 0; i < connections; i++) {
        int ends[2];
        ASSERT_EQ(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, ends), 0);
        conns.push_back(std::make_unique<Quiet>(io, Fd(ends[0])));
        peers.emplace_back(ends[1]);
        ASSERT_TRUE(conns.back()->watch());
        ASSERT_EQ(write(ends[1], "x", 1), 1);
    }
    const auto all_served = [&] {
        for (const auto& conn : conns) {
            if (conn->served == 0) return false;
        }
        return true;
    };
    for (int turn = 0; turn < 1000 && !all_served(); turn++) event_base_loop(io.base.get(), EVLOOP_ONCE);
    EXPECT_TRUE(all_served());
    EXPECT_GE(told, 3);
}

}  // namespace
}  // namespace lb
