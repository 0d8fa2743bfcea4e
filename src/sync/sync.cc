// SPDX-License-Identifier: Apache-2.0
// Compiles the headers of this room on their own.
#include "braidway/sync/annotations.h"
#include "braidway/sync/deadline.h"
#include "braidway/sync/futex.h"
#include "braidway/sync/mutex.h"
#include "braidway/sync/policy.h"
#include "braidway/sync/rw_queue.h"
#include "braidway/sync/rw_semaphore.h"
#include "braidway/sync/rw_word.h"
#include "sync/mailbox.h"
#include "sync/mutex.h"
#include "sync/thread_annotations.h"
