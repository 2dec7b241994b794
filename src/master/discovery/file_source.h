// master/discovery/file_source.h -- `discover = file`: one backend a line, as after `backend =`; blank lines are left out,
// and what follows a # or ; after a blank. The file is taken as a whole or not at all.
// Owns:  the watch of the file's directory, so that a file put in its place by rename is noticed; besides, a look every few
//        seconds, for file systems that tell nobody.
// Never: empties the set: a file that is missing, wrong, empty or too long is an error, and the last set stays.
#pragma once
#include <sys/stat.h>

#include <functional>
#include <string>

#include "master/discovery/source.h"
#include "shared/base/clock.h"
#include "shared/base/result.h"
#include "shared/net/event_ptr.h"
#include "shared/net/fd.h"

namespace lb::discovery {

// The text of a file; `path` is for the error: "PATH:7: the port must be 1 to 65535". Relative unix sockets are below the
// file's directory.
Result<Members, std::string> parse_members(std::string_view text, const std::string& path);

class FileSource final : public Source {
 public:
    static constexpr std::size_t most_bytes = 1048576;
    static constexpr std::size_t most_members = 10'000;
    static constexpr Micros look_interval = 3'000'000;
    // One that changed so recently may be in the middle of being written: looked at again after as long.
    static constexpr Micros writing = 1'000'000;

    struct Calls {
        std::function<void()> changed;
        // Another error than before, or "" when it is over.
        std::function<void(const std::string& error)> trouble;
    };
    // Reads the file at once. The calls come later, from the loop: ask members() and error() first.
    FileSource(event_base* base, std::string path, Calls calls);

    [[nodiscard]] const Members* members() const override { return known_ ? &members_ : nullptr; }
    [[nodiscard]] bool settled() const override { return true; }
    [[nodiscard]] const std::string& error() const noexcept { return error_; }

 private:
    void watch_directory();
    void on_events();
    void look(bool finished);
    void take();
    void report(bool changed, const std::string& before);
    void wait(Micros time);

    event_base* base_;
    std::string path_, directory_, file_;
    Calls calls_;
    Fd watch_;
    EventPtr event_, timer_;
    struct stat seen_ {};
    bool read_ = false;  // `seen_` is of a file that was read, whatever came of it
    bool known_ = false;
    bool unwatched_said_ = false;
    Members members_;
    std::string error_;
};

}  // namespace lb::discovery
