// shared/process/lifeline.h -- how workers whose master is gone hear from those that come after it.
//
// A pipe that nobody reads: what counts is how much is in it, so that any number of workers hear the same. The master that
// made it gives its workers the reading end and the service manager the only writing end; later masters get that from
// there. When the service is stopped, the manager lets go of it, and the last writer is gone: before the master is, when
// the manager keeps nothing. The admin process hears it too, and ends whatever it says.
//
//   nothing in it    accept, as if the master were there: what it would restart is on its way
//   one byte         another master's workers accept: drain
//   two bytes        lb is quitting: drain within quit_timeout
//   no writer        and no master: the service has ended: end now
//
// Owns:  its end of the pipe.
// Never: blocks; reads.
#pragma once
#include <cstdint>
#include <string>
#include <utility>

#include "shared/base/result.h"
#include "shared/net/fd.h"

namespace lb {

enum class Told : std::uint8_t { nothing, drain, quit, end };

class Lifeline {
 public:
    struct Ends {
        Fd read, write;
    };
    static Result<Ends, std::string> make();

    // What the reading end says now.
    static Told told(int read_end) noexcept;
    // Whether anything was ever said, also when the last writer is gone.
    static bool spoken(int read_end) noexcept;
    // Of the writing end: tells the readers at least `what` (drain or quit).
    static void tell(int write_end, Told what) noexcept;
    // Whether any reader is left. False too for what is no pipe.
    static bool heard(int write_end) noexcept;
};

}  // namespace lb
