# Warnings, hardening and link-time optimisation. They live here and not in a preset, so that a plain
# `cmake -DCMAKE_BUILD_TYPE=Release` builds the same binary as the preset and the package.
add_library(lb_flags INTERFACE)
target_compile_options(lb_flags INTERFACE -Wall -Wextra -Wconversion -Wformat -Werror=format-security -Werror)

if(LB_SANITIZE)
  add_compile_options(-fsanitize=${LB_SANITIZE} -fno-sanitize-recover=all -fno-omit-frame-pointer)
  add_link_options(-fsanitize=${LB_SANITIZE})
  if(CMAKE_CXX_COMPILER_ID STREQUAL "Clang" AND LB_SANITIZE MATCHES "undefined")
    # clang's check of virtual tables opens a pipe to find out whether memory can be read. Where a test has used up all
    # descriptors it cannot, and reports what is fine. A g++ build has that check, and needs no pipe for it.
    add_compile_options(-fno-sanitize=vptr)
  endif()
elseif(NOT LB_FUZZ)
  # Fortified functions need optimisation; sanitizers bring checks of their own.
  add_compile_options($<$<CONFIG:Release>:-U_FORTIFY_SOURCE> $<$<CONFIG:Release>:-D_FORTIFY_SOURCE=2>)
endif()
add_compile_options(-fstack-protector-strong -fstack-clash-protection)
if(CMAKE_SYSTEM_PROCESSOR MATCHES "x86_64|AMD64")
  add_compile_options(-fcf-protection)
endif()
add_link_options(LINKER:-z,relro LINKER:-z,now LINKER:-z,noexecstack)
set(CMAKE_POSITION_INDEPENDENT_CODE ON)
# For who looks into a core dump: the package keeps them apart (lb-dbgsym). Paths are those of the source tree.
add_compile_options($<$<CONFIG:Release>:-g1> $<$<CONFIG:Release>:-ffile-prefix-map=${CMAKE_SOURCE_DIR}=.>)
include(CheckPIESupported)
check_pie_supported()
if(CMAKE_BUILD_TYPE STREQUAL "Release" AND NOT LB_SANITIZE)
  include(CheckIPOSupported)
  check_ipo_supported(RESULT lb_lto)
  set(CMAKE_INTERPROCEDURAL_OPTIMIZATION ${lb_lto})
  if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU")
    set(CMAKE_CXX_COMPILE_OPTIONS_IPO -flto=auto -fno-fat-lto-objects)  # links on all CPUs
  endif()
endif()
if(LB_FUZZ)
  # Some optimisation is worth several times the executions; line tables are what a report of a finding needs.
  add_compile_options(-O1 -g1)
  add_compile_options(-fsanitize=fuzzer-no-link,address,undefined)
  add_link_options(-fsanitize=address,undefined)
endif()
