// SPDX-License-Identifier: Apache-2.0
// Big-endian bytes for tests, written and read back piece by piece.
#pragma once

#include <concepts>
#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

#include "base/bytes.h"

namespace braidway::wire {

/// Builds a message: Bytes().u32(7).text("abc").
class Bytes {
  public:
    Bytes& u16(uint16_t value) { return number(value); }
    Bytes& u32(uint32_t value) { return number(value); }
    Bytes& u64(uint64_t value) { return number(value); }
    Bytes& text(std::string_view value) {
        const auto* bytes = reinterpret_cast<const std::byte*>(value.data());
        bytes_.insert(bytes_.end(), bytes, bytes + value.size());
        return *this;
    }
    Bytes& string(std::string_view value) {
        return u32(static_cast<uint32_t>(value.size())).text(value);
    }
    Bytes& add(const Bytes& other) {
        bytes_.insert(bytes_.end(), other.bytes_.begin(), other.bytes_.end());
        return *this;
    }
    Bytes& zeroes(size_t count) {
        bytes_.resize(bytes_.size() + count);
        return *this;
    }
    const std::vector<std::byte>& get() const { return bytes_; }
    size_t size() const { return bytes_.size(); }

  private:
    template <std::unsigned_integral T>
    Bytes& number(T value) {
        std::byte bytes[sizeof value];
        store_big(bytes, value);
        bytes_.insert(bytes_.end(), bytes, bytes + sizeof value);
        return *this;
    }
    std::vector<std::byte> bytes_;
};

/// Takes a message apart; good() is false once more was asked for than there is.
class Parse {
  public:
    explicit Parse(std::span<const std::byte> bytes) : bytes_(bytes) {}
    uint16_t u16() { return number<uint16_t>(); }
    uint32_t u32() { return number<uint32_t>(); }
    uint64_t u64() { return number<uint64_t>(); }
    std::string_view text(size_t length) {
        if (!has(length)) return {};
        const auto piece = bytes_.first(length);
        bytes_ = bytes_.subspan(length);
        return {reinterpret_cast<const char*>(piece.data()), length};
    }
    std::string_view rest() { return text(bytes_.size()); }
    bool good() const { return good_; }
    size_t left() const { return bytes_.size(); }

  private:
    bool has(size_t count) {
        if (bytes_.size() < count) good_ = false;
        return good_;
    }
    template <std::unsigned_integral T>
    T number() {
        if (!has(sizeof(T))) return 0;
        const T value = load_big<T>(bytes_.data());
        bytes_ = bytes_.subspan(sizeof(T));
        return value;
    }
    std::span<const std::byte> bytes_;
    bool good_ = true;
};

}  // namespace braidway::wire
