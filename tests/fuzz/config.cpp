// tests/fuzz/config.cpp -- any bytes as lb.ini: they load or they are mistakes; what loads goes round through lb -T.
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <string_view>

#include "master/config/parser.h"

namespace {

// A broken property must stop the fuzzer and the replay of seeds alike, in every build.
[[noreturn]] void broken(const char* what, std::string_view text) {
    std::fprintf(stderr, "%s\n%.*s\n", what, static_cast<int>(text.size()), text.data());
    std::abort();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    const std::string_view text(reinterpret_cast<const char*>(data), size);
    const auto loaded = lb::config::load_text(text);
    if (!loaded) {
        if (loaded.error().empty()) broken("refused without a mistake", text);
        for (const auto& error : loaded.error()) {
            const std::string line = lb::config::show(error);
            for (const char c : line) {
                if (static_cast<unsigned char>(c) < 0x20 || c == 0x7f)
                    broken("a mistake with a control byte", line);
            }
        }
        return 0;
    }
    const std::string printed = lb::config::dump(loaded.value().config);
    const auto again = lb::config::load_text(printed);
    if (!again) broken(lb::config::show(again.error().front()).c_str(), printed);
    if (!(again.value().config == loaded.value().config)) broken("lb -T loads to something else", printed);
    return 0;
}
