// SPDX-License-Identifier: MIT
// heed/kernel/layers/all-inl.hpp: the leaves of the layers around attention

// clang-format off
#include <heed/kernel/layers/norm-inl.hpp>
#include <heed/kernel/layers/batch_norm-inl.hpp>
#include <heed/kernel/layers/activation-inl.hpp>
#include <heed/kernel/layers/branch-inl.hpp>
#include <heed/kernel/layers/loss-inl.hpp>
// clang-format on
