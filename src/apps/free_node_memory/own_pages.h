// SPDX-License-Identifier: Apache-2.0
// This program's own page cache.
#pragma once

namespace braidway::apps {

/// Reads the program and its libraries twice, so that the kernel holds them to be in use.
///
/// A program that is started now and then is the oldest page cache there is: the next reclaim takes
/// it first, and the start after that reads some MiB from disk, which then looks like page cache
/// that was not freed. About a millisecond; failures do not matter.
void keep_own_pages();

}  // namespace braidway::apps
