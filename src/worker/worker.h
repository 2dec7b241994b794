// worker/worker.h -- one worker process, from fork to exit: set up, run the loop, wind down.
#pragma once
#include "shared/process/child.h"

namespace lb {

int run_worker(ChildContext& context);

}  // namespace lb
