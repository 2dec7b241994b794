// tests/fuzz/llhttp_response.cpp -- any bytes as answers of a backend, through lb's parser and through llhttp, which must agree but
// for what differences.h names.
#include <cstdint>

#include "compare.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    using namespace lb::fuzz;
    const Exact input({reinterpret_cast<const char*>(data), size});
    compare_responses(input.view());
    return 0;
}
