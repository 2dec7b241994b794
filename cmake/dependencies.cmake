# Every library lb links, and nothing else. All are Debian 12 packages; nothing is downloaded.
find_package(PkgConfig REQUIRED)
pkg_check_modules(EVENT REQUIRED IMPORTED_TARGET libevent_core>=2.1.12)
pkg_check_modules(EVENT_EXTRA REQUIRED IMPORTED_TARGET libevent_extra>=2.1.12)
pkg_check_modules(RE2 REQUIRED IMPORTED_TARGET re2)
pkg_check_modules(CARES REQUIRED IMPORTED_TARGET libcares>=1.18)
pkg_check_modules(MAXMINDDB REQUIRED IMPORTED_TARGET libmaxminddb>=1.7)
find_package(ZLIB REQUIRED)
find_package(OpenSSL 3.0 REQUIRED COMPONENTS Crypto)
find_path(XXHASH_INCLUDE xxhash.h REQUIRED)  # header only
pkg_check_modules(INIH REQUIRED IMPORTED_TARGET inih)
find_package(prometheus-cpp CONFIG REQUIRED)
find_package(nlohmann_json 3.11 REQUIRED)
find_path(FMT_INCLUDE fmt/format.h REQUIRED)
# Debian has no static fmt, and its shared one would be a package to depend on for text alone. Header-only fmt makes
# each file that formats text several seconds dearer to compile, most of all under sanitizers. So its implementation
# header is compiled once, in shared/base/fmt_once.cpp; everybody else sees declarations.
add_library(lb_fmt INTERFACE)
target_include_directories(lb_fmt SYSTEM INTERFACE ${FMT_INCLUDE})

# Debian builds inih with settings as variables; other builds cut lines at 199 characters in silence.
include(CheckSymbolExists)
set(CMAKE_REQUIRED_LIBRARIES PkgConfig::INIH)
check_symbol_exists(ini_max_line ini.h LB_INIH_IS_RUNTIME)
unset(CMAKE_REQUIRED_LIBRARIES)
if(NOT LB_INIH_IS_RUNTIME)
  message(FATAL_ERROR "inih must be Debian's build, whose limits are variables (ini_max_line)")
endif()
