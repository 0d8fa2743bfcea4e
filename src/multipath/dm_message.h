// SPDX-License-Identifier: Apache-2.0
// Messages to device-mapper's multipath target (`dmsetup message`): text <-> struct.
#pragma once

#include <functional>
#include <span>
#include <string>
#include <string_view>

#include "base/error.h"
#include "multipath/dm_words.h"
#include "multipath/event.h"
#include "multipath/spec.h"

namespace braidway::multipath {

/// A message that a map can obey.
struct DmMessage {
    Message message = Message::queue_if_no_path;
    std::string path;       ///< fail_path, reinstate_path: as it was named.
    GroupNumber group = 0;  ///< switch_group, disable_group, enable_group: from 1.

    bool operator==(const DmMessage&) const = default;
};

/// What the words of a message are held against.
struct DmMessageMap {
    size_t groups = 0;
    /// Whether there is a device of this name at all; its error code goes up.
    DeviceLookup device;
    /// Whether the table has the device; asked after `device`. An empty one says yes.
    std::function<bool(std::string_view name)> in_table;
};

/// Reads a message in the kernel's order of checks.
///
/// A map that is suspended answers EBUSY to every message that has a word, whatever it says: the
/// caller asks for that first. A message without words is refused here also then.
/// Errors: EINVAL; for fail_path and reinstate_path the code of `map.device`. The message says what
/// was read and what is expected.
Result<DmMessage> parse_dm_message(std::span<const std::string> words, const DmMessageMap& map);

/// The words that make `message`.
std::string dm_message_text(const DmMessage& message);

}  // namespace braidway::multipath
