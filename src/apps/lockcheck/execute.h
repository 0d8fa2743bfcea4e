// SPDX-License-Identifier: Apache-2.0
// Executing the program in place of this one.
#pragma once

#include "apps/lockcheck/program.h"

namespace braidway::lockcheck {

/// The environment `before` ("NAME=VALUE" each) with these changes. Other variables keep their
/// order.
std::vector<std::string> changed_environment(const char* const* before,
                                             const std::vector<Variable>& changes);

/// execve(2) with this process's environment changed. A file that is no program in a form the
/// kernel knows goes to /bin/sh, as with execvp(3). Returns an errno value when it fails.
int execute(const Start& start);

}  // namespace braidway::lockcheck
