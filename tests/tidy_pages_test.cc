// SPDX-License-Identifier: Apache-2.0
// The rules about pages, applied to this repository, and shown to be able to fail.
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <sstream>

#include "tidy/rules.h"

namespace braidway::tidy {
namespace {

std::vector<SourceFile> files_of(const char* folder, const char* suffix) {
    const std::filesystem::path root = BRAIDWAY_SOURCE_DIR;
    std::vector<SourceFile> files;
    for (const auto& entry : std::filesystem::directory_iterator(root / folder)) {
        if (entry.path().extension() != suffix) continue;
        std::ostringstream text;
        text << std::ifstream(entry.path()).rdbuf();
        files.push_back({entry.path().lexically_relative(root), text.str()});
    }
    return files;
}

TEST(House, PagesShowTheExamplesThatAreTested) {
    const std::vector<SourceFile> pages = files_of("docs", ".md");
    const std::vector<SourceFile> examples = files_of("docs/examples", ".cc");
    ASSERT_GT(pages.size(), 5u);
    ASSERT_FALSE(examples.empty());
    for (const Finding& finding : examples_not_as_shown(pages, examples))
        ADD_FAILURE() << finding.path << ":" << finding.line << ": " << finding.message;
}

TEST(Rules, ExamplesAreShownAsTheyAre) {
    const std::vector<SourceFile> all{{"docs/examples/a.cc", "// license\nint main() {}\n"},
                                      {"docs/examples/program/main.cc", "int main() {}\n"}};
    const auto count = [&](std::string_view text) {
        const std::vector<SourceFile> pages{{"docs/a.md", std::string(text)}};
        return examples_not_as_shown(pages, all).size();
    };
    const std::string mark = "<!-- docs/examples/a.cc -->\n";
    EXPECT_EQ(count(mark + "```cpp\nint main() {}\n```\nMore.\n"), 0u);
    EXPECT_EQ(count(mark + "```cpp\nint main() { }\n```\n"), 1u);
    EXPECT_EQ(count(mark + "```cpp\n```\n"), 1u);
    EXPECT_EQ(count(mark + "int main() {}\n"), 1u);
    EXPECT_EQ(count("Nothing.\n"), 1u) << "an example that no page shows";
    EXPECT_EQ(count(mark + "```cpp\nint main() {}\n```\n<!-- docs/examples/b.cc -->\n"), 1u)
        << "a page that shows what is not there";
}

}  // namespace
}  // namespace braidway::tidy
