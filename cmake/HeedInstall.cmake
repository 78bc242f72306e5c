# SPDX-License-Identifier: MIT
# Install rules and the package that find_package(heed) reads.
include(CMakePackageConfigHelpers)
include(GNUInstallDirs)

set(heed_package_dir "${CMAKE_INSTALL_DATADIR}/cmake/heed") # share/: nothing here depends on the machine

install(TARGETS heed EXPORT heedTargets
  FILE_SET HEADERS DESTINATION "${CMAKE_INSTALL_INCLUDEDIR}"
  FILE_SET regions DESTINATION "${CMAKE_INSTALL_INCLUDEDIR}")
install(EXPORT heedTargets NAMESPACE heed:: DESTINATION "${heed_package_dir}")

configure_package_config_file("${CMAKE_CURRENT_LIST_DIR}/heedConfig.cmake.in"
  "${PROJECT_BINARY_DIR}/heedConfig.cmake" INSTALL_DESTINATION "${heed_package_dir}"
  NO_SET_AND_CHECK_MACRO)
write_basic_package_version_file("${PROJECT_BINARY_DIR}/heedConfigVersion.cmake"
  COMPATIBILITY SameMinorVersion ARCH_INDEPENDENT)
install(FILES "${PROJECT_BINARY_DIR}/heedConfig.cmake" "${PROJECT_BINARY_DIR}/heedConfigVersion.cmake"
  DESTINATION "${heed_package_dir}")
