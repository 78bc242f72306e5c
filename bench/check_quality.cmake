# SPDX-License-Identifier: MIT
# The test bench.quality: heed_compare --quality tells what is known beforehand of its figures.
#
#   - exact attention is off by float's rounding alone, and keeps everything;
#   - a window of 512 keys is exact at 300 positions, and keeps a known number of pairs at 1100;
#   - linear attention keeps no single keys, and is neither exact nor far from the values' size;
#   - certified attention keeps 0.99 of the mass of every row, on the text as on noise.
set(json "${FOLDER}/check_quality.json")
set(html "${FOLDER}/check_quality.html")
execute_process(COMMAND "${COMPARE}" --quality --quick --lengths 300,1100 --json "${json}" --html "${html}"
  OUTPUT_VARIABLE table COMMAND_ERROR_IS_FATAL ANY)
file(READ "${json}" report)
file(READ "${html}" page)

function(between what least most)
  if(NOT ("${what}" MATCHES "^[0-9]" AND "${what}" GREATER_EQUAL least AND "${what}" LESS_EQUAL most))
    message(FATAL_ERROR "${where}: got ${what}, needs ${least} to ${most}\n${table}")
  endif()
endfunction()

string(JSON rows LENGTH "${report}" quality)
math(EXPR last "${rows} - 1")
set(seen 0)
foreach(row RANGE ${last})
  foreach(key variant exact input positions time_over_exact relative_error_median relative_error_worst
      kept_mass_median kept_mass_least kept_keys)
    string(JSON ${key} ERROR_VARIABLE unused GET "${report}" quality ${row} ${key})
  endforeach()
  set(where "${variant} for ${exact}, ${input}, ${positions} positions")
  between("${time_over_exact}" 0.001 1000)
  if(variant STREQUAL exact)
    between("${relative_error_worst}" 0 1e-5)
    between("${kept_mass_least}" 1 1)
    between("${kept_keys}" 1 1)
  elseif(variant STREQUAL "window" AND positions EQUAL 300)
    between("${relative_error_worst}" 0 1e-5)
    between("${kept_mass_least}" 0.99999 1)
    between("${kept_keys}" 0.99999 1)
    math(EXPR seen "${seen} + 1")
  elseif(variant STREQUAL "window")
    # Rows sampled evenly: of 605550 pairs 432384 stay, 0.714.
    between("${relative_error_worst}" 0.05 100)
    between("${kept_mass_least}" 0.01 0.95)
    between("${kept_keys}" 0.70 0.73)
    math(EXPR seen "${seen} + 1")
  elseif(variant STREQUAL "linear")
    between("${relative_error_median}" 0.05 3)
    if(NOT kept_mass_median STREQUAL "")
      message(FATAL_ERROR "${where}: mass kept is ${kept_mass_median}, needs none")
    endif()
    math(EXPR seen "${seen} + 1")
  elseif(variant STREQUAL "certified")
    between("${kept_mass_least}" 0.99 1)
    between("${relative_error_worst}" 0 0.2)
    math(EXPR seen "${seen} + 1")
  endif()
endforeach()
if(NOT seen EQUAL 10) # two variants of two lengths and one of one, two inputs
  message(FATAL_ERROR "window, linear and certified are shown ${seen} times, need 10\n${table}")
endif()
if(NOT page MATCHES "class=\"hollow\"" OR NOT page MATCHES ">window</text>" OR NOT page MATCHES "answering zeros")
  message(FATAL_ERROR "the page shows no chart of the errors: ${html}")
endif()
