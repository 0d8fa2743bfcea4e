// SPDX-License-Identifier: Apache-2.0
// The public mutex and condition variable, and the annotations under their short names.
#pragma once

#include "braidway/sync/mutex.h"
#include "sync/thread_annotations.h"
