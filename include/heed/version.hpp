// SPDX-License-Identifier: MIT
// heed/version.hpp: the only place that holds the version number
#pragma once

#define HEED_VERSION_MAJOR 0
#define HEED_VERSION_MINOR 1
#define HEED_VERSION_PATCH 0
