// SPDX-License-Identifier: MIT
// heed/mask.hpp: every mask, and the algebra & | !
#pragma once

#include <heed/mask/algebra.hpp>
#include <heed/mask/band.hpp>
#include <heed/mask/custom.hpp>
#include <heed/mask/dense.hpp>
#include <heed/mask/documents.hpp>
#include <heed/mask/neighbourhood.hpp>
#include <heed/mask/padding.hpp>
#include <heed/mask/tree.hpp>
