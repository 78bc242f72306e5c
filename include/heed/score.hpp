// SPDX-License-Identifier: MIT
// heed/score.hpp: every option that changes, weighs or writes out scores
#pragma once

#include <heed/score/alibi.hpp>
#include <heed/score/bias.hpp>
#include <heed/score/custom.hpp>
#include <heed/score/dropout.hpp>
#include <heed/score/outputs.hpp>
#include <heed/score/probability.hpp>
#include <heed/score/scale.hpp>
#include <heed/score/sinks.hpp>
#include <heed/score/softcap.hpp>
