// SPDX-License-Identifier: Apache-2.0
#include "prove/state_set.h"

namespace braidway::prove {
namespace {

constexpr size_t slots_at_first = size_t{1} << 16;

/// Every bit of `word` reaches every bit of the result: two odd multipliers, shifts between.
uint64_t stir(uint64_t word, uint64_t multiplier) {
    word = (word ^ word >> 32) * multiplier;
    word = (word ^ word >> 29) * 0x9E3779B97F4A7C15U;
    return word ^ word >> 32;
}

}  // namespace

StateSet::StateSet() : slots_(slots_at_first) {
}

StateSet::Print StateSet::print_of(std::span<const uint64_t> key) {
    Print print{key.size(), ~key.size()};
    for (const uint64_t word : key) {
        print.low = stir(print.low ^ word, 0xD1B54A32D192ED03U);
        print.high = stir(print.high + word, 0xAEF17502108EF2D9U);
    }
    return print;
}

/// Where `print` is, or would be.
size_t StateSet::slot_of(const Print& print) const {
    const size_t mask = slots_.size() - 1;
    size_t slot = print.low & mask;
    while (slots_[slot] != 0 && prints_[slots_[slot] - 1] != print) slot = (slot + 1) & mask;
    return slot;
}

std::optional<uint32_t> StateSet::find(std::span<const uint64_t> key) const {
    const uint32_t found = slots_[slot_of(print_of(key))];
    if (found == 0) return std::nullopt;
    return found - 1;
}

std::pair<uint32_t, bool> StateSet::insert(std::span<const uint64_t> key) {
    const Print print = print_of(key);
    const size_t slot = slot_of(print);
    if (slots_[slot] != 0) return {slots_[slot] - 1, false};
    prints_.push_back(print);
    slots_[slot] = static_cast<uint32_t>(prints_.size());
    if (prints_.size() * 2 > slots_.size()) grow();
    return {static_cast<uint32_t>(prints_.size() - 1), true};
}

void StateSet::grow() {
    const size_t size = slots_.size() * 2;
    slots_.assign(size, 0);
    for (size_t number = 0; number < prints_.size(); ++number)
        slots_[slot_of(prints_[number])] = static_cast<uint32_t>(number + 1);
}

}  // namespace braidway::prove
