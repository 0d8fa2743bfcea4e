// SPDX-License-Identifier: Apache-2.0
// The words for clang's thread-safety analysis as this project's own sources write them.
#pragma once

#include "braidway/sync/annotations.h"

#define CAPABILITY(name) BRAIDWAY_CAPABILITY(name)
#define SCOPED_CAPABILITY BRAIDWAY_SCOPED_CAPABILITY
#define GUARDED_BY(x) BRAIDWAY_GUARDED_BY(x)
#define REQUIRES(...) BRAIDWAY_REQUIRES(__VA_ARGS__)
#define EXCLUDES(...) BRAIDWAY_EXCLUDES(__VA_ARGS__)
#define ACQUIRE(...) BRAIDWAY_ACQUIRE(__VA_ARGS__)
#define RELEASE(...) BRAIDWAY_RELEASE(__VA_ARGS__)
