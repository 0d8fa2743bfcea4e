// SPDX-License-Identifier: Apache-2.0
// Times and sizes of the alua handler, as in the kernel's where it has them.
#pragma once

#include <cstdint>

#include "base/time.h"

namespace braidway::multipath::alua {

inline constexpr Duration command_timeout = std::chrono::seconds(60);
/// Before the first command of a run, so that sense data that come together lead to one report.
inline constexpr Duration start_delay = std::chrono::milliseconds(5);
/// How often a group in transition is asked, and one that answers with unit attentions.
inline constexpr Duration poll_interval = std::chrono::seconds(2);
/// How long a transition may take when the device does not tell.
inline constexpr Duration transition_time_default = std::chrono::seconds(60);
inline constexpr unsigned retries = 5;
inline constexpr uint32_t report_bytes_first = 128;
/// Room for about 2700 groups with four ports each; no device has as many.
inline constexpr uint32_t report_bytes_max = 64u << 10;

}  // namespace braidway::multipath::alua
