// SPDX-License-Identifier: Apache-2.0
#include "braidway/explore/trace.h"

#include <fmt/format.h>

#include <bit>
#include <cstdint>

namespace braidway::explore {

std::string name_of(const Trace& trace, const void* address) {
    const auto at = std::bit_cast<uintptr_t>(address);
    for (const NamedObject& object : trace.objects) {
        const auto begin = std::bit_cast<uintptr_t>(object.begin);
        // An empty object has an address, too.
        if (at < begin || (at != begin && at - begin >= object.size_bytes)) continue;
        return at == begin ? object.name : fmt::format("{}+{}", object.name, at - begin);
    }
    return fmt::format("{:#x}", at);
}

}  // namespace braidway::explore
