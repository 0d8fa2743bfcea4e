// SPDX-License-Identifier: Apache-2.0
#include "explore/replay.h"

#include <bit>
#include <charconv>

#include "explore/execution.h"

namespace braidway::explore {
namespace {

constexpr std::string_view prefix = "b1:";

char letter_of(unsigned slot) {
    return static_cast<char>(slot < 26 ? 'a' + slot : 'A' + (slot - 26));
}

/// slots_max when it names none.
unsigned slot_of(char letter) {
    unsigned slot = slots_max;
    if (letter >= 'a' && letter <= 'z') slot = static_cast<unsigned>(letter - 'a');
    if (letter >= 'A' && letter <= 'Z') slot = static_cast<unsigned>(letter - 'A') + 26;
    return slot < slots_max ? slot : slots_max;
}

std::unexpected<Error> wrong(size_t position, std::string_view what) {
    return fail("the replay is not one: " + std::string(what) + " at position " +
                std::to_string(position + 1));
}

/// Who goes on when nobody is told to.
unsigned by_itself(const Execution& execution) {
    const Slots enabled = execution.enabled();
    const unsigned last = execution.last();
    if (last < slots_max && (enabled & slot_bit(last)) != 0) return last;
    const Slots required = enabled & ~execution.optional();
    return static_cast<unsigned>(std::countr_zero(required != 0 ? required : enabled));
}

}  // namespace

std::string replay_text(const Decisions& decisions) {
    std::string text(prefix);
    for (size_t i = 0; i < decisions.size();) {
        const Decision& decision = decisions[i];
        text += letter_of(decision.slot);
        if (decision.choice != 0) {
            text += '.' + std::to_string(decision.choice);
            ++i;
            continue;
        }
        size_t end = i + 1;
        while (end < decisions.size() && decisions[end] == decision) ++end;
        if (end - i > 1) text += std::to_string(end - i);
        i = end;
    }
    return text;
}

Result<Decisions> parse_replay(std::string_view text) {
    if (!text.starts_with(prefix)) return wrong(0, "it does not begin with b1:");
    Decisions decisions;
    size_t at = prefix.size();
    while (at < text.size()) {
        const unsigned slot = slot_of(text[at]);
        if (slot == slots_max) return wrong(at, "no letter of a thread");
        ++at;
        const bool has_choice = at < text.size() && text[at] == '.';
        if (has_choice) ++at;
        unsigned number = 1;
        const char* const begin = text.data() + at;
        const auto parsed = std::from_chars(begin, text.data() + text.size(), number);
        const bool has_number = parsed.ptr != begin;
        if (has_choice && !has_number) return wrong(at, "no number of an outcome");
        const unsigned number_max = has_choice ? UINT16_MAX : replay_steps_max;
        if (has_number && (parsed.ec != std::errc() || number == 0 || number > number_max)) {
            return wrong(at, "a number out of range");
        }
        at += static_cast<size_t>(parsed.ptr - begin);
        const size_t steps = has_choice ? 1 : number;
        if (decisions.size() + steps > replay_steps_max) return wrong(at, "too many steps");
        const unsigned choice = has_choice ? number : 0;
        decisions.insert(decisions.end(), steps,
                         {static_cast<uint8_t>(slot), static_cast<uint16_t>(choice)});
    }
    return decisions;
}

unsigned Replayer::pick(const Execution& execution) {
    const unsigned index = execution.step();
    const Slots enabled = execution.enabled();
    if (index < decisions_.size()) {
        const unsigned slot = decisions_[index].slot;
        if ((enabled & slot_bit(slot)) != 0) return slot;
        misfit_ = static_cast<int>(index);
        return diverged;
    }
    return by_itself(execution);
}

unsigned Replayer::choose(const Execution& execution, unsigned count) {
    const unsigned index = execution.step();
    if (index >= decisions_.size()) return 0;
    const unsigned choice = decisions_[index].choice;
    if (choice < count) return choice;
    if (misfit_ < 0) misfit_ = static_cast<int>(index);
    return 0;
}

unsigned LenientReplayer::pick(const Execution& execution) {
    const Slots enabled = execution.enabled();
    while (at_ < decisions_.size() && (enabled & slot_bit(decisions_[at_].slot)) == 0) ++at_;
    choice_ = at_ < decisions_.size() ? decisions_[at_].choice : 0;
    return at_ < decisions_.size() ? decisions_[at_++].slot : by_itself(execution);
}

unsigned LenientReplayer::choose(const Execution& /*execution*/, unsigned count) {
    return choice_ < count ? choice_ : 0;
}

}  // namespace braidway::explore
