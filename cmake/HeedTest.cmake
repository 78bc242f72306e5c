# SPDX-License-Identifier: MIT
# heed_test and heed_absent_test, for tests/CMakeLists.txt.
heed_find_catch()

set(HEED_SKIPPED_CODE 77)
add_library(heed_test_main OBJECT support/main.cpp)
target_compile_features(heed_test_main PUBLIC cxx_std_20)
target_include_directories(heed_test_main PUBLIC "${CMAKE_CURRENT_SOURCE_DIR}")
target_link_libraries(heed_test_main PUBLIC Catch2::Catch2)
target_compile_definitions(heed_test_main PRIVATE HEED_SKIPPED=${HEED_SKIPPED_CODE}
  $<$<BOOL:${HEED_FPE}>:HEED_FPE>)

if(CMAKE_SYSTEM_PROCESSOR MATCHES "^(x86_64|AMD64|amd64|i[3-6]86)$")
  set(heed_all_targets avx512 avx2 baseline portable)
else()
  set(heed_all_targets baseline portable)
endif()
# Sanitizers are slow: their presets run fewer targets.
set(HEED_TEST_TARGETS "${heed_all_targets}" CACHE STRING "SIMD targets the tests run on")
set(HEED_TEST_TIME_FACTOR 1 CACHE STRING "Multiplies every test's time limit")

function(heed_test path)
  cmake_parse_arguments(PARSE_ARGV 1 arg "TARGETS" "TIMEOUT" "LABELS;SOURCES")
  if(NOT arg_TIMEOUT)
    set(arg_TIMEOUT 120)
  endif()
  math(EXPR arg_TIMEOUT "${arg_TIMEOUT} * ${HEED_TEST_TIME_FACTOR}")
  string(REGEX REPLACE "\\.cpp$" "" name "${path}")
  string(REPLACE "/" "." name "${name}")
  set(program "test.${name}")
  heed_executable(${program} "${path}" ${arg_SOURCES})
  target_link_libraries(${program} PRIVATE heed_test_main)
  if(HEED_CONFORMANCE_DATA)
    target_compile_definitions(${program} PRIVATE HEED_CONFORMANCE_DATA="${HEED_CONFORMANCE_DATA}")
  endif()

  set(tests "${name}")
  if(arg_TARGETS)
    list(TRANSFORM HEED_TEST_TARGETS PREPEND "${name}@" OUTPUT_VARIABLE tests)
  endif()
  foreach(test IN LISTS tests)
    add_test(NAME "${test}" COMMAND ${program})
    set_tests_properties("${test}" PROPERTIES
      LABELS "${arg_LABELS}" TIMEOUT ${arg_TIMEOUT} SKIP_RETURN_CODE ${HEED_SKIPPED_CODE})
    if(test MATCHES "@(.*)$")
      set_tests_properties("${test}" PROPERTIES ENVIRONMENT "HEED_TARGET=${CMAKE_MATCH_1}")
    endif()
  endforeach()
endfunction()

# A test that cannot run here, shown by ctest as skipped rather than left out in silence.
function(heed_absent_test name reason)
  message(STATUS "heed: ${name} will be skipped: ${reason}")
  add_test(NAME ${name} COMMAND ${CMAKE_COMMAND} -E echo "SKIPPED: ${reason}")
  set_tests_properties(${name} PROPERTIES
    LABELS ${name} TIMEOUT 10 SKIP_REGULAR_EXPRESSION "SKIPPED: ")
endfunction()
