// The state file: what is kept comes back, and what somebody else put there harms nobody.
#include "master/operator/state_file.h"

#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <iterator>

#include "master/operator/state_text.h"
#include "shared/config/backend_text.h"

namespace lb::operators {
namespace {

namespace fs = std::filesystem;
constexpr Moment start{5'000'000, 1'700'000'000'000};

config::Backend backend(std::string_view text) { return read_backend(text).value(); }

Store filled() {
    Store store;
    EXPECT_TRUE(store.set("app", "a1", {shm::Operator::drain, 0}).ok());
    EXPECT_TRUE(store.set("app", "a \"2\" \\ ü", {shm::Operator::ready, 256}).ok());
    EXPECT_TRUE(store.set("app", "a3", {shm::Operator::maint, 9}).ok());
    EXPECT_TRUE(store.add("app", backend("10.0.0.9:80 weight=2 name=\"a 9\" backup")).ok());
    EXPECT_TRUE(store.add("app", backend("db.internal:80")).ok());
    EXPECT_TRUE(store.add("web", backend("unix:/run/web.sock")).ok());
    EXPECT_TRUE(store.enroll("app", backend("10.0.0.7:80 name=s1 weight=4"), 30'000, start).ok());
    EXPECT_TRUE(store.enroll("app", backend("10.0.0.8:80 name=s2"), 2'000, start).ok());
    return store;
}

void expect_same(const Store& a, const Store& b) {
    EXPECT_EQ(print_state(a, start), print_state(b, start));
    EXPECT_EQ(a.entries(), b.entries());
}

TEST(StateText, ReadsWhatItPrints) {
    const Store store = filled();
    const std::string text = print_state(store, start);
    Store read;
    EXPECT_EQ(read_state(text, read, start), std::vector<std::string>{}) << text;
    expect_same(store, read);
    EXPECT_EQ(read.setting("app", "a3"), (Setting{shm::Operator::maint, 9}));
    EXPECT_EQ(read.member("app", "a 9")->backend, backend("10.0.0.9:80 weight=2 name=\"a 9\" backup"));
    EXPECT_EQ(read.member("app", "s1")->from, shm::MemberOf::registry);
    EXPECT_EQ(read.member("app", "s1")->deadline, start.now + 30'000'000);
    EXPECT_EQ(print_state(Store(), start), "{\"lb_state\": 1, \"pools\": {}}\n");
}

TEST(StateText, TimeGoesOnWhileNobodyRuns) {
    const std::string text = print_state(filled(), start);
    // Another boot: the monotonic clock is somewhere else.
    const Moment later{77'000'000, start.unix_millis + 20'000};
    Store read;
    EXPECT_TRUE(read_state(text, read, later).empty()) << "what ran out is no mistake";
    EXPECT_EQ(read.member("app", "s2"), nullptr);
    ASSERT_NE(read.member("app", "s1"), nullptr);
    EXPECT_EQ(read.member("app", "s1")->deadline, later.now + 10'000'000);
    // A clock that was set back by years.
    Store back;
    EXPECT_TRUE(read_state(text, back, {start.now, 1'000'000}).empty());
    EXPECT_LE(back.member("app", "s1")->deadline, start.now + most_ttl * 1000);
}

TEST(StateText, TakesWhatIsRightAndSaysWhatIsNot) {
    Store store;
    const auto mistakes = read_state(R"({"lb_state": 1, "pools": {
        "app": {"backends": {"a1": {"state": "drain"}, "a2": {"state": "asleep"}, "a3": {"weight": 0},
                             "a4": {"weight": -1}, "a5": {"weight": "2"}, "a6": 1, "a7": {"colour": 1}, "": {}},
                "added": ["10.0.0.1:80", 5, "nowhere", "10.0.0.1:80", "unix:relative"],
                "registered": [{"backend": "10.0.0.2:80", "expires": "soon"}, 1, {"backend": "10.0.0.3:80"},
                               {"backend": "10.0.0.4:80", "expires": 99999999999999999999}]},
        "bad\u0001name": {}, "list": [], "odd": {"x": 1}, "shape": {"backends": [], "added": {}}}})",
                                     store, start);
    EXPECT_EQ(mistakes.size(), 20u) << "and no more than so many";
    EXPECT_EQ(store.entries(), 2u);
    EXPECT_EQ(store.setting("app", "a1").state, shm::Operator::drain);
    EXPECT_NE(store.member("app", "10.0.0.1:80"), nullptr);
}

TEST(StateText, WhatIsNoStateLeavesNothing) {
    const std::string deep =
        R"({"lb_state": 1, "pools": {"app": {"added": )" + std::string(100'000, '[') + "}}}";
    for (const std::string& text :
         {std::string(), std::string("{"), std::string("[]"), std::string("7"),
          std::string("{\"pools\": {}}"),
          std::string(R"({"lb_state": 2, "pools": {"app": {"backends": {"a": {"state": "drain"}}}}})"),
          std::string(R"({"lb_state": 1, "pools": {}, "more": 1})"),
          std::string(R"({"lb_state": 1, "pools": 3})"),
          std::string("{\"lb_state\": 1, \"pools\": {\"\xff\": {}}}"), deep, std::string(1'000, '\0'),
          std::string(most_state_bytes + 1, ' ')}) {
        Store store;
        EXPECT_EQ(read_state(text, store, start).size(), 1u) << text.substr(0, 80);
        EXPECT_EQ(store.entries(), 0u);
    }
}

TEST(StateText, MoreThanTheBoundIsLeftOut) {
    std::string text = R"({"lb_state": 1, "pools": {"app": {"backends": {)";
    for (std::size_t i = 0; i < Store::most_entries + 5; i++) {
        text += (i == 0 ? "\"b" : ",\"b") + std::to_string(i) + "\":{\"weight\":2}";
    }
    text += "}}}}";
    Store store;
    EXPECT_EQ(read_state(text, store, start).size(), 5u);
    EXPECT_EQ(store.entries(), Store::most_entries);
}

struct StateFileTest : testing::Test {
    void SetUp() override {
        char name[] = "/tmp/lb-state-XXXXXX";
        directory = mkdtemp(name);
        path = directory + "/state.json";
        file.use(path);
    }
    void TearDown() override { fs::remove_all(directory); }
    [[nodiscard]] std::string content(const std::string& of) const {
        std::ifstream in(of, std::ios::binary);
        return {std::istreambuf_iterator<char>(in), {}};
    }
    void put(const std::string& text) const { std::ofstream(path, std::ios::binary) << text; }
    std::string directory, path;
    StateFile file;
};

TEST_F(StateFileTest, WhatIsSavedIsThereAfterARestart) {
    Store none;
    EXPECT_TRUE(file.load(none, start).empty()) << "no file is no mistake";
    const mode_t before = umask(0);
    EXPECT_EQ(file.save(filled(), start, true), "");
    umask(before);
    struct stat info {};
    ASSERT_EQ(stat(path.c_str(), &info), 0);
    EXPECT_EQ(info.st_mode & 07777U, 0640U);
    EXPECT_EQ(std::distance(fs::directory_iterator(directory), {}), 1) << "nothing is left beside it";
    Store store;
    EXPECT_TRUE(file.load(store, start).empty());
    expect_same(filled(), store);
    EXPECT_EQ(file.save(Store(), start, false), "");
    EXPECT_EQ(content(path), print_state(Store(), start));
}

TEST_F(StateFileTest, WhatCannotBeReadIsKeptAside) {
    put("what?");
    Store store;
    EXPECT_EQ(file.load(store, start).size(), 2u);
    EXPECT_FALSE(fs::exists(path));
    EXPECT_EQ(content(path + ".bad"), "what?");

    put(R"({"lb_state": 1, "pools": {"app": {"backends": {"a": {"state": "drain"}, "b": {"state": "?"}}}}})");
    EXPECT_EQ(file.load(store, start).size(), 2u);
    EXPECT_EQ(store.setting("app", "a").state, shm::Operator::drain);
    EXPECT_NE(content(path + ".bad").find("\"?\""), std::string::npos);
}

TEST_F(StateFileTest, NothingButAFileIsRead) {
    Store store;
    const auto stays = [&] {
        const auto before = fs::symlink_status(path).type();
        EXPECT_EQ(file.load(store, start).size(), 1u);
        EXPECT_NE(file.save(filled(), start, true).find("no regular file"), std::string::npos);
        EXPECT_FALSE(fs::exists(path + ".bad"));
        EXPECT_EQ(fs::symlink_status(path).type(), before);
        fs::remove_all(path);
    };
    fs::create_directory(path);
    stays();
    ASSERT_EQ(mkfifo(path.c_str(), 0600), 0);
    stays();  // and nobody waits for a writer
    std::ofstream(directory + "/other") << print_state(filled(), start);
    fs::create_symlink(directory + "/other", path);
    stays();
    EXPECT_EQ(content(directory + "/other"), print_state(filled(), start));
    EXPECT_EQ(store.entries(), 0u);
    EXPECT_EQ(std::distance(fs::directory_iterator(directory), {}), 1) << "nothing is left beside it";
}

TEST_F(StateFileTest, AFileThatCannotBeWrittenIsSaid) {
    ASSERT_EQ(file.save(filled(), start, true), "");
    const std::string before = content(path);
    StateFile nowhere;
    nowhere.use(directory + "/none/state.json");
    EXPECT_NE(nowhere.save(filled(), start, true).find("No such file"), std::string::npos);
    StateFile taken;
    fs::create_directories(directory + "/taken/full");
    taken.use(directory + "/taken");
    EXPECT_NE(taken.save(filled(), start, true), "");
    EXPECT_EQ(content(path), before);
    EXPECT_EQ(std::distance(fs::directory_iterator(directory), {}), 2) << "no half of it is left";
    StateFile off;
    EXPECT_EQ(off.save(filled(), start, true), "");
    EXPECT_TRUE(off.load(*std::make_unique<Store>(), start).empty());
}

TEST_F(StateFileTest, ItsProblemsAreToldWithoutTouchingIt) {
    EXPECT_TRUE(file.problems(start).empty()) << "a missing one is none";
    ASSERT_EQ(file.save(filled(), start, true), "");
    EXPECT_TRUE(file.problems(start).empty());
    std::ofstream(path) << "what?";
    EXPECT_EQ(file.problems(start).size(), 1u);
    EXPECT_EQ(content(path), "what?");
    EXPECT_FALSE(fs::exists(path + ".bad"));
}

}  // namespace
}  // namespace lb::operators
