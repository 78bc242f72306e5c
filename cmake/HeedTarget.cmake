# SPDX-License-Identifier: MIT
# heed_executable(name sources…): one of heed's own programs; heed_own(target): the same for a target
# of another kind. Warnings are on. heed_time_limit(test seconds): every test has one, whatever it runs.
set(HEED_TEST_TIME_FACTOR 1 CACHE STRING "Multiplies every test's time limit; sanitizers are slow")
if(MSVC)
  set(HEED_WARNINGS /W4 $<$<BOOL:${HEED_WARNINGS_AS_ERRORS}>:/WX>)
else()
  set(HEED_WARNINGS -Wall -Wextra -Wconversion -Wshadow
    $<$<BOOL:${HEED_WARNINGS_AS_ERRORS}>:-Werror>)
endif()

function(heed_own target)
  target_link_libraries(${target} PRIVATE heed::heed Threads::Threads)
  target_compile_options(${target} PRIVATE ${HEED_WARNINGS})
endfunction()

function(heed_executable name)
  add_executable(${name} ${ARGN})
  heed_own(${name})
endfunction()

function(heed_time_limit test seconds)
  math(EXPR seconds "${seconds} * ${HEED_TEST_TIME_FACTOR}")
  set_tests_properties("${test}" PROPERTIES TIMEOUT ${seconds})
endfunction()

# Eigen's tensor header is most of what a small unit compiles: parsed once for the units of all targets that
# say target_precompile_headers(… REUSE_FROM heed_eigen), which have the flags of heed_own and no others.
if(HEED_TESTS OR HEED_BENCH OR HEED_EXAMPLES)
  find_package(Threads REQUIRED)
  file(CONFIGURE OUTPUT heed_eigen.hpp CONTENT [[
#include <Eigen/Core>
#if __has_include(<unsupported/Eigen/CXX11/Tensor>)
#include <unsupported/Eigen/CXX11/Tensor>
#else
#include <unsupported/Eigen/Tensor>
#endif
]])
  set(HEED_EIGEN_HEADER "${CMAKE_CURRENT_BINARY_DIR}/heed_eigen.hpp")
  file(CONFIGURE OUTPUT heed_eigen.cpp CONTENT "// what the header is precompiled for\n")
  add_library(heed_eigen OBJECT EXCLUDE_FROM_ALL "${CMAKE_CURRENT_BINARY_DIR}/heed_eigen.cpp")
  heed_own(heed_eigen)
  target_precompile_headers(heed_eigen PRIVATE "${HEED_EIGEN_HEADER}")
endif()
