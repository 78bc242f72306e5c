# SPDX-License-Identifier: MIT
# heed_test, for tests/CMakeLists.txt, and what the test programs share: the unit that runs Catch2, and the
# leaves, compiled once (heed/simd/compile_once.hpp): a third of the build's time.
heed_find_catch()

set(HEED_SKIPPED_CODE 77)
add_library(heed_test_main OBJECT support/main.cpp)
target_compile_features(heed_test_main PUBLIC cxx_std_20)
target_include_directories(heed_test_main PUBLIC "${CMAKE_CURRENT_SOURCE_DIR}")
target_link_libraries(heed_test_main PUBLIC Catch2::Catch2)
target_compile_definitions(heed_test_main PRIVATE HEED_SKIPPED=${HEED_SKIPPED_CODE})

# The counted and failing allocation functions, for the programs that want them in the place of the usual ones.
# The flags of all test programs, so that these share its precompiled headers: Eigen's tensors and Catch2.
add_library(heed_test_allocation OBJECT support/allocation.cpp)
heed_own(heed_test_allocation)
target_link_libraries(heed_test_allocation PRIVATE Catch2::Catch2)
target_include_directories(heed_test_allocation PRIVATE "${CMAKE_CURRENT_SOURCE_DIR}")
target_precompile_headers(heed_test_allocation PRIVATE "${HEED_EIGEN_HEADER}"
  "${CMAKE_CURRENT_SOURCE_DIR}/support/catch.hpp")

add_library(heed_test_leaves STATIC
  support/leaves_attention.cpp support/leaves_linear.cpp support/leaves_others.cpp)
heed_own(heed_test_leaves)

if(CMAKE_SYSTEM_PROCESSOR MATCHES "^(x86_64|AMD64|amd64|i[3-6]86)$")
  set(heed_all_targets avx512 avx2 baseline portable)
else()
  set(heed_all_targets baseline portable)
endif()
# Sanitizers are slow: their presets run fewer targets.
set(HEED_TEST_TARGETS "${heed_all_targets}" CACHE STRING "SIMD targets the tests run on")

# The few programs of `scripts/run test --smoke`.
add_custom_target(heed_smoke)

function(heed_test path)
  cmake_parse_arguments(PARSE_ARGV 1 arg "TARGETS;ALLOCATIONS;EXCEPTIONS" "TIMEOUT" "LABELS;OPTIONS;LIBRARIES")
  if(arg_EXCEPTIONS AND CMAKE_CXX_FLAGS MATCHES "-fno-exceptions")
    return()
  endif()
  if(NOT arg_TIMEOUT)
    set(arg_TIMEOUT 120)
  endif()
  string(REGEX REPLACE "\\.cpp$" "" name "${path}")
  string(REPLACE "/" "." name "${name}")
  set(program "test.${name}")
  heed_executable(${program} "${path}")
  target_link_libraries(${program} PRIVATE heed_test_main ${arg_LIBRARIES})
  if(arg_ALLOCATIONS)
    target_link_libraries(${program} PRIVATE heed_test_allocation)
  endif()
  target_compile_options(${program} PRIVATE ${arg_OPTIONS})
  if(NOT arg_OPTIONS)  # other flags, other leaves and other precompiled headers
    target_precompile_headers(${program} REUSE_FROM heed_test_allocation)
    if(NOT "smoke" IN_LIST arg_LABELS)  # which are not worth all leaves, just their own
      target_compile_definitions(${program} PRIVATE HEED_COMPILE_ONCE)
      target_link_libraries(${program} PRIVATE heed_test_leaves)
    endif()
  endif()
  if("smoke" IN_LIST arg_LABELS)
    add_dependencies(heed_smoke ${program})
  endif()
  if(HEED_CONFORMANCE_DATA)
    target_compile_definitions(${program} PRIVATE HEED_CONFORMANCE_DATA="${HEED_CONFORMANCE_DATA}")
  endif()

  set(tests "${name}")
  if(arg_TARGETS)
    list(TRANSFORM HEED_TEST_TARGETS PREPEND "${name}@" OUTPUT_VARIABLE tests)
  endif()
  foreach(test IN LISTS tests)
    add_test(NAME "${test}" COMMAND ${program})
    set(labels ${arg_LABELS})
    set(environment "")
    if(test MATCHES "@(.*)$")
      list(APPEND environment "HEED_TARGET=${CMAKE_MATCH_1}")
      # Floating-point traps, but on one target, which is as programs are. clang and -ffast-math move
      # arithmetic before its condition.
      if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU" AND NOT CMAKE_MATCH_1 STREQUAL "portable" AND NOT arg_OPTIONS)
        list(APPEND environment "HEED_FPE=1")
        list(APPEND labels traps)
      endif()
    endif()
    set_tests_properties("${test}" PROPERTIES LABELS "${labels}" ENVIRONMENT "${environment}"
      SKIP_RETURN_CODE ${HEED_SKIPPED_CODE})
    heed_time_limit("${test}" ${arg_TIMEOUT})
  endforeach()
endfunction()

# heed_race_test(path [LABELS …]): a test program compiled with the thread sanitizer, which reports a race even
# where its two sides did not meet in this run. Left out where the sanitizer does not run, or another one is on.
include(CheckCXXSourceRuns)
function(heed_race_test path)
  if(CMAKE_CXX_FLAGS MATCHES "-fsanitize")
    return()
  endif()
  set(CMAKE_REQUIRED_FLAGS "-fsanitize=thread")
  check_cxx_source_runs("#include <thread>\nint main() { std::thread([] {}).join(); }" HEED_HAS_THREAD_SANITIZER)
  if(NOT HEED_HAS_THREAD_SANITIZER)
    message(STATUS "heed: the thread sanitizer does not run here: ${path} is left out")
    return()
  endif()
  heed_test(${path} ${ARGN} OPTIONS -O1 -fsanitize=thread -DHEED_STATIC_TARGET=baseline)
  string(REGEX REPLACE "\\.cpp$" "" name "${path}")
  string(REPLACE "/" "." name "${name}")
  target_link_options(test.${name} PRIVATE -fsanitize=thread)
endfunction()
