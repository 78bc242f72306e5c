// SPDX-License-Identifier: MIT
// heed/cummax.hpp: running maxima, and attention made of them
//
// Linear cost, constant memory for a stream. The parts, each with its documentation:
#pragma once

#include <heed/cummax/attention.hpp>
#include <heed/cummax/maxstate.hpp>
#include <heed/cummax/options.hpp>
#include <heed/cummax/scan.hpp>
