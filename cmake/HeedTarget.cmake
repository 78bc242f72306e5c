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
if(HEED_TESTS OR HEED_BENCH OR HEED_EXAMPLES)
  find_package(Threads REQUIRED)
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
