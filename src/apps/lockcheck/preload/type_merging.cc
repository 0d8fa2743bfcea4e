// SPDX-License-Identifier: Apache-2.0
#include "apps/lockcheck/preload/type_merging.h"

#include <algorithm>
#include <array>
#include <atomic>
#include <span>

#include "apps/lockcheck/preload/finding_text.h"
#include "apps/lockcheck/preload/passing.h"
#include "apps/lockcheck/preload/raw_calls.h"
#include "apps/lockcheck/preload/renderer.h"
#include "apps/lockcheck/preload/runtime.h"
#include "apps/lockcheck/preload/settings.h"
#include "apps/lockcheck/preload/text.h"
#include "base/limits.h"

namespace braidway::lockcheck {
namespace {

using lockdep::ClassOrigin;

/// Functions that end in a jump, one after the other.
constexpr size_t hidden_max = 3;

constinit OwnLock merging_lock;
constinit uint64_t changes_asked_for = 0;

/// Classes, by number, whose first locks the same calls in the program's source initialised: with
/// one word, which is not 0.
constexpr size_t classes_max = 8'192;
constinit std::array<std::atomic<uint16_t>, classes_max + 1> calls_of_class{};
/// Classes whose code makes locks of another type as well.
constinit std::array<std::atomic<bool>, classes_max + 1> is_mixed_class{};

/// Memory for one question.
struct Room {
    ClassOrigin origins[limits::lockcheck_types_asked_max];
    uint32_t group[limits::lockcheck_types_asked_max];
};

/// The functions that called the library by a jump at their end, and so are not on the stack whose
/// innermost frame is that of who called the first of them: the ends of their jumps, innermost
/// first. Not where it could have been others as well.
size_t add_hidden(uintptr_t innermost, std::span<uintptr_t> room) {
    const uintptr_t called = function_called_before(innermost);
    if (called == 0 || is_of_this_library(called)) return 0;
    std::array<TailCall, hidden_max> calls{};
    const size_t count = sure_tail_calls(called, 0, calls.data(), calls.size());
    for (size_t i = 0; i < count; ++i) room[i] = calls[i].jump_end;
    return count;
}

void add_origin(Text& text, const ClassOrigin& origin) {
    text.add("{\"place\":\"").add(place_word(origin.place));
    const char* module = nullptr;
    uintptr_t offset = 0;
    const auto address = reinterpret_cast<uintptr_t>(origin.address);
    const bool on_stack = origin.place == lockdep::Place::stack;
    if ((on_stack && find_module(origin.block_made_at, module, offset)) ||
        (origin.place == lockdep::Place::static_storage && find_module(address, module, offset))) {
        text.add("\",\"module\":").add_quoted(module);
        text.add(",\"address\":\"").add_hex(offset);
    }
    text.add("\",\"block_bytes\":").add_number(origin.block_bytes);
    text.add(",\"offset_bytes\":").add_number(origin.offset_bytes);
    text.add(",\"lock_bytes\":").add_number(origin.bytes);
    text.add(",\"initialised\":").add(origin.initialised ? "true" : "false");
    text.add(",\"made\":");
    std::array<uintptr_t, hidden_max + 32> frames{};
    if (origin.initialised) {
        const auto stack = validator().stack(origin.stack, std::span(frames).subspan(hidden_max));
        const size_t hidden = stack.empty() ? 0 : add_hidden(stack[0], frames);
        std::copy(stack.begin(), stack.end(), frames.begin() + static_cast<ptrdiff_t>(hidden));
        add_frames(text, std::span(frames).first(hidden + stack.size()));
    } else {
        frames[0] = origin.block_made_at;
        add_frames(text, std::span(frames).first(on_stack || origin.block_made_at == 0 ? 0 : 1));
    }
    text.add("}");
}

/// A line of numbers for each group: which of the origins are of one type, or of one call.
class Answer {
  public:
    explicit Answer(std::string_view text) : rest_(text) {}

    /// Calls each(class_ids) for every group.
    void for_each(std::span<const ClassOrigin> origins, std::span<uint32_t> ids, auto each) {
        for (auto group = next(origins, ids); !group.empty(); group = next(origins, ids))
            each(group);
    }

  private:
    /// The next group; empty behind the last, or where it is no answer.
    std::span<const uint32_t> next(std::span<const ClassOrigin> origins, std::span<uint32_t> ids) {
        size_t count = 0;
        const ClassOrigin* first = nullptr;
        while (!rest_.empty()) {
            size_t index = 0;
            size_t digits = 0;
            for (; digits < rest_.size() && digits < 9; ++digits) {
                const char digit = rest_[digits];
                if (digit < '0' || digit > '9') break;
                index = 10 * index + static_cast<size_t>(digit - '0');
            }
            if (digits == 0 || digits == rest_.size() || index >= origins.size()) break;
            const bool line_ends = rest_[digits] == '\n';
            rest_.remove_prefix(digits + 1);
            const ClassOrigin& origin = origins[index];
            if (first == nullptr) first = &origin;
            const bool alike = origin.type == first->type && origin.bytes == first->bytes;
            if (alike && count < ids.size()) ids[count++] = origin.class_id;
            if (line_ends) return ids.first(count);
        }
        rest_ = {};
        return {};
    }

    std::string_view rest_;
};

void note_calls(std::span<const uint32_t> class_ids) {
    for (const uint32_t id : class_ids)
        if (id <= classes_max && class_ids[0] <= classes_max)
            calls_of_class[id].store(static_cast<uint16_t>(class_ids[0]),
                                     std::memory_order_relaxed);
}

void note_mixed(std::span<const uint32_t> class_ids) {
    for (const uint32_t id : class_ids)
        if (id <= classes_max) is_mixed_class[id].store(true, std::memory_order_relaxed);
}

/// The lines up to the next that says "="; `rest` is what is behind that.
std::string_view part_of(std::string_view& rest) {
    const std::string_view part = rest.substr(0, rest.find('='));
    rest.remove_prefix(std::min(part.size() + 2, rest.size()));
    return part;
}

/// What note_calls() noted of the class; 0: nothing.
uint32_t calls_of(uint32_t class_id) {
    return class_id <= classes_max ? calls_of_class[class_id].load(std::memory_order_relaxed) : 0;
}

/// Can any two of them be of one type?
bool any_alike(std::span<const ClassOrigin> origins) {
    for (size_t i = 1; i < origins.size(); ++i)
        for (size_t j = 0; j < i; ++j)
            if (origins[i].type == origins[j].type && origins[i].bytes == origins[j].bytes)
                return true;
    return false;
}

void merge(Room& room, std::span<const ClassOrigin> origins) {
    Text question;
    question.add("{\"lockcheck_types\":1,\"origins\":[");
    for (size_t at = 0; at < origins.size(); ++at) {
        if (at > 0) question.add(",");
        add_origin(question, origins[at]);
    }
    question.add("]}\n");
    Text answer;
    if (question.complete() && ask("--types", question.view(), answer)) {
        std::string_view rest = answer.view();
        Answer types(part_of(rest));
        // These first, for is_ring() may ask while classes merge.
        Answer(part_of(rest)).for_each(origins, room.group, note_calls);
        Answer(part_of(rest)).for_each(origins, room.group, note_mixed);
        types.for_each(origins, room.group, [](std::span<const uint32_t> class_ids) {
            validator().merge_classes(class_ids);
        });
    }
    question.clear_and_free();
    answer.clear_and_free();
}

}  // namespace

void merge_by_type() {
    const OwnGuard guard(merging_lock);
    if (settings.renderer == nullptr) return;
    const uint64_t changes = validator().order_changes();
    // One step alone makes no ring.
    if (changes == changes_asked_for || changes < 2) return;
    changes_asked_for = changes;
    auto* const room = static_cast<Room*>(map_pages(sizeof(Room)));
    if (room == nullptr) return;
    const std::span<const ClassOrigin> origins =
        std::span(room->origins).first(validator().typed_classes(room->origins));
    if (any_alike(origins)) merge(*room, origins);
    unmap_pages(room, sizeof(Room));
}

bool is_nesting_by_type(const lockdep::Finding& finding) {
    const auto class_of = [](const lockdep::Lock& lock) {
        return lock.class_id.load(std::memory_order_relaxed);
    };
    const auto steps = finding.steps();
    if (finding.kind != lockdep::FindingKind::order || finding.ring_length != steps.size())
        return false;
    bool differ = false;
    bool of_objects = true;  // Each wants the very lock that the next one holds.
    for (size_t at = 0; at < steps.size(); ++at) {
        const lockdep::Lock* const held = steps[at].holds;
        const lockdep::Lock* const first = steps[0].holds;
        if (held == nullptr || !held->making.typed || held->traits.type != first->traits.type)
            return false;
        differ = differ || class_of(*held) != class_of(*first);
        of_objects = of_objects && steps[at].wants == steps[(at + 1) % steps.size()].holds;
    }
    if (!differ || of_objects) return false;
    merge_by_type();
    for (size_t at = 0; at < steps.size(); ++at) {
        const lockdep::Lock* const held = steps[(at + 1) % steps.size()].holds;
        const uint32_t id = class_of(*held);
        // What one step wants and the next one holds may be of two types.
        if (steps[at].wants != held && id <= classes_max &&
            is_mixed_class[id].load(std::memory_order_relaxed))
            return true;
    }
    const uint32_t first = class_of(*steps[0].holds);
    for (const lockdep::Chain& step : steps) {
        const uint32_t other = class_of(*step.holds);
        if (other != first && (calls_of(first) == 0 || calls_of(other) != calls_of(first)))
            return false;
    }
    return true;
}

void types_in_child() {
    merging_lock.forget_holder();
    changes_asked_for = validator().order_changes();
}

}  // namespace braidway::lockcheck
