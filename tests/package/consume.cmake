# SPDX-License-Identifier: MIT
# Configures, builds and runs the consumer project in a folder of its own, against heed's sources
# (way=subdirectory) or a fresh installation of it (way=installed).
function(run)
  execute_process(COMMAND ${ARGV} COMMAND_ECHO STDOUT RESULT_VARIABLE result)
  if(NOT result EQUAL 0)
    message(FATAL_ERROR "package test: the command above failed (${result})")
  endif()
endfunction()

file(REMOVE_RECURSE "${work}")
if(way STREQUAL "installed")
  run(${CMAKE_COMMAND} --install ${build} --prefix ${work}/prefix)
  set(where -D CMAKE_PREFIX_PATH=${work}/prefix)
else()
  set(where -D HEED_SOURCE=${source})
endif()
if(eigen_downloaded)
  list(APPEND where -D FETCHCONTENT_SOURCE_DIR_EIGEN=${eigen_downloaded})
elseif(eigen_dir)
  list(APPEND where -D Eigen3_DIR=${eigen_dir})
endif()

run(${CMAKE_COMMAND} -S ${consumer} -B ${work}/build -G ${generator}
  -D CMAKE_CXX_COMPILER=${compiler} -D CMAKE_CXX_FLAGS=${flags} -D CMAKE_BUILD_TYPE=Debug ${where})
run(${CMAKE_COMMAND} --build ${work}/build)
run(${work}/build/consumer)
