// SPDX-License-Identifier: Apache-2.0
// The validator behind the locks of sync/, and who is told what it finds.
#pragma once

#include "lockdep/validator.h"

namespace braidway::watch {

/// The validator of this process. Made at the first lock; never destroyed, because locks are used
/// until the very end. Only in builds that have it (BRAIDWAY_SYNC_WATCHED).
///
/// Threads: any.
lockdep::Validator& validator();

}  // namespace braidway::watch
