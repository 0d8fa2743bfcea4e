// SPDX-License-Identifier: Apache-2.0
// The latency path selector.
#pragma once

#include "multipath/selector.h"

namespace braidway::multipath {

/// Latency: the path that should answer this I/O first, going by how fast each has answered I/Os of
/// this size under how much load.
///
/// Per path and class of sizes three averages are kept:
///     idle     latency of I/Os that found nothing else in flight on the path
///     latency  latency of all I/Os
///     load     how many others were in flight as they ended
/// A path with q I/Os in flight is expected to answer the next one after
///     q <= load:  idle + (latency - idle) * q / load
///     q >  load:  latency * (q + 1) / (load + 1)
/// and after no less than the time for which it has let I/Os wait without any answer.
/// The first line joins the two loads that were seen, so a path that serves many I/Os at a time
/// costs little more for each, and one that serves them one by one costs q times as much. Beyond
/// what was seen, the second line takes a path to be saturated until it shows otherwise. An average
/// of latencies alone would miss both: it tells of the load that was, not of the load there is, and
/// all I/O would jump to and fro between paths.
/// What is within 1/8 of the best counts as equal and takes turns, the least recently used first.
///
/// A new sample counts 1/16, more after a pause of the path (1/8 after 1 latency, 1/4 after 2, 1/2
/// after 4, all of it after 8), and no more than 16 times the average, so that one hiccup is not a
/// bad path. Sizes are told apart because a path that happened to get the large I/Os would look
/// slow: up to 8 KiB, 64 KiB, 512 KiB, and above.
///
/// A path of which nothing is known yet, a reinstated one too, gets one I/O of each class at once;
/// until it has answered it counts as no better than the best, times what it has in flight. A path
/// that nobody used for 32 of its latencies (10 s at most) is looked at again with one I/O, whose
/// answer then counts alone. Such looks are at most one I/O in 32, and a bad path is busy with them
/// 1/32 of the time at most.
/// Shapes:  per path: [repeat_count], read and shown as in round-robin.
/// Units:   nanoseconds in whole numbers; a latency is taken to be 18 minutes at most.
/// Source:  our own; the product of latency and outstanding I/Os as in "peak EWMA" balancers, made
///          to tell parallel paths from serial ones.
Result<std::unique_ptr<Selector>> make_latency(const PathArguments& group,
                                               const std::vector<PathArguments>& paths,
                                               const SelectorOptions& options);

}  // namespace braidway::multipath
