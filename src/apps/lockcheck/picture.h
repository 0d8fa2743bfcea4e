// SPDX-License-Identifier: Apache-2.0
// Pictures of findings: locks in a ring, an arrow for each thread from what it holds to what it
// wants, and a dashed line where the ring goes on with another lock of the same class.
#pragma once

#include <span>
#include <string>

#include "apps/lockcheck/document.h"

namespace braidway::lockcheck {

/// For graphviz: one cluster for each finding. Suppressed ones are left out.
std::string dot_picture(std::span<const Finding> findings);

/// As SVG, laid out here: findings one below the other. Suppressed ones are left out.
std::string svg_picture(std::span<const Finding> findings);

}  // namespace braidway::lockcheck
