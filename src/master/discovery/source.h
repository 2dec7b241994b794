// master/discovery/source.h -- where backends come from besides the configuration: a set of them, or an error, and later
// again. Sources differ in how they learn; what becomes of a set is the same for all.
#pragma once
#include <memory>
#include <string>
#include <vector>

#include "shared/config/model.h"

namespace lb::discovery {

// Complete but for `slot`. A name among them is resolved by whoever uses the set.
using Members = std::vector<config::Backend>;

class Source {
 public:
    virtual ~Source() = default;
    Source() = default;
    Source(const Source&) = delete;
    Source& operator=(const Source&) = delete;
    Source(Source&&) = delete;
    Source& operator=(Source&&) = delete;

    // The last good set; null until there was one, and again when it is too old. Never empty.
    [[nodiscard]] virtual const Members* members() const = 0;
    // Whether a first set or error came.
    [[nodiscard]] virtual bool settled() const = 0;
};

}  // namespace lb::discovery
