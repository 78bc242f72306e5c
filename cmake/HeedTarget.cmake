# SPDX-License-Identifier: MIT
# heed_executable(name sources…): one of heed's own programs, with warnings on.
if(MSVC)
  set(HEED_WARNINGS /W4 $<$<BOOL:${HEED_WARNINGS_AS_ERRORS}>:/WX>)
else()
  set(HEED_WARNINGS -Wall -Wextra -Wconversion -Wshadow
    $<$<BOOL:${HEED_WARNINGS_AS_ERRORS}>:-Werror>)
endif()
if(HEED_TESTS OR HEED_BENCH OR HEED_EXAMPLES)
  find_package(Threads REQUIRED)
endif()

function(heed_executable name)
  add_executable(${name} ${ARGN})
  target_link_libraries(${name} PRIVATE heed::heed Threads::Threads)
  target_compile_options(${name} PRIVATE ${HEED_WARNINGS})
endfunction()
