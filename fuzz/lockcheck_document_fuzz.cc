// SPDX-License-Identifier: Apache-2.0
// Raw documents of lockcheck: any bytes are refused with one line, or give a document that reads
// back as it was written, and of which every text and picture can be made.
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "apps/lockcheck/annotations.h"
#include "apps/lockcheck/document.h"
#include "apps/lockcheck/explain.h"
#include "apps/lockcheck/naming.h"
#include "apps/lockcheck/picture.h"
#include "apps/lockcheck/report.h"
#include "apps/lockcheck/suppressions.h"
#include "base/check.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
    using namespace braidway::lockcheck;
    const std::string_view text(reinterpret_cast<const char*>(data), size);
    auto document = read_document(text);
    if (!document) {
        CHECK(!document.error().message.empty(), "a refusal has a message");
        CHECK(document.error().message.find('\n') == std::string::npos, "a refusal is one line");
        return 0;
    }
    const std::string line = document_line(*document);
    CHECK(std::ranges::count(line, '\n') == 1, "a document is one line");
    const auto again = read_document(line);
    CHECK(again.has_value(), "what was written is read");
    CHECK(document_line(*again) == line, "and is the same");
    for (Finding& finding : document->findings) {
        finding.message = explain(finding);
        for (Chain& chain : finding.chains) {
            mark_libraries(chain.holds_stack);
            mark_libraries(chain.wants_stack);
        }
        CHECK(!report(finding, document->process, {.suppression = true}).empty(), "it can be told");
        CHECK(std::ranges::count(annotation(finding, false, "/src"), '\n') == 1,
              "an annotation is one line");
        const auto block = parse_suppressions(suppression_for(finding), "generated");
        if (kind_words(finding.kind) != nullptr)
            CHECK(block.has_value(), "a generated block can be read");
    }
    (void)summary(*document, 0);
    (void)dot_picture(document->findings);
    (void)svg_picture(document->findings);
    return 0;
}
