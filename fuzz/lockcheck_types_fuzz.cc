// SPDX-License-Identifier: Apache-2.0
// Questions about types: any bytes are refused with one line, or give origins that can be grouped.
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "apps/lockcheck/type_groups.h"
#include "base/check.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
    using namespace braidway::lockcheck;
    const auto origins = read_origins({reinterpret_cast<const char*>(data), size});
    if (!origins) {
        CHECK(!origins.error().message.empty(), "a refusal has a message");
        CHECK(origins.error().message.find('\n') == std::string::npos, "a refusal is one line");
        return 0;
    }
    const std::string answer =
        type_groups(*origins, [](const LockOrigin& origin) { return origin.module; });
    CHECK(answer.empty() || answer.ends_with('\n'), "an answer is whole lines");
    return 0;
}
