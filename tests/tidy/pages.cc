// SPDX-License-Identifier: Apache-2.0
// What pages say about code, held against the code.
#include <algorithm>
#include <set>

#include "tidy/rules.h"
#include "tidy/scan.h"

namespace braidway::tidy {

Findings examples_not_as_shown(std::span<const SourceFile> pages, std::span<const SourceFile> all) {
    static constexpr std::string_view folder = "docs/examples/";
    static constexpr std::string_view open = "```cpp\n";
    Findings findings;
    std::set<std::string, std::less<>> shown;
    for (const SourceFile& page : pages) {
        const std::string_view text = page.text;
        const std::string mark = "<!-- " + std::string(folder);
        for (size_t at = text.find(mark); at != std::string_view::npos;
             at = text.find(mark, at + 1)) {
            const size_t end = text.find(" -->\n", at);
            if (end == std::string_view::npos) continue;
            const std::string path(text.substr(at + 5, end - at - 5));
            shown.insert(path);
            const auto example = std::ranges::find(all, path, &SourceFile::path);
            std::string_view block = text.substr(end + 5);
            block = block.starts_with(open) ? block.substr(open.size()) : "";
            block = block.substr(0, block.find("```\n"));
            // Without its first line, which names the license.
            if (example != all.end() && example->text.substr(example->text.find('\n') + 1) == block)
                continue;
            findings.push_back({page.path, line_at(text, at),
                                "does not show " + path +
                                    " as it is; copy the whole file but its first line into the "
                                    "```cpp block below the mark"});
        }
    }
    // What has a folder of its own is a program that its page runs.
    for (const SourceFile& file : all)
        if (file.path.starts_with(folder) && file.path.ends_with(".cc") &&
            file.path.find('/', folder.size()) == std::string::npos && !shown.contains(file.path))
            findings.push_back({file.path, 0,
                                "is shown on no page; put `<!-- " + file.path +
                                    " -->` and a ```cpp block where it belongs, or remove it"});
    return findings;
}

}  // namespace braidway::tidy
