// SPDX-License-Identifier: Apache-2.0
// Text in aligned columns.
#pragma once

#include <cstddef>
#include <string>
#include <vector>

namespace braidway::daemon {

/// Cells in rows; every column is as wide as its widest cell.
class Table {
  public:
    enum class Align : unsigned char { left, right };
    struct Column {
        std::string title;
        Align align = Align::left;
    };

    explicit Table(std::vector<Column> columns) : columns_(std::move(columns)) {}

    /// Adds a row with one cell for each column.
    void add(std::vector<std::string> cells);
    /// Adds a line below the last row, as it is.
    void add_note(std::string line);
    /// Titles, rows and notes, two blanks between columns, no blanks at line ends.
    std::string text() const;

  private:
    struct Row {
        std::vector<std::string> cells;
        std::vector<std::string> notes;
    };

    std::string line(const std::vector<std::string>& cells,
                     const std::vector<size_t>& widths) const;

    std::vector<Column> columns_;
    std::vector<Row> rows_;
};

/// How wide `text` is when it is shown: characters of UTF-8, not bytes.
size_t shown_width(const std::string& text);

}  // namespace braidway::daemon
