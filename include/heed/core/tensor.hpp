// SPDX-License-Identifier: MIT
// heed/core/tensor.hpp: all that an argument may be: Eigen's tensors and matrices, and views of other layouts
#pragma once

#include <heed/core/eigen.hpp>
#include <heed/core/layouts.hpp>
#include <heed/core/result.hpp>
