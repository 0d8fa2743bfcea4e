// SPDX-License-Identifier: Apache-2.0
// Suppression files of lockcheck: any bytes are refused with one line that names its line, or give
// blocks that can be compared with a finding.
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "apps/lockcheck/document.h"
#include "apps/lockcheck/suppressions.h"
#include "base/check.h"

namespace {

using namespace braidway::lockcheck;

/// A finding with names for every kind of pattern.
Finding finding() {
    Finding made;
    made.kind = "order";
    made.locks.resize(1);
    made.locks[0].name = "account";
    made.chains.resize(1);
    for (const char* function : {"std::mutex::lock()", "bank::pay(int)", "main"}) {
        Frame& frame = made.chains[0].wants_stack.emplace_back();
        frame.function = function;
        frame.module = "/usr/bin/bank";
        frame.file = "/src/bank.cc";
    }
    made.chains[0].wants_stack[0].library = true;
    return made;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
    const std::string_view text(reinterpret_cast<const char*>(data), size);
    const auto blocks = parse_suppressions(text, "x.supp");
    if (!blocks) {
        CHECK(blocks.error().message.starts_with("x.supp:"), "a refusal names its line");
        CHECK(blocks.error().message.find('\n') == std::string::npos, "a refusal is one line");
        return 0;
    }
    const Finding asked = finding();
    for (const Suppression& each : *blocks) {
        CHECK(!each.name.empty() && !each.kind.empty(), "a block has a name and a kind");
        (void)matches(each, asked);
    }
    return 0;
}
