# SPDX-License-Identifier: MIT
# Defaults for working on heed itself; a project that uses heed never reads this file.
set(CMAKE_EXPORT_COMPILE_COMMANDS ON)

# The published figures are those of plain -O2. A build type or an -O of the caller's choice wins.
get_property(heed_multi_config GLOBAL PROPERTY GENERATOR_IS_MULTI_CONFIG)
if(NOT heed_multi_config AND NOT CMAKE_BUILD_TYPE AND NOT CMAKE_CXX_FLAGS MATCHES "-O"
   AND NOT CMAKE_CXX_COMPILER_FRONTEND_VARIANT STREQUAL "MSVC" AND NOT MSVC)
  message(STATUS "heed: no build type chosen, compiling with -O2")
  add_compile_options(-O2)
endif()
