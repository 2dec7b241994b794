// master/caller.h -- whoever asked the master for something, and waits for the outcome.
// A signal asks too, but nobody waits then: a null CallerPtr.
#pragma once
#include <sys/types.h>

#include <memory>
#include <optional>
#include <string_view>

namespace lb {

class Caller {
 public:
    struct Who {
        uid_t uid = 0;
        pid_t pid = 0;
    };
    virtual ~Caller() = default;
    [[nodiscard]] virtual std::optional<Who> who() const { return std::nullopt; }
    // Sends the lines there are before the outcome is known. False: nobody waits any more.
    virtual bool flush() { return true; }
    // Lines for standard output and standard error of the one who asked. Line breaks become blanks.
    virtual void info(std::string_view text) = 0;
    virtual void error(std::string_view text) = 0;
    // The outcome, once; nothing after it is sent.
    virtual void done(bool ok, std::string_view text) = 0;
    // Bytes of the answer that were not taken yet; nothing: nobody waits any more. Who sends much waits for it to sink.
    [[nodiscard]] virtual std::optional<std::size_t> held() const { return 0; }
};
using CallerPtr = std::shared_ptr<Caller>;

}  // namespace lb
