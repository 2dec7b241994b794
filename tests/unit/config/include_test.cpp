// tests/unit/config/include_test.cpp -- more files: patterns, order, depth, cycles.
#include "support.h"

namespace lb::config {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;
using testing::SizeIs;

std::vector<std::string> mistakes_of(const std::string& file) {
    const auto result = load({.file = file});
    return result ? std::vector<std::string>{} : shown(result.error());
}
Config config_of(const std::string& file) {
    auto result = load({.file = file});
    if (!result) {
        for (const std::string& line : shown(result.error())) ADD_FAILURE() << line;
        return {};
    }
    return std::move(result).value().config;
}
std::string listener(const std::string& name, int port) {
    return "[listener " + name + "]\nbind = 127.0.0.1:" + std::to_string(port) + "\n";
}

TEST(Includes, AreReadAfterTheirFileInTheOrderOfNames) {
    const Directory dir;
    dir.write("conf.d/20.ini", listener("c", 3));
    dir.write("conf.d/10.ini", listener("b", 2));
    dir.write("conf.d/30.txt", "not read");
    const Config config =
        config_of(dir.write("lb.ini", "[global]\ninclude = conf.d/*.ini\n" + listener("a", 1)));
    ASSERT_THAT(config.listeners, SizeIs(3));
    EXPECT_EQ(config.listeners[0].name, "a");
    EXPECT_EQ(config.listeners[1].name, "b");
    EXPECT_EQ(config.listeners[2].name, "c");
}

TEST(Includes, AreRelativeToTheFileTheyStandIn) {
    const Directory dir;
    dir.write("a/one.ini", "[global]\ninclude = b/two.ini\n");
    dir.write("a/b/two.ini", listener("deep", 2));
    EXPECT_THAT(config_of(dir.write("lb.ini", "[global]\ninclude = a/one.ini\n")).listeners, SizeIs(1));
}

TEST(Includes, APatternMayMatchNothingAndANameMayNot) {
    const Directory dir;
    const std::string file =
        dir.write("lb.ini", "[global]\ninclude = none/*.ini\ninclude = gone.ini\n" + listener("a", 1));
    EXPECT_THAT(mistakes_of(file), ElementsAre(file + ":3: [global] include: '" + dir.path("gone.ini") +
                                               "' cannot be read: No such file or directory"));
    EXPECT_THAT(mistakes_of(dir.write("ok.ini", "[global]\ninclude = none/*.ini\n" + listener("a", 1))),
                IsEmpty());
}

TEST(Includes, MistakesNameTheirFile) {
    const Directory dir;
    const std::string more = dir.write("more.ini", "[pool p]\nbackend = x\n[global]\nworkers = 3\n");
    const std::string file =
        dir.write("lb.ini", "[global]\ninclude = more.ini\nworkers = 2\n" + listener("a", 1) + "x\n");
    EXPECT_THAT(mistakes_of(file),
                ElementsAre(file + ":6: x: is no setting; write key = value",
                            more + ":2: [pool p] backend = x: needs a port; as in 10.0.0.1:8080",
                            more + ":4: [global] workers: is already set at " + file + ":3"));
}

TEST(Includes, CyclesAndSecondReadingsAreRefused) {
    const Directory dir;
    const std::string file =
        dir.write("lb.ini", "[global]\ninclude = b.ini\ninclude = c.ini\n" + listener("a", 1));
    const std::string b = dir.write("b.ini", "[global]\ninclude = lb.ini\n");
    dir.write("real.ini", "");
    std::filesystem::create_symlink(b, dir.path("c.ini"));
    EXPECT_THAT(mistakes_of(file), ElementsAre(file + ":3: [global] include: '" + dir.path("c.ini") +
                                                   "' is already included at " + file + ":2",
                                               b + ":2: [global] include: '" + file + "' includes itself"));
}

TEST(Includes, DepthIsBounded) {
    const Directory dir;
    for (int i = 0; i < 10; i++) {
        dir.write(std::to_string(i) + ".ini", "[global]\ninclude = " + std::to_string(i + 1) + ".ini\n");
    }
    dir.write("10.ini", "");
    EXPECT_THAT(mistakes_of(dir.path("0.ini")),
                ElementsAre(dir.path("8.ini") + ":2: [global] include: '" + dir.path("9.ini") +
                            "' is included more than 8 deep"));
}

TEST(Includes, AreRefusedInTextWithoutAFile) {
    EXPECT_THAT(mistakes("[global]\ninclude = /etc/passwd\n" + smallest),
                ElementsAre("lb.ini:2: [global] include = /etc/passwd: is not possible here"));
}

}  // namespace
}  // namespace lb::config
