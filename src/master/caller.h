// master/caller.h -- whoever asked the master for something, and waits for the outcome.
// A signal asks too, but nobody waits then: a null CallerPtr.
#pragma once
#include <memory>
#include <string_view>

namespace lb {

class Caller {
 public:
    virtual ~Caller() = default;
    // Lines for standard output and standard error of the one who asked. Line breaks become blanks.
    virtual void info(std::string_view text) = 0;
    virtual void error(std::string_view text) = 0;
    // The outcome, once; nothing after it is sent.
    virtual void done(bool ok, std::string_view text) = 0;
};
using CallerPtr = std::shared_ptr<Caller>;

}  // namespace lb
