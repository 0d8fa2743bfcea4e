// SPDX-License-Identifier: Apache-2.0
// Telling systemd what the daemon is doing (the sd_notify protocol), without its library.
#pragma once

#include <string_view>

namespace braidway::apps {

/// Sends `state` ("READY=1") to $NOTIFY_SOCKET. Does nothing when there is none; errors are not
/// reported, because nobody could act on them.
void notify_systemd(std::string_view state);

void notify_ready();
void notify_reloading();
void notify_stopping();

}  // namespace braidway::apps
