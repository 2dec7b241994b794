# With LB_PCH the headers nearly every file includes are parsed once for all libraries and once for all tests, which
# saves a third of an unoptimised build. It is off by default: ccache does better for whoever builds again and again,
# and a file that forgets an include still compiles with it. scripts/test uses it for the builds under sanitizers only;
# the release build compiles every file as it stands.
set(LB_PCH_HEADERS <algorithm> <array> <cerrno> <chrono> <cstdint> <cstring> <deque> <functional> <limits> <map> <memory>
  <optional> <set> <span> <string> <string_view> <unordered_map> <utility> <vector> <fmt/format.h>)
set(LB_PCH_TEST_HEADERS <cstdio> <cstdlib> <filesystem> <fstream> <sstream> <gtest/gtest.h> <gmock/gmock.h>)

# The flags must be those of the files that use it: libraries are position-independent code, tests parts of executables.
function(lb_precompile name)
  file(CONFIGURE OUTPUT ${CMAKE_BINARY_DIR}/${name}.cpp CONTENT "")
  add_library(${name} OBJECT ${CMAKE_BINARY_DIR}/${name}.cpp)
  target_link_libraries(${name} PRIVATE lb_flags lb_fmt)
  target_precompile_headers(${name} PRIVATE ${ARGN})
endfunction()

if(LB_PCH)
  add_compile_options(-pthread)  # some libraries ask for it
  lb_precompile(lb_pch_library ${LB_PCH_HEADERS})
  if(LB_TESTS)
    find_package(GTest REQUIRED)
    lb_precompile(lb_pch_test ${LB_PCH_HEADERS} ${LB_PCH_TEST_HEADERS})
    set_target_properties(lb_pch_test PROPERTIES POSITION_INDEPENDENT_CODE OFF)
    target_compile_options(lb_pch_test PRIVATE -fPIE)
    target_link_libraries(lb_pch_test PRIVATE GTest::gtest_main GTest::gmock)
  endif()
endif()

# lb_precompiled(TARGET library|test)
function(lb_precompiled target kind)
  if(LB_PCH)
    target_precompile_headers(${target} REUSE_FROM lb_pch_${kind})
  endif()
endfunction()
