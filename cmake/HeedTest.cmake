# SPDX-License-Identifier: MIT
# heed_test, for tests/CMakeLists.txt, and what the test programs share: the unit that runs Catch2, and the
# leaves, compiled once (heed/simd/compile_once.hpp): a third of the build's time.
heed_find_catch()

set(HEED_SKIPPED_CODE 77)
add_library(heed_test_main OBJECT support/main.cpp)
target_compile_features(heed_test_main PUBLIC cxx_std_20)
target_include_directories(heed_test_main PUBLIC "${CMAKE_CURRENT_SOURCE_DIR}")
target_link_libraries(heed_test_main PUBLIC Catch2::Catch2)
target_compile_definitions(heed_test_main PRIVATE HEED_SKIPPED=${HEED_SKIPPED_CODE}
  $<$<BOOL:${HEED_FPE}>:HEED_FPE>)

add_library(heed_test_leaves STATIC support/leaves.cpp)
heed_own(heed_test_leaves)

if(CMAKE_SYSTEM_PROCESSOR MATCHES "^(x86_64|AMD64|amd64|i[3-6]86)$")
  set(heed_all_targets avx512 avx2 baseline portable)
else()
  set(heed_all_targets baseline portable)
endif()
# Sanitizers are slow: their presets run fewer targets.
set(HEED_TEST_TARGETS "${heed_all_targets}" CACHE STRING "SIMD targets the tests run on")

function(heed_test path)
  cmake_parse_arguments(PARSE_ARGV 1 arg "TARGETS;EXCEPTIONS" "TIMEOUT" "LABELS;SOURCES;OPTIONS;LIBRARIES")
  if(arg_EXCEPTIONS AND CMAKE_CXX_FLAGS MATCHES "-fno-exceptions")
    return()
  endif()
  if(NOT arg_TIMEOUT)
    set(arg_TIMEOUT 120)
  endif()
  string(REGEX REPLACE "\\.cpp$" "" name "${path}")
  string(REPLACE "/" "." name "${name}")
  set(program "test.${name}")
  heed_executable(${program} "${path}" ${arg_SOURCES})
  target_link_libraries(${program} PRIVATE heed_test_main ${arg_LIBRARIES})
  target_compile_options(${program} PRIVATE ${arg_OPTIONS})
  if(NOT arg_OPTIONS)  # other flags, other leaves
    target_compile_definitions(${program} PRIVATE HEED_COMPILE_ONCE)
    target_link_libraries(${program} PRIVATE heed_test_leaves)
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
    set_tests_properties("${test}" PROPERTIES LABELS "${arg_LABELS}" SKIP_RETURN_CODE ${HEED_SKIPPED_CODE})
    heed_time_limit("${test}" ${arg_TIMEOUT})
    if(test MATCHES "@(.*)$")
      set_tests_properties("${test}" PROPERTIES ENVIRONMENT "HEED_TARGET=${CMAKE_MATCH_1}")
    endif()
  endforeach()
endfunction()
