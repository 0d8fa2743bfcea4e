// SPDX-License-Identifier: Apache-2.0
// Published and recorded lines of real kernels, where they are at hand: they are no part of the
// project. $BRAIDWAY_SHARED says where; else they are looked for beside the source tree.
#include <gmock/gmock.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <regex>

#include "multipath/dm_status.h"
#include "multipath/dm_table.h"

namespace braidway::multipath {
namespace {

std::filesystem::path shared_folder() {
    const char* const given = std::getenv("BRAIDWAY_SHARED");
    return given != nullptr ? std::filesystem::path(given)
                            : std::filesystem::path(BRAIDWAY_SOURCE_DIR) / "../shared";
}

/// Whether every selector that `text` names is there.
bool selectors_known(const std::string& text) {
    return !text.contains(" queue-length ") || make_selector("queue-length", {}, {}).has_value();
}

std::vector<std::string> lines_of(const std::filesystem::path& path) {
    std::ifstream file(path);
    std::vector<std::string> lines;
    for (std::string line; std::getline(file, line);) lines.push_back(line);
    return lines;
}

/// One row of the published lines.
struct Row {
    std::string number;
    std::string kind;  ///< "T", "S" or "T, BAD".
    std::string parameters;
};

std::vector<Row> published_rows() {
    const std::regex cells(R"(\| (\d+) \| ([^|]*) \| `([^`]*)`.*)");
    const std::regex before(R"(^(params = |status = |load table \[)?(.*: )?(\d+ \d+ multipath )?)");
    std::vector<Row> rows;
    for (const std::string& line : lines_of(shared_folder() / "cases/dm-tables.md")) {
        std::smatch found;
        if (!std::regex_match(line, found, cells)) continue;
        std::string parameters = std::regex_replace(found[3].str(), before, "");
        if (parameters.ends_with(']')) parameters.pop_back();
        rows.push_back({found[1], found[2], parameters});
    }
    return rows;
}

TEST(DmPublished, TablesAreAcceptedOrRefusedAsByTheKernel) {
    const std::vector<Row> rows = published_rows();
    if (rows.empty()) GTEST_SKIP() << "no cases/dm-tables.md in " << shared_folder();
    size_t seen = 0;
    for (const Row& row : rows) {
        if (!row.kind.starts_with("T") || !selectors_known(row.parameters)) continue;
        ++seen;
        const auto map = parse_dm_table(row.parameters, nullptr);
        // Number 9 is what a debugger printed, with words of its own in it.
        const bool good = !row.kind.ends_with("BAD") && row.number != "9";
        EXPECT_EQ(map.has_value(), good)
            << row.number << ": " << row.parameters << (map ? "" : "\n" + map.error().message);
        if (map && good) {
            const std::string text = dm_table_text(*map);
            EXPECT_EQ(dm_table_text(parse_dm_table(text, nullptr).value()), text);
        }
    }
    EXPECT_GE(seen, 9u);
}

/// The lines of all recordings that begin with `mark`, without it and the target before them.
std::vector<std::string> recorded_lines(const std::string& mark) {
    const std::filesystem::path folder = shared_folder() / "lab/scenarios/recorded";
    std::vector<std::string> found;
    if (!std::filesystem::exists(folder)) return found;
    for (const auto& entry : std::filesystem::directory_iterator(folder))
        for (const std::string& line : lines_of(entry.path()))
            if (line.starts_with(mark)) found.push_back(line.substr(mark.size()));
    return found;
}

TEST(DmPublished, RecordedTablesArePrintedAsTheyWereRead) {
    const std::vector<std::string> tables = recorded_lines("t ");
    if (tables.empty()) GTEST_SKIP() << "no lab/scenarios/recorded in " << shared_folder();
    for (const std::string& table : tables) {
        if (!selectors_known(table)) continue;
        const auto target = parse_dm_target(table, nullptr);
        ASSERT_TRUE(target) << table << ": " << target.error().message;
        EXPECT_EQ(" " + dm_table_text(target->map), target->line.parameters);
    }
}

TEST(DmPublished, StatusLinesArePrintedAsTheyWereRead) {
    const std::vector<Row> rows = published_rows();
    if (rows.empty()) GTEST_SKIP() << "no cases/dm-tables.md in " << shared_folder();
    size_t seen = 0;
    for (const Row& row : rows) {
        if (row.kind != "S") continue;
        ++seen;
        const auto info = parse_dm_info(row.parameters);
        ASSERT_TRUE(info) << row.number << ": " << info.error().message;
        EXPECT_EQ(dm_info_text(*info), row.parameters);
    }
    EXPECT_GE(seen, 8u);
}

TEST(DmPublished, RecordedStatusLinesArePrintedAsTheyWereRead) {
    const std::vector<std::string> lines = recorded_lines("s ");
    if (lines.empty()) GTEST_SKIP() << "no lab/scenarios/recorded in " << shared_folder();
    for (const std::string& each : lines) {
        const auto line = parse_dm_line(each);
        ASSERT_TRUE(line) << each;
        const auto info = parse_dm_info(line->parameters);
        ASSERT_TRUE(info) << each << ": " << info.error().message;
        EXPECT_EQ(" " + dm_info_text(*info), line->parameters);
    }
}

}  // namespace
}  // namespace braidway::multipath
