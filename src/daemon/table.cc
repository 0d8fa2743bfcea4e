// SPDX-License-Identifier: Apache-2.0
#include "daemon/table.h"

#include <algorithm>

#include "base/check.h"

namespace braidway::daemon {

void Table::add(std::vector<std::string> cells) {
    CHECK(cells.size() == columns_.size(), "a row has one cell for each column");
    rows_.push_back({std::move(cells), {}});
}

void Table::add_note(std::string line) {
    CHECK(!rows_.empty(), "a note belongs to a row");
    rows_.back().notes.push_back(std::move(line));
}

std::string Table::text() const {
    std::vector<std::string> titles;
    std::vector<size_t> widths;
    for (size_t at = 0; at < columns_.size(); ++at) {
        titles.push_back(columns_[at].title);
        size_t width = shown_width(columns_[at].title);
        for (const Row& row : rows_) width = std::max(width, shown_width(row.cells[at]));
        widths.push_back(width);
    }
    std::string text = line(titles, widths);
    for (const Row& row : rows_) {
        text += line(row.cells, widths);
        for (const std::string& note : row.notes) text += note + "\n";
    }
    return text;
}

std::string Table::line(const std::vector<std::string>& cells,
                        const std::vector<size_t>& widths) const {
    std::string text;
    for (size_t at = 0; at < cells.size(); ++at) {
        const std::string padding(widths[at] - shown_width(cells[at]), ' ');
        if (at != 0) text += "  ";
        text += columns_[at].align == Align::right ? padding + cells[at] : cells[at] + padding;
    }
    text.erase(text.find_last_not_of(' ') + 1);
    return text + "\n";
}

size_t shown_width(const std::string& text) {
    return static_cast<size_t>(std::ranges::count_if(
        text, [](char each) { return (static_cast<unsigned char>(each) & 0xc0) != 0x80; }));
}

}  // namespace braidway::daemon
