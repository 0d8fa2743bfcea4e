// SPDX-License-Identifier: Apache-2.0
// Requests of the control API that do something: METHOD, a blank, the path, a line break, the body.
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "base/check.h"
#include "daemon/api_command.h"
#include "daemon/json.h"
#include "daemon/words.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
    using namespace braidway::daemon;
    const std::string_view text(reinterpret_cast<const char*>(data), size);
    const size_t blank = text.find(' ');
    const size_t line_end = text.find('\n');
    if (blank == std::string_view::npos || line_end == std::string_view::npos || blank > line_end)
        return 0;
    const auto words = split_words(text.substr(blank + 1, line_end - blank - 1), '/');
    const std::string body(text.substr(line_end + 1));
    event_from_json(body);
    const auto command = read_command(text.substr(0, blank), words, body);
    if (!command) {
        CHECK(!command.error().message.empty(), "a refusal says why");
        return 0;
    }
    const CommandRequest request = write_command(*command);
    CHECK(request.method == text.substr(0, blank), "a command is written as it was read");
    return 0;
}
