# SPDX-License-Identifier: MIT
# The version number lives in include/heed/version.hpp alone; here it is read.
file(READ "${CMAKE_CURRENT_LIST_DIR}/../include/heed/version.hpp" heed_version_header)
set(HEED_VERSION "")
foreach(part IN ITEMS MAJOR MINOR PATCH)
  if(NOT heed_version_header MATCHES "#define HEED_VERSION_${part} ([0-9]+)")
    message(FATAL_ERROR "heed: include/heed/version.hpp defines no HEED_VERSION_${part}")
  endif()
  list(APPEND HEED_VERSION "${CMAKE_MATCH_1}")
endforeach()
list(JOIN HEED_VERSION "." HEED_VERSION)
