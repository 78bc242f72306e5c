# SPDX-License-Identifier: MIT
# What heed needs (Eigen) and what its tests and benchmarks need besides. An installed package comes
# first; a download is the second choice.
include(FetchContent)

# Asked for without a version: find_package(Eigen3 3.4) refuses Eigen 5.
function(heed_find_eigen)
  if(TARGET Eigen3::Eigen)
    return()
  endif()
  find_package(Eigen3 QUIET NO_MODULE GLOBAL)
  if(TARGET Eigen3::Eigen)
    if(Eigen3_VERSION VERSION_LESS 3.4)
      message(FATAL_ERROR
        "heed needs Eigen 3.4 or newer and found ${Eigen3_VERSION} in ${Eigen3_DIR}. "
        "Install a newer Eigen, or point -DEigen3_DIR at one.")
    endif()
    message(STATUS "heed: Eigen ${Eigen3_VERSION}")
    return()
  endif()
  message(STATUS "heed: no Eigen found, downloading 3.4.0")
  # Headers are all that is needed: a SOURCE_SUBDIR without a CMakeLists.txt keeps Eigen's own build,
  # its tests and its options out of this one.
  FetchContent_Declare(eigen GIT_REPOSITORY https://gitlab.com/libeigen/eigen.git GIT_TAG 3.4.0
    GIT_SHALLOW ON SOURCE_SUBDIR headers-only)
  FetchContent_MakeAvailable(eigen)
  add_library(Eigen3::Eigen INTERFACE IMPORTED GLOBAL) # imported: its headers are SYSTEM ones
  set_target_properties(Eigen3::Eigen PROPERTIES INTERFACE_INCLUDE_DIRECTORIES "${eigen_SOURCE_DIR}")
  set_property(GLOBAL PROPERTY HEED_EIGEN_DOWNLOADED "${eigen_SOURCE_DIR}")
endfunction()

# Catch2 v2 and v3 both give Catch2::Catch2; tests/support/catch.hpp hides what differs.
function(heed_find_catch)
  if(TARGET Catch2::Catch2)
    return()
  endif()
  find_package(Catch2 QUIET GLOBAL)
  if(NOT TARGET Catch2::Catch2)
    message(STATUS "heed: no Catch2 found, downloading 3.7.1")
    FetchContent_Declare(Catch2 GIT_REPOSITORY https://github.com/catchorg/Catch2.git GIT_TAG v3.7.1
      GIT_SHALLOW ON)
    FetchContent_MakeAvailable(Catch2)
  endif()
endfunction()

function(heed_find_benchmark)
  if(TARGET benchmark::benchmark)
    return()
  endif()
  find_package(benchmark QUIET GLOBAL)
  if(NOT TARGET benchmark::benchmark)
    message(STATUS "heed: no Google Benchmark found, downloading 1.9.1")
    set(BENCHMARK_ENABLE_TESTING OFF)
    set(BENCHMARK_ENABLE_INSTALL OFF)
    set(CMAKE_POLICY_DEFAULT_CMP0077 NEW)
    FetchContent_Declare(benchmark GIT_REPOSITORY https://github.com/google/benchmark.git
      GIT_TAG v1.9.1 GIT_SHALLOW ON)
    FetchContent_MakeAvailable(benchmark)
  endif()
endfunction()
