// SPDX-License-Identifier: Apache-2.0
// Compiles the headers of this room on their own.
#include "sync/mailbox.h"
#include "sync/mutex.h"
#include "sync/thread_annotations.h"
