// SPDX-License-Identifier: Apache-2.0
// Text that is put together without the allocator.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

#include "base/limits.h"

namespace braidway::lockcheck {

/// A text that grows in pages of its own.
///
/// Shapes:  up to bytes_max.
/// Errors:  without memory it stops growing, and complete() says no.
/// Threads: one at a time. Signal-safe.
/// Without a destructor, which would have to run at exit for those that live as long as the
/// process: clear_and_free() gives the memory back.
class Text {
  public:
    static constexpr size_t bytes_max = limits::lockcheck_document_bytes_max;

    constexpr Text() = default;
    Text(const Text&) = delete;
    Text& operator=(const Text&) = delete;

    Text& add(std::string_view piece);
    Text& add_number(uint64_t number);
    /// "0x" and lower-case digits.
    Text& add_hex(uint64_t number);
    /// In quotes, with escapes. Bytes that are no UTF-8 become U+FFFD, so that the JSON is whole
    /// whatever a program calls its files.
    Text& add_quoted(std::string_view piece);
    /// As add_quoted(), or null.
    Text& add_quoted_or_null(const char* piece);

    void clear() { size_ = 0; }
    void clear_and_free();
    bool complete() const { return complete_; }
    std::string_view view() const { return {data_, size_}; }
    char* data() { return data_; }
    size_t size() const { return size_; }

  private:
    bool make_room(size_t bytes);

    char* data_ = nullptr;
    size_t size_ = 0;
    size_t room_ = 0;
    bool complete_ = true;
};

}  // namespace braidway::lockcheck
